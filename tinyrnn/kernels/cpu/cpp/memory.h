/* Scratch memory of the kernels: each thread keeps what it once needed, because fresh memory costs page faults. */
#pragma once

#include <stdlib.h>

#include "simd.h"

namespace TINYRNN_ISA {

/* Memory that grows and is kept, aligned to cache lines. What was in it is gone when it grows. */
class Scratch {
    void *memory = nullptr;
    size_t bytes = 0;

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
            memory = aligned_alloc(64, needed);
            bytes = memory ? needed : 0;
        }
        return (T *)memory;
    }
};

} // namespace TINYRNN_ISA
