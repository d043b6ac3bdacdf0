/* The team of threads that computes a kernel: the only place that knows OpenMP.

   One team runs at a time per calling thread, so kernels never nest teams. Which member computes what never changes a
   result: every element is summed by one member in an order that does not depend on the number of members. */
#pragma once

#include "simd.h"

#if defined(_OPENMP)
#include <omp.h>
#endif
#include <sched.h>
#include <unistd.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace TINYRNN_ISA {

/* Run body(member, members) on at most `threads` threads; on how many is what OpenMP could get. */
template <typename Body> static void run_team(int threads, const Body &body) {
#if defined(_OPENMP)
    if (threads > 1) {
#pragma omp parallel num_threads(threads)
        body(omp_get_thread_num(), omp_get_num_threads());
        return;
    }
#endif
    body(0, 1);
}

/* How many of `threads` to use for `count` elements, if fewer than `least` are not worth a thread. */
INLINE int members_for(long count, long least, int threads) {
    return (int)maximum(1, minimum(threads, count / least));
}

INLINE void relax() {
#if defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

/* How often to look for the others before giving way: with more members than cores some of them cannot run meanwhile. */
static int patience(int members) {
#if defined(_SC_NPROCESSORS_ONLN)
    static const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return members > cores ? 0 : 4000;
#else
    (void)members;
    return 4000;
#endif
}

/* All members wait here for the last one: for a while busily, then giving way, so that more threads than cores go on. */
struct Barrier {
    alignas(64) int arrived = 0;
    alignas(64) int phase = 0;

    void wait(int members) {
        if (members == 1)
            return;
        const int before = __atomic_load_n(&phase, __ATOMIC_RELAXED);
        if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == members) {
            __atomic_store_n(&arrived, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&phase, before + 1, __ATOMIC_RELEASE);
            return;
        }
        const int most = patience(members);
        for (int spin = 0; __atomic_load_n(&phase, __ATOMIC_ACQUIRE) == before; spin++) {
            if (spin < most)
                relax();
            else
                sched_yield();
        }
    }
};

/* Denormals count as 0 while this lives: gradients that vanish would make them, and they can be a hundred times slower. */
class FlushDenormals {
#if defined(__SSE__)
    unsigned before = _mm_getcsr();

  public:
    FlushDenormals() { _mm_setcsr(before | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(before); }
#elif defined(__aarch64__)
    uint64_t before;

  public:
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before));
        asm volatile("msr fpcr, %0" : : "r"(before | (1ull << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(before)); }
#endif
};

/* The share [first, last) of member number `member` of `count` things, in whole units of `grain` but for the last. */
struct Share {
    long first, last;
    Share(long count, long grain, int member, int members) {
        const long units = (count + grain - 1) / grain;
        first = minimum(units * member / members * grain, count);
        last = minimum(units * (member + 1) / members * grain, count);
    }
};

} // namespace TINYRNN_ISA
