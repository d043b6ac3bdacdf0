/* Functions of one and of two arrays, element by element: arithmetic, activations and their gradients.

   No element's bits depend on where it stands: whole vectors and what is left over are computed by the same instructions. */
#pragma once

#include "table.h"
#include "team.h"
#include "vector_math.h"

namespace TINYRNN_ISA {

/* Call body(i, count) for all of [first, last), a vector at a time; `count` is less than a vector only in the last call. */
template <typename T, typename Body> INLINE void each_vector(long first, long last, const Body &body) {
    long i = first;
    for (; i + LANES<T> <= last; i += LANES<T>)
        body(i, LANES<T>);
    if (i < last)
        body(i, last - i);
}

/* Bodies of loops over vectors, which are only fast if they become part of the loop. */
#define INLINE_BODY __attribute__((always_inline))

struct Neg {
    template <typename T> INLINE vec<T> of(vec<T> x) { return -x; }
    static constexpr long least = 32768; // elements that are worth a thread
};

struct Exponential {
    template <typename T> INLINE vec<T> of(vec<T> x) { return exp<T>(x); }
    static constexpr long least = 16384;
};

struct TanhForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return tanh<T>(x); }
    static constexpr long least = 16384;
};

struct SigmoidForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return sigmoid<T>(x); }
    static constexpr long least = 16384;
};

struct ReluForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return x <= T(0) ? vec<T>{} : x; } // NaN stays
    static constexpr long least = 32768;
};

struct SiluForward {
    template <typename T> INLINE vec<T> of(vec<T> x) { return x * sigmoid<T>(x); }
    static constexpr long least = 16384;
};

struct Add {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b) { return a + b; }
    static constexpr long least = 32768;
};

struct Sub {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b) { return a - b; }
    static constexpr long least = 32768;
};

struct Mul {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b) { return a * b; }
    static constexpr long least = 32768;
};

struct Div {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b) { return a / b; }
    static constexpr long least = 32768;
};

struct TanhBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> y) { return grad * (T(1) - y * y); }
    static constexpr long least = 32768;
};

struct SigmoidBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> y) { return grad * y * (T(1) - y); }
    static constexpr long least = 32768;
};

struct ReluBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> y) { return y <= T(0) ? vec<T>{} : grad; }
    static constexpr long least = 32768;
};

struct SiluBackward {
    template <typename T> INLINE vec<T> of(vec<T> grad, vec<T> x) {
        const vec<T> s = sigmoid<T>(x);
        return grad * (s * (T(1) + x * (T(1) - s)));
    }
    static constexpr long least = 16384;
};

template <typename T, typename Function> static void unary(const void *from, void *to, long n, int threads) {
    const T *x = (const T *)from;
    T *y = (T *)to;
    run_team(members_for(n, Function::least, threads), [=](int member, int members) {
        const Share share(n, 16 * LANES<T>, member, members);
        each_vector<T>(share.first, share.last, [=](long i, long count) INLINE_BODY {
            store(y + i, Function::template of<T>(load(x + i, count)), count);
        });
    });
}

template <typename T, typename Function>
static void binary(const void *first, const void *second, void *to, long n, int threads) {
    const T *a = (const T *)first, *b = (const T *)second;
    T *y = (T *)to;
    run_team(members_for(n, Function::least, threads), [=](int member, int members) {
        const Share share(n, 16 * LANES<T>, member, members);
        each_vector<T>(share.first, share.last, [=](long i, long count) INLINE_BODY {
            store(y + i, Function::template of<T>(load(a + i, count), load(b + i, count)), count);
        });
    });
}

} // namespace TINYRNN_ISA
