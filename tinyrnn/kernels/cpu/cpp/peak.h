/* The most multiply-adds a second that the machine does: what benchmarks compare kernels with. */
#pragma once

#include <time.h>

#include "team.h"

#if defined(__aarch64__)
#define IN_VECTOR_REGISTER "+w"
#else
#define IN_VECTOR_REGISTER "+v"
#endif

namespace TINYRNN_ISA {

INLINE double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

/* The time of `rounds` times 12 independent multiply-adds of vectors. */
template <typename T> static double time_multiply_adds(long rounds) {
    vec<T> sum[12];
    UNROLL
    for (int i = 0; i < 12; i++)
        sum[i] = broadcast<T>(T(i));
    vec<T> factor = broadcast<T>(T(0.999)), term = broadcast<T>(T(0.001));
    const double start = now();
    for (long round = 0; round < rounds; round++) {
        UNROLL
        for (int i = 0; i < 12; i++) {
            sum[i] = sum[i] * factor + term;
            asm volatile("" : IN_VECTOR_REGISTER(sum[i])); // so that every round is computed
        }
    }
    return now() - start;
}

template <typename T> static double peak_rate(double seconds, int threads) {
    const long rounds = 100000;
    double rates[256] = {};
    run_team(threads < 256 ? threads : 256, [&](int member, int) {
        const double end = now() + seconds;
        double best = 1e30;
        while (now() < end) {
            const double took = time_multiply_adds<T>(rounds);
            best = took < best ? took : best;
        }
        rates[member] = rounds * 12.0 * LANES<T> * 2 / best;
    });
    double total = 0;
    for (double rate : rates)
        total += rate;
    return total;
}

} // namespace TINYRNN_ISA
