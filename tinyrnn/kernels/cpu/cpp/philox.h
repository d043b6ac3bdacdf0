/* Philox4x32-10, a counter-based random generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four
   words of 32 bits for every counter, here of many counters at a time. */
#pragma once

#include "simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace TINYRNN_ISA {

typedef uint64_t words64 __attribute__((vector_size(VECTOR_BYTES)));
constexpr int BLOCKS = VECTOR_BYTES / 8; // counters that are worked on at once, each in 64 bits
constexpr int WORDS = 4 * BLOCKS;

/* The product of the lower halves of every 64 bits. */
INLINE words64 multiply_low(words64 a, words64 b) {
#if defined(__AVX512F__)
    return (words64)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (words64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (words64)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xffffffff) * (b & 0xffffffff);
#endif
}

/* a0, b0, a1, b1, ...: the first half of that, and the second. */
INLINE words64 interleave_first(words64 a, words64 b) {
#if defined(__AVX512F__)
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#elif defined(__AVX__)
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#else
    return __builtin_shufflevector(a, b, 0, 2);
#endif
}

INLINE words64 interleave_second(words64 a, words64 b) {
#if defined(__AVX512F__)
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#elif defined(__AVX__)
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#else
    return __builtin_shufflevector(a, b, 1, 3);
#endif
}

/* The four words of each of the counters (block, call), (block + 1, call), ... with this key, one counter after the other. */
INLINE void philox(uint64_t block, uint64_t call, uint64_t key, uint32_t *out) {
    words64 index;
    UNROLL
    for (int i = 0; i < BLOCKS; i++)
        index[i] = i;
    index += block;
    // only the lower halves count: the upper ones hold what the multiplications leave there
    words64 c0 = index, c1 = index >> 32, c2 = words64{} + call, c3 = words64{} + (call >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    UNROLL
    for (int round = 0; round < 10; round++) {
        const words64 first = multiply_low(c0, words64{} + 0xD2511F53u), second = multiply_low(c2, words64{} + 0xCD9E8D57u);
        c0 = (second >> 32) ^ c1 ^ (words64{} + k0);
        c1 = second;
        c2 = (first >> 32) ^ c3 ^ (words64{} + k1);
        c3 = first;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const words64 low = (c0 & 0xffffffff) | c1 << 32, high = (c2 & 0xffffffff) | c3 << 32;
    const words64 halves[2] = {interleave_first(low, high), interleave_second(low, high)};
    memcpy(out, halves, sizeof halves);
}

} // namespace TINYRNN_ISA
