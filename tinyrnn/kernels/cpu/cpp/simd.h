/* Vectors of floats and doubles as wide as the instruction set has them, on GCC's and Clang's vector extensions.

   This header and all that include it are compiled for each instruction set and type of number, each time in a namespace of
   its own (TINYRNN_ISA, set by the .cpp files), so that the linker can never put a function of a newer processor in the place
   of one for an older. For the same reason nothing here uses templates of the standard library. */
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace TINYRNN_ISA {

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
constexpr int REGISTERS = 32;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
constexpr int REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int VECTOR_BYTES = 16;
constexpr int REGISTERS = 32;
#else
constexpr int VECTOR_BYTES = 16;
constexpr int REGISTERS = 16;
#endif

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))
/* Before functions of which there is one copy, with all they call: cells. So the same instructions compute a cell, wherever it
   is called from, and its bits do not depend on who calls. */
#define FLATTEN __attribute__((flatten, noinline))
/* Before what runs once for each call: small rather than fast. */
#define RARELY __attribute__((cold, noinline))
/* Before loops over the vectors of a tile, which stay in registers only if the loop is unrolled. */
#define UNROLL _Pragma("GCC unroll 16")

/* A number as a type: for generic lambdas that are compiled once for each. */
template <auto VALUE> struct Constant {
    static constexpr auto value = VALUE;
};

template <typename T> struct Simd;

template <> struct Simd<float> {
    typedef float vec __attribute__((vector_size(VECTOR_BYTES)));
    typedef int32_t integer;
    typedef integer bits __attribute__((vector_size(VECTOR_BYTES))); // and what comparisons give
    typedef float unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
    static constexpr int lanes = VECTOR_BYTES / 4;
};

template <> struct Simd<double> {
    typedef double vec __attribute__((vector_size(VECTOR_BYTES)));
    typedef int64_t integer;
    typedef integer bits __attribute__((vector_size(VECTOR_BYTES)));
    typedef double unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
    static constexpr int lanes = VECTOR_BYTES / 8;
};

template <typename T> using vec = typename Simd<T>::vec;
template <typename T> using bits = typename Simd<T>::bits;
template <typename T> constexpr long LANES = Simd<T>::lanes;

template <typename T> INLINE vec<T> load(const T *from) {
    return *(const typename Simd<T>::unaligned *)from;
}

template <typename T> INLINE void store(T *to, vec<T> value) {
    *(typename Simd<T>::unaligned *)to = value;
}

/* x in every lane. (x - 0, not x + 0, keeps -0.) */
template <typename T> INLINE vec<T> broadcast(T x) {
    return x - vec<T>{};
}

/* The first `count` >= 0 elements, 0 in the lanes behind them; what lies behind in memory is not touched. */
template <typename T> INLINE vec<T> load(const T *from, long count) {
    if (count >= LANES<T>)
        return load(from);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
    else
        return (vec<T>)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), from);
#elif defined(__AVX__)
    static constexpr int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    const __m256i mask = _mm256_loadu_si256((const __m256i *)(ones_then_zeros + 8 - count * (long)sizeof(T) / 4));
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm256_maskload_ps(from, mask);
    else
        return (vec<T>)_mm256_maskload_pd(from, mask);
#else
    T lanes[LANES<T>] = {};
    for (long lane = 0; lane < count; lane++)
        lanes[lane] = from[lane];
    return load(lanes);
#endif
}

template <typename T> INLINE void store(T *to, vec<T> value, long count) {
    if (count >= LANES<T>) {
        store(to, value);
        return;
    }
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)value);
    else
        _mm512_mask_storeu_pd(to, (__mmask8)((1u << count) - 1), (__m512d)value);
#else
    T lanes[LANES<T>]; // in pieces of fixed sizes: masked stores of AVX are slow, and so is one lane after the other
    store(lanes, value);
    const T *from = lanes;
    UNROLL
    for (long piece = LANES<T> / 2; piece > 0; piece /= 2)
        if (count & piece) {
            memcpy(to, from, piece * sizeof(T));
            to += piece;
            from += piece;
        }
#endif
}

/* The lesser and the greater of x and a limit; NaN stays, which is why the limit comes first: the processor takes the second. */
template <typename T> INLINE vec<T> at_most(vec<T> x, T limit) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_min_ps((__m512)broadcast<T>(limit), (__m512)x);
    else
        return (vec<T>)_mm512_min_pd((__m512d)broadcast<T>(limit), (__m512d)x);
#elif defined(__AVX__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm256_min_ps((__m256)broadcast<T>(limit), (__m256)x);
    else
        return (vec<T>)_mm256_min_pd((__m256d)broadcast<T>(limit), (__m256d)x);
#else
    return x > limit ? broadcast<T>(limit) : x;
#endif
}

template <typename T> INLINE vec<T> at_least(vec<T> x, T limit) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_max_ps((__m512)broadcast<T>(limit), (__m512)x);
    else
        return (vec<T>)_mm512_max_pd((__m512d)broadcast<T>(limit), (__m512d)x);
#elif defined(__AVX__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm256_max_ps((__m256)broadcast<T>(limit), (__m256)x);
    else
        return (vec<T>)_mm256_max_pd((__m256d)broadcast<T>(limit), (__m256d)x);
#else
    return x < limit ? broadcast<T>(limit) : x;
#endif
}

/* All lanes by combine(a, b), halves first: the order is the same everywhere. */
template <typename T, int lanes, typename Vector, typename Combine>
INLINE T fold_lanes(Vector x, const Combine &combine) {
    if constexpr (lanes == 2) {
        return combine(T(x[0]), T(x[1]));
    } else {
        typedef T half __attribute__((vector_size(lanes * sizeof(T) / 2)));
        half halves[2];
        memcpy(halves, &x, sizeof x);
        return fold_lanes<T, lanes / 2>(combine(halves[0], halves[1]), combine);
    }
}

template <typename T> INLINE T sum_lanes(vec<T> x) {
    return fold_lanes<T, LANES<T>>(x, [](auto a, auto b) { return a + b; });
}

/* The largest of all lanes; NaN may be passed over. */
template <typename T> INLINE T max_lanes(vec<T> x) {
    return fold_lanes<T, LANES<T>>(x, [](auto a, auto b) { return a > b ? a : b; });
}

INLINE long minimum(long a, long b) {
    return a < b ? a : b;
}

INLINE long maximum(long a, long b) {
    return a > b ? a : b;
}

} // namespace TINYRNN_ISA
