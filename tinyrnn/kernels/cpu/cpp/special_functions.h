/* Logarithms and erf of vectors: at most 4 ulp, right at infinity, NaN for NaN. The normal distribution function: at most 6 ulp,
   also far below 0, where 1 + erf has no digits left.

   The coefficients are those of the polynomials that equal their functions at the Chebyshev points of the interval named. */
#pragma once

#include "vector_math.h"

namespace TINYRNN_ISA {

/* A polynomial by Horner's rule, its coefficients from the highest power down. */
template <typename T, int N> INLINE vec<T> polynomial(const T (&coefficients)[N], vec<T> x) {
    vec<T> value = broadcast<T>(coefficients[0]);
    _Pragma("GCC unroll 32") for (int i = 1; i < N; i++)
        value = value * x + coefficients[i];
    return value;
}

/* A number whose `count` lowest bits are 1, in all lanes. */
template <typename T> INLINE bits<T> lowest_bits(int count) {
    return bits<T>{} + (((typename Simd<T>::integer)1 << count) - 1);
}

template <typename T> struct Log;

template <> struct Log<float> {
    static constexpr float smallest_normal = 0x1p-126f, up = 0x1p25f;
    static constexpr int up_exponent = 25, bias = 127;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    /* (2 atanh(s) / s - 2) / s^2 over s^2 from 0 to 0.0295: log(x) is 2 atanh((x - 1) / (x + 1)) */
    static constexpr float tail[] = {0.295809859f, 0.399887577f, 0.666666851f};
};

template <> struct Log<double> {
    static constexpr double smallest_normal = 0x1p-1022, up = 0x1p54;
    static constexpr int up_exponent = 54, bias = 1023;
    static constexpr double ln2_high = 6.93147180369123816490e-1, ln2_low = 1.90821492927058770002e-10; // of 33 bits, and the rest
    static constexpr double tail[] = {0.146178071534173248, 0.153316117220550079, 0.181828924325368712, 0.222222110893794962,
                                      0.285714286262538376, 0.399999999998988905, 0.666666666666666971};
};

/* The logarithm of x 2^exponent_up, x being positive and normal: no zero, infinity or NaN. */
template <typename T> INLINE vec<T> log_of_normal(vec<T> x, vec<T> exponent_up) {
    using L = Log<T>;
    constexpr int mantissa = Exp<T>::mantissa;
    const bits<T> one = (bits<T>)broadcast<T>(1), root_half = (bits<T>)broadcast<T>(T(0.70710678118654752));
    const bits<T> shifted = (bits<T>)x + (one - root_half); // so that the exponent changes at sqrt(2)
    const bits<T> fraction = (shifted & lowest_bits<T>(mantissa)) + root_half;
    /* the biased exponent, a small integer, as a float: the lowest bits of the rounder take it */
    const bits<T> biased = shifted >> mantissa;
    const vec<T> power = (vec<T>)(biased + (bits<T>)broadcast<T>(Exp<T>::rounder)) - (Exp<T>::rounder + L::bias) + exponent_up;
    const vec<T> f = (vec<T>)fraction - T(1);
    const vec<T> s = f / (f + T(2)), s_2 = s * s;
    /* 2 atanh(s) = f - s (f - s^2 tail): the leading term is exact */
    return power * L::ln2_high + (f - (s * (f - s_2 * polynomial<T>(L::tail, s_2)) - power * L::ln2_low));
}

template <typename T> INLINE vec<T> log(vec<T> x) {
    using L = Log<T>;
    const vec<T> infinity = broadcast<T>(T(__builtin_inf())), zero{};
    const auto denormal = x < L::smallest_normal;
    const vec<T> y = log_of_normal<T>(denormal ? x * L::up : x, denormal ? broadcast<T>(T(-L::up_exponent)) : zero);
    const vec<T> of_zero_or_less = x < zero ? broadcast<T>(T(__builtin_nan(""))) : -infinity;
    return x <= zero ? of_zero_or_less : x < infinity ? y : x;
}

/* log(1 + x) for x from 0 to 1. */
template <typename T> INLINE vec<T> log_of_one_more(vec<T> x) {
    const vec<T> sum = x + T(1), rounded_off = x - (sum - T(1));
    return log_of_normal<T>(sum, vec<T>{}) + rounded_off / sum;
}

template <typename T> struct Normal;

template <> struct Normal<float> {
    static constexpr float farthest = 15; // from there on the tail is 0
    /* Phi(-z) exp(z^2 / 2) (z + 2) over (z - 4) / (z + 4), z from 0 to 14.5 */
    static constexpr float tail[] = {0.000521515168f, 0.000262633258f, -0.00451739094f, 0.00946567032f, -0.00132865562f,
                                     -0.0431091224f,  0.138378752f,    -0.267101146f,   0.566463846f};
    /* erf(x) / x over x^2 from 0 to 1/4 */
    static constexpr float erf[] = {0.00471908257f, -0.0267577327f, 0.112828314f, -0.37612609f, 1.12837917f};
    static constexpr int half = 12; // of the bits of a number
};

template <> struct Normal<double> {
    static constexpr double farthest = 40;
    /* z from 0 to 39 */
    static constexpr double tail[] = {
        -1.89487031970139481e-10, 2.92236670158442762e-9, 1.22017746619184293e-8, -7.72805372234226804e-9,
        -9.28678052161097843e-8, -4.95506953341064668e-8, 4.5003421709553058e-7, 6.07999375912340391e-7,
        -1.94707016772639484e-6, -4.26000020691742336e-6, 9.32175433336408263e-6, 0.0000258810048591343289,
        -0.0000592044761800447367, -0.000139985012321795521, 0.00050771278193522995, 0.000353190735785165148,
        -0.00449481651140579191, 0.00944400199884449739, -0.00133303332197566854, -0.0431070432842276958,
        0.138378890063692615, -0.267101198874980839, 0.566463847811813606};
    static constexpr double erf[] = {-1.46209134094517487e-7, 1.63712344257700007e-6, -0.0000149230033681520988,
                                     0.000120552862020057133, -0.00085483265107247964, 0.00522397762201693636,
                                     -0.0268661706449997198, 0.112837916709548691, -0.376126389031837505, 1.12837916709551257};
    static constexpr int half = 27;
};

/* What x * x loses by being rounded. */
template <typename T> INLINE vec<T> rest_of_square(vec<T> x, vec<T> square) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_fmsub_ps((__m512)x, (__m512)x, (__m512)square);
    else
        return (vec<T>)_mm512_fmsub_pd((__m512d)x, (__m512d)x, (__m512d)square);
#elif defined(__FMA__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm256_fmsub_ps((__m256)x, (__m256)x, (__m256)square);
    else
        return (vec<T>)_mm256_fmsub_pd((__m256d)x, (__m256d)x, (__m256d)square);
#else
    const vec<T> high = (vec<T>)((bits<T>)x & ~lowest_bits<T>(Normal<T>::half)), low = x - high;
    return ((high * high - square) + T(2) * high * low) + low * low;
#endif
}

/* exp(-x^2 factor) for x whose square is finite; what the square loses would cost as many ulp as its size. */
template <typename T> INLINE vec<T> exp_of_minus_square(vec<T> x, T factor) {
    const vec<T> square = x * x;
    return exp<T>(square * -factor) * (T(1) - rest_of_square<T>(x, square) * factor);
}

/* Phi(-z) exp(z^2 / 2) for z from 0 to `farthest`. */
template <typename T> INLINE vec<T> scaled_tail(vec<T> z) {
    const vec<T> inverse = T(1) / ((z + T(4)) * (z + T(2)));
    return polynomial<T>(Normal<T>::tail, (z - T(4)) * (z + T(2)) * inverse) * ((z + T(4)) * inverse);
}

/* Phi, the normal distribution function, and exp(-x^2 / 2). */
template <typename T> struct NormalAt {
    vec<T> cdf, density;

    INLINE NormalAt of(vec<T> x) {
        const vec<T> z = at_most<T>(absolute<T>(x), Normal<T>::farthest);
        const vec<T> density = exp_of_minus_square<T>(z, T(0.5)), tail = density * scaled_tail<T>(z);
        return {x < T(0) ? tail : T(1) - tail, density};
    }
};

template <typename T> INLINE vec<T> erf(vec<T> x) {
    const vec<T> size = at_most<T>(absolute<T>(x), T(0.7) * Normal<T>::farthest);
    const vec<T> inside = size * polynomial<T>(Normal<T>::erf, size * size);
    const vec<T> tail = exp_of_minus_square<T>(size, T(1)) * scaled_tail<T>(size * T(1.41421356237309505));
    return with_sign_of<T>(size < T(0.5) ? inside : T(1) - T(2) * tail, x);
}

} // namespace TINYRNN_ISA
