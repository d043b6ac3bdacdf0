/* exp, sigmoid and tanh of vectors: at most 4 ulp, right at infinity, NaN for NaN.

   exp: x = n ln 2 + r with |r| <= ln(2)/2, e^r by a polynomial, times 2^n. tanh: near 0 the approximations of Cephes
   (S. Moshier, tanhf and tanh), else by exp. Comparisons are written so that NaN goes through: `x > limit ? limit : x`. */
#pragma once

#include "simd.h"

namespace TINYRNN_ISA {

template <typename T> struct Exp;

template <> struct Exp<float> {
    static constexpr float lowest = -104.0f, highest = 89.0f; // beyond: 0 and infinity
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float rounder = 12582912.0f; // 1.5 2^23: adding it rounds to an integer, which is in the lowest bits
    static constexpr int mantissa = 23;
    /* Cephes' expf: (e^r - 1 - r) / r^2 */
    INLINE vec<float> tail(vec<float> r) {
        vec<float> p = 1.9875691500e-4f * r + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        return p * r + 5.0000001201e-1f;
    }
};

template <> struct Exp<double> {
    static constexpr double lowest = -746.0, highest = 710.0;
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr double rounder = 6755399441055744.0; // 1.5 2^52
    static constexpr int mantissa = 52;
    /* Taylor's series: (e^r - 1 - r) / r^2, the rest is below 1e-17 for |r| <= ln(2)/2 */
    INLINE vec<double> tail(vec<double> r) {
        vec<double> p = 1.6059043836821613e-10 * r + 2.08767569878681e-9;
        p = p * r + 2.505210838544172e-8;
        p = p * r + 2.755731922398589e-7;
        p = p * r + 2.7557319223985893e-6;
        p = p * r + 2.48015873015873e-5;
        p = p * r + 1.984126984126984e-4;
        p = p * r + 1.388888888888889e-3;
        p = p * r + 8.333333333333333e-3;
        p = p * r + 4.1666666666666664e-2;
        p = p * r + 1.6666666666666666e-1;
        return p * r + 0.5;
    }
};

/* 2^n for integers n that are exponents of normal numbers. */
template <typename T> INLINE vec<T> power_of_two(vec<T> n) {
    const bits<T> one = (bits<T>)broadcast<T>(1);
    return (vec<T>)(((bits<T>)(n + Exp<T>::rounder) << Exp<T>::mantissa) + one);
}

template <typename T> INLINE vec<T> round_to_integer(vec<T> x) {
    return (x + Exp<T>::rounder) - Exp<T>::rounder;
}

/* x 2^n for integers n, also where the result is denormal or infinite. */
template <typename T> INLINE vec<T> scale(vec<T> x, vec<T> n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_scalef_ps((__m512)x, (__m512)n);
    else
        return (vec<T>)_mm512_scalef_pd((__m512d)x, (__m512d)n);
#else
    const vec<T> half = round_to_integer<T>(n * T(0.5));
    return x * power_of_two<T>(half) * power_of_two<T>(n - half);
#endif
}

template <typename T> INLINE vec<T> exp(vec<T> x) {
    using E = Exp<T>;
    x = x > E::highest ? broadcast<T>(E::highest) : x;
    x = x < E::lowest ? broadcast<T>(E::lowest) : x;
    const vec<T> n = round_to_integer<T>(x * T(1.44269504088896340736));
    const vec<T> r = (x - n * E::ln2_high) - n * E::ln2_low;
    return scale<T>(E::tail(r) * (r * r) + r + T(1), n);
}

template <typename T> INLINE vec<T> square_root(vec<T> x) {
    T lanes[LANES<T>];
    store(lanes, x);
    for (long lane = 0; lane < LANES<T>; lane++)
        lanes[lane] = sizeof(T) == 4 ? T(__builtin_sqrtf((float)lanes[lane])) : T(__builtin_sqrt(lanes[lane]));
    return load(lanes);
}

template <typename T> INLINE vec<T> absolute(vec<T> x) {
    return (vec<T>)((bits<T>)x & ~(bits<T>)broadcast<T>(T(-0.0)));
}

template <typename T> INLINE vec<T> with_sign_of(vec<T> x, vec<T> sign) {
    const bits<T> sign_bit = (bits<T>)broadcast<T>(T(-0.0));
    return (vec<T>)(((bits<T>)x & ~sign_bit) | ((bits<T>)sign & sign_bit));
}

/* 1 / (1 + e^-x), by e^-|x|, which cannot overflow. */
template <typename T> INLINE vec<T> sigmoid(vec<T> x) {
    const vec<T> e = exp<T>(-absolute<T>(x));
    return (x < T(0) ? e : broadcast<T>(1)) / (T(1) + e);
}

template <typename T> struct Tanh;

template <> struct Tanh<float> {
    static constexpr float saturated = 9.5f; // tanh is 1 from here on
    /* tanh(x) / x - 1 for |x| < 0.625, z = x^2 */
    INLINE vec<float> near_zero(vec<float> z) {
        vec<float> p = -5.70498872745e-3f * z + 2.06390887954e-2f;
        p = p * z - 5.37397155531e-2f;
        p = p * z + 1.33314422036e-1f;
        return (p * z - 3.33332819422e-1f) * z;
    }
};

template <> struct Tanh<double> {
    static constexpr double saturated = 19.5;
    INLINE vec<double> near_zero(vec<double> z) {
        vec<double> p = -9.64399179425052238628e-1 * z - 9.92877231001918586564e1;
        p = p * z - 1.61468768441708447952e3;
        vec<double> q = (z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3;
        q = q * z + 4.84406305325125486048e3;
        return z * (p / q);
    }
};

template <typename T> INLINE vec<T> tanh(vec<T> x) {
    vec<T> size = absolute<T>(x);
    const vec<T> near = size * Tanh<T>::near_zero(size * size) + size;
    const vec<T> limited = size > Tanh<T>::saturated ? broadcast<T>(Tanh<T>::saturated) : size;
    const vec<T> far = T(1) - T(2) / (exp<T>(limited + limited) + T(1));
    return with_sign_of<T>(size < T(0.625) ? near : far, x);
}

} // namespace TINYRNN_ISA
