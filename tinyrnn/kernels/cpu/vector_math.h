/* exp, tanh and sigmoid of float arrays, written so that the compiler turns the loops into vector code.

   exp: x = n ln 2 + r with |r| <= ln(2)/2, e^r by the polynomial of Cephes' expf (S. Moshier), times 2^n in two steps so
   that neither overflow nor denormals need a branch. tanh: Cephes' tanhf polynomial near 0, else by exp. The comparisons
   are written so that NaN goes through. Beside them the sigmoid of a double, by the exp of libm. */
#ifndef TINYRNN_VECTOR_MATH_H
#define TINYRNN_VECTOR_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* One clone of each loop for newer x86-64 processors, picked when the module is loaded. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__)
#define TINYRNN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TINYRNN_CLONES
#endif

static inline __attribute__((always_inline)) float tinyrnn_power_of_two(int32_t n) {
    int32_t bits = (n + 127) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline __attribute__((always_inline)) float tinyrnn_expf(float x) {
    float y = x > 89.0f ? 89.0f : x;
    y = y < -104.0f ? -104.0f : y;
    float shifted = y * 1.44269504088896341f + 12582912.0f; /* adding 1.5 * 2^23 rounds to an integer */
    int32_t n;
    memcpy(&n, &shifted, sizeof n);
    n -= 0x4b400000;
    float whole = shifted - 12582912.0f;
    float r = y - whole * 0.693359375f;
    r = r - whole * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t half = n >> 1;
    return p * tinyrnn_power_of_two(half) * tinyrnn_power_of_two(n - half);
}

static inline __attribute__((always_inline)) float tinyrnn_tanhf(float x) {
    float magnitude = x < 0.0f ? -x : x;
    float z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float near = x + x * z * p;
    float far = 1.0f - 2.0f / (tinyrnn_expf(2.0f * magnitude) + 1.0f);
    far = x < 0.0f ? -far : far;
    return magnitude < 0.625f ? near : far;
}

static inline __attribute__((always_inline)) float tinyrnn_sigmoidf(float x) {
    float e = tinyrnn_expf(x < 0.0f ? x : -x); /* of -|x|: never overflows */
    float y = 1.0f / (1.0f + e);
    return x < 0.0f ? e * y : y;
}

static inline __attribute__((always_inline)) double tinyrnn_sigmoid(double x) {
    double e = exp(-fabs(x)); /* never overflows */
    double y = 1 / (1 + e);
    return x < 0 ? e * y : y;
}

TINYRNN_CLONES static void tinyrnn_tanh_array(const float *x, float *y, intptr_t n) {
    for (intptr_t i = 0; i < n; i++) y[i] = tinyrnn_tanhf(x[i]);
}

TINYRNN_CLONES static void tinyrnn_sigmoid_array(const float *x, float *y, intptr_t n) {
    for (intptr_t i = 0; i < n; i++) y[i] = tinyrnn_sigmoidf(x[i]);
}

#endif
