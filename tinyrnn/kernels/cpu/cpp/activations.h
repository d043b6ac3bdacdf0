/* Activations and their gradients, as functions that elementwise.h applies to every element: of one array, or of two and two
   numbers, which may go unused. A gradient's first argument is the gradient of the output.

   `least`: how many elements are worth a thread. */
#pragma once

#include "special_functions.h"

namespace TINYRNN_ISA {

enum { CHEAP = 32768, DEAR = 16384 };

struct Exponential {
    template <typename T> INLINE vec<T> of(vec<T> x) { return exp<T>(x); }
    static constexpr long least = DEAR;
};

struct Logarithm {
    template <typename T> INLINE vec<T> of(vec<T> x) { return log<T>(x); }
    static constexpr long least = DEAR;
};

struct ErrorFunction {
    template <typename T> INLINE vec<T> of(vec<T> x) { return erf<T>(x); }
    static constexpr long least = DEAR;
};

struct TanhForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return tanh<T>(x); }
    static constexpr long least = DEAR;
};

struct TanhBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> y, vec<T>, vec<T>) { return grad * (T(1) - y * y); }
    static constexpr long least = CHEAP;
};

struct SigmoidForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return sigmoid<T>(x); }
    static constexpr long least = DEAR;
};

struct SigmoidBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> y, vec<T>, vec<T>) { return grad * y * (T(1) - y); }
    static constexpr long least = CHEAP;
};

/* log(sigmoid(x)) */
struct LogSigmoidForward {
    template <typename T> INLINE vec<T> of(vec<T> x) {
        return (x < T(0) ? x : vec<T>{}) - log_of_one_more<T>(exp<T>(-absolute<T>(x)));
    }
    static constexpr long least = DEAR;
};

struct LogSigmoidBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> x, vec<T>, vec<T>) { return grad * sigmoid<T>(-x); }
    static constexpr long least = DEAR;
};

struct ReluForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return x <= T(0) ? vec<T>{} : x; } // NaN stays
    static constexpr long least = CHEAP;
};

struct ReluBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> y, vec<T>, vec<T>) { return y <= T(0) ? vec<T>{} : grad; }
    static constexpr long least = CHEAP;
};

struct LeakyReluForward {
    template <typename T> INLINE vec<T> of(vec<T> x, vec<T>, vec<T> slope, vec<T>) { return x > T(0) ? x : x * slope; }
    static constexpr long least = CHEAP;
};

struct LeakyReluBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> x, vec<T> slope, vec<T>) {
        return x > T(0) ? grad : grad * slope;
    }
    static constexpr long least = CHEAP;
};

/* alpha (e^x - 1) where x < 0; -0 stays */
struct EluForward {
    template <typename T> INLINE vec<T> of(vec<T> x, vec<T>, vec<T> alpha, vec<T>) {
        return x < T(0) ? alpha * exp_minus_one_of_negative<T>(x) : x;
    }
    static constexpr long least = DEAR;
};

struct EluBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> x, vec<T> alpha, vec<T>) {
        return x <= T(0) ? grad * (alpha * exp<T>(x)) : grad;
    }
    static constexpr long least = DEAR;
};

struct SiluForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return x * sigmoid<T>(x); }
    static constexpr long least = DEAR;
};

struct SiluBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> x, vec<T>, vec<T>) {
        const vec<T> s = sigmoid<T>(x);
        return grad * (s * (T(1) + x * (T(1) - s)));
    }
    static constexpr long least = DEAR;
};

struct GeluForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return x * NormalAt<T>::of(x).cdf; }
    static constexpr long least = DEAR;
};

struct GeluBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> x, vec<T>, vec<T>) {
        const auto normal = NormalAt<T>::of(x);
        return grad * (normal.cdf + x * (normal.density * T(0.39894228040143268)));
    }
    static constexpr long least = DEAR;
};

/* 2 sqrt(2 / pi) (x + 0.044715 x^3): (1 + tanh(z / 2)) / 2 is sigmoid(z), which keeps its digits where the tanh is nearly -1 */
template <typename T> INLINE vec<T> gelu_inner(vec<T> x) {
    return T(1.5957691216057308) * (x + T(0.044715) * x * x * x);
}

struct GeluTanhForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return x * sigmoid<T>(gelu_inner<T>(x)); }
    static constexpr long least = DEAR;
};

struct GeluTanhBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> x, vec<T>, vec<T>) {
        const vec<T> z = gelu_inner<T>(x), s = sigmoid<T>(z);
        return grad * (s + x * s * sigmoid<T>(-z) * (T(1.5957691216057308) * (T(1) + T(3 * 0.044715) * x * x)));
    }
    static constexpr long least = DEAR;
};

/* log(1 + e^(beta x)) / beta, and x where beta x > threshold */
struct SoftplusForward {
    template <typename T> INLINE vec<T> of(vec<T> x, vec<T>, vec<T> beta, vec<T> threshold) {
        const vec<T> z = x * beta;
        const vec<T> y = ((z < T(0) ? vec<T>{} : z) + log_of_one_more<T>(exp<T>(-absolute<T>(z)))) / beta;
        return z > threshold ? x : y;
    }
    static constexpr long least = DEAR;
};

struct SoftplusBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> x, vec<T> beta, vec<T> threshold) {
        const vec<T> z = x * beta;
        return z > threshold ? grad : grad * sigmoid<T>(z);
    }
    static constexpr long least = DEAR;
};

} // namespace TINYRNN_ISA
