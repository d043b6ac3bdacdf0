/* exp, sigmoid and tanh of vectors: at most 4 ulp, right at infinity, NaN for NaN.

   x = n ln 2 + r with |r| <= ln(2)/2, and e^r - 1 by a polynomial. */
#pragma once

#include "simd.h"

namespace TINYRNN_ISA {

template <typename T> struct Exp;

template <> struct Exp<float> {
    static constexpr float lowest = -104.0f, highest = 89.0f; // beyond: 0 and infinity
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float rounder = 12582912.0f; // 1.5 2^23: adding it rounds to an integer, which is in the lowest bits
    static constexpr int mantissa = 23;
    /* (e^r - 1 - r) / r^2, the polynomial of its degree with the least relative error of e^r - 1: 1.3e-8. */
    INLINE vec<float> tail(vec<float> r) {
        const vec<float> r_2 = r * r; // in pairs: a shorter chain of operations that wait for each other
        const vec<float> last = 1.3882756e-3f * r_2 + (8.3665680e-3f * r + 4.1667197e-2f);
        return last * r_2 + (1.6666543e-1f * r + 4.9999998e-1f);
    }
};

template <> struct Exp<double> {
    static constexpr double lowest = -746.0, highest = 710.0;
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr double rounder = 6755399441055744.0; // 1.5 2^52
    static constexpr int mantissa = 52;
    /* Taylor's series: the rest is below 1e-17 for |r| <= ln(2)/2. */
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

/* 2^n for integers n, given n + rounder, that are exponents of normal numbers. */
template <typename T> INLINE vec<T> power_of_two(vec<T> n_rounder) {
    const bits<T> one = (bits<T>)broadcast<T>(1);
    return (vec<T>)(((bits<T>)n_rounder << Exp<T>::mantissa) + one);
}

/* e^x = 2^n (1 + p), for x whose n is an integer that T can hold. */
template <typename T> struct PowerOfE {
    vec<T> n_rounder, n, p;

    INLINE PowerOfE of(vec<T> x) {
        using E = Exp<T>;
        const vec<T> n_rounder = x * T(1.44269504088896340736) + E::rounder;
        const vec<T> n = n_rounder - E::rounder;
        const vec<T> r = (x - n * E::ln2_high) - n * E::ln2_low;
        return {n_rounder, n, E::tail(r) * (r * r) + r};
    }

    /* Also where it is denormal or infinite. */
    INLINE_MEMBER vec<T> value() const {
#if defined(__AVX512F__)
        if constexpr (sizeof(T) == 4)
            return (vec<T>)_mm512_scalef_ps((__m512)(p + T(1)), (__m512)n);
        else
            return (vec<T>)_mm512_scalef_pd((__m512d)(p + T(1)), (__m512d)n);
#else
        const vec<T> half_rounder = n * T(0.5) + Exp<T>::rounder, half = half_rounder - Exp<T>::rounder;
        const vec<T> power = power_of_two<T>(half_rounder);
        return (p * power + power) * power_of_two<T>((n - half) + Exp<T>::rounder);
#endif
    }

    /* The same for x <= 0. */
    INLINE_MEMBER vec<T> value_of_negative() const {
#if defined(__AVX512F__)
        return value();
#else
        constexpr T up = sizeof(T) == 4 ? 64 : 512; // 2^(n + up) is a normal number
        constexpr T down = sizeof(T) == 4 ? T(0x1p-64) : T(0x1p-512);
        const vec<T> power = power_of_two<T>(n_rounder + up);
        return (p * power + power) * down;
#endif
    }

    /* e^x - 1, where 2^n is a normal number. */
    INLINE_MEMBER vec<T> minus_one() const {
        const vec<T> power = power_of_two<T>(n_rounder);
        return power * p + (power - T(1));
    }
};

template <typename T> INLINE vec<T> exp(vec<T> x) {
    return PowerOfE<T>::of(at_least<T>(at_most<T>(x, Exp<T>::highest), Exp<T>::lowest)).value();
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
    const vec<T> e = PowerOfE<T>::of(at_least<T>(-absolute<T>(x), Exp<T>::lowest)).value_of_negative();
    return (x < T(0) ? e : broadcast<T>(1)) / (T(1) + e);
}

/* e^x - 1 for x <= 0. */
template <typename T> INLINE vec<T> exp_minus_one_of_negative(vec<T> x) {
    constexpr T saturated = sizeof(T) == 4 ? T(-19) : T(-39); // from where on it is -1
    return PowerOfE<T>::of(at_least<T>(x, saturated)).minus_one();
}

/* (1 - e^-2|x|) / (1 + e^-2|x|), with the sign of x. */
template <typename T> INLINE vec<T> tanh(vec<T> x) {
    const vec<T> negative = -absolute<T>(x);
    const vec<T> e_minus_one = exp_minus_one_of_negative<T>(negative + negative);
    return with_sign_of<T>(e_minus_one / (e_minus_one + T(2)), x);
}

} // namespace TINYRNN_ISA
