/* Dropout: what is kept depends on (seed, call, number of the element) alone, and is worked out again for the gradient. */
#pragma once

#include "elementwise.h"
#include "philox.h"

namespace TINYRNN_ISA {

/* `scale` where the upper 24 bits of a word are at least `limit`, else 0. */
template <typename T> INLINE vec<T> factors(const uint32_t *words, int32_t limit, T scale) {
    typedef uint32_t some_words __attribute__((vector_size(4 * LANES<T>)));
    typedef int32_t some_numbers __attribute__((vector_size(4 * LANES<T>)));
    some_words word;
    memcpy(&word, words, sizeof word);
    const bits<T> kept = __builtin_convertvector((some_numbers)(word >> 8) >= limit, bits<T>);
    return (vec<T>)((bits<T>)broadcast<T>(scale) & kept);
}

/* Element i belongs to word i % 4 of counter i / 4. x = nullptr: the factors themselves. */
template <typename T> static void dropout(const DropoutProblem *p, int threads) {
    const T *x = (const T *)p->x;
    T *y = (T *)p->y;
    const T scale = T(p->scale);
    const int32_t limit = (int32_t)__builtin_ceil(p->p * 16777216.0); // word / 2^32, cut off to 24 bits, is at least p
    run_team(members_for(p->size, 16384, threads), [=](int member, int members) {
        const Share share(p->size, WORDS, member, members);
        for (long start = share.first; start < share.last; start += WORDS) {
            alignas(64) uint32_t words[WORDS];
            philox((uint64_t)start / 4, p->call, p->seed, words);
            each_vector<T>(start, minimum(start + WORDS, share.last), [=, &words](long i, long count) INLINE_BODY {
                const vec<T> factor = factors<T>(words + (i - start), limit, scale);
                store(y + i, x ? load(x + i, count) * factor : factor, count);
            });
        }
    });
}

} // namespace TINYRNN_ISA
