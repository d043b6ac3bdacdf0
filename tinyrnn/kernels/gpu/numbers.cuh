/* Types of numbers: how they are stored, what is computed with them, and the functions that cells.h asks for. */
#pragma once

#ifndef INFINITY /* where there is no math.h */
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif

/* Numbers as they are stored; they are computed with as floats. */
struct Half { /* float16 */
    unsigned short bits;
};
struct Bfloat { /* bfloat16: the upper half of a float */
    unsigned short bits;
};
struct Tf32 { /* a float of which products with weights see 10 bits of the fraction, where tensor cores make them */
    float value;
};

#ifdef TINYRNN_CUDA_ON_CPU
inline float to_float(Half x) {
    _Float16 value;
    memcpy(&value, &x, sizeof x);
    return value;
}
inline Half to_half(float x) {
    const _Float16 value = x;
    Half result;
    memcpy(&result, &value, sizeof result);
    return result;
}
#else
__device__ inline float to_float(Half x) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
    return result;
}
__device__ inline Half to_half(float x) {
    Half result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
}
#endif

/* To the nearest, and of two as near to the even one. */
__device__ inline Bfloat to_bfloat(float x) {
    const unsigned bits = __float_as_uint(x), rounded = bits + 0x7fff + (bits >> 16 & 1);
    return {static_cast<unsigned short>(x != x ? 0x7fc0 : rounded >> 16)};
}

/* Wide<T>: what numbers stored as T are computed in. */
template <typename T> struct WideOf {
    using type = T;
};
template <> struct WideOf<Half> {
    using type = float;
};
template <> struct WideOf<Bfloat> {
    using type = float;
};
template <> struct WideOf<Tf32> {
    using type = float;
};
template <typename T> using Wide = typename WideOf<T>::type;

template <typename T> __device__ inline T wide(T x) { return x; }
__device__ inline float wide(Half x) { return to_float(x); }
__device__ inline float wide(Bfloat x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }
__device__ inline float wide(Tf32 x) { return x.value; }

template <typename T> __device__ inline void store(T *to, T x) { *to = x; }
__device__ inline void store(Half *to, float x) { *to = to_half(x); }
__device__ inline void store(Bfloat *to, float x) { *to = to_bfloat(x); }
__device__ inline void store(Tf32 *to, float x) { to->value = x; }

/* What cells.h computes with: one number per thread. */
template <typename W> struct Scalar {
    using V = W;
    static constexpr V one = 1;
    __device__ static V sigmoid(V x) { return one / (one + exp(-x)); }
    __device__ static V tanh(V x) { return ::tanh(x); }
    __device__ static V relu(V x) { return x <= 0 ? V(0) : x; } /* NaN stays */
    __device__ static V where_positive(V x, V value) { return x <= 0 ? V(0) : value; }
};
