/* Scratch memory of the kernels: each thread keeps what it once needed, because fresh memory costs page faults. */
#pragma once

#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "simd.h"

namespace TINYRNN_ISA {

/* Memory that grows and is kept, aligned to cache lines. What was in it is gone when it grows. */
class Scratch {
    void *memory = nullptr;
    size_t bytes = 0;

    /* In pages of 2 MB where there is much of it: one fault of the processor for each of them, not for each 4 kB. */
    static void *allocate(size_t needed) {
        constexpr size_t huge = 2 << 20;
        if (needed < 4 * huge)
            return aligned_alloc(64, needed);
        const size_t whole = (needed + huge - 1) / huge * huge;
        void *memory = aligned_alloc(huge, whole);
#if defined(MADV_HUGEPAGE)
        if (memory)
            madvise(memory, whole, MADV_HUGEPAGE);
#endif
        return memory;
    }

  public:
    ~Scratch() { free(memory); }

    /* Gives the memory back if it is more than this. */
    void keep_at_most(size_t most) {
        if (bytes > most) {
            free(memory);
            memory = nullptr;
            bytes = 0;
        }
    }

    /* Room for `count` elements and one vector more, so that loads of whole vectors stay inside; nullptr: no memory. */
    template <typename T> T *get(long count) {
        const size_t needed = ((size_t)count * sizeof(T) + 127) / 64 * 64;
        if (needed > bytes) {
            free(memory);
            memory = allocate(needed);
            bytes = memory ? needed : 0;
        }
        return (T *)memory;
    }
};

} // namespace TINYRNN_ISA
