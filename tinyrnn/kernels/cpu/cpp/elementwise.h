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

/* y = value(i, count), a vector at a time, by all threads that are worth it if each takes `least` elements. */
template <typename T, typename Value> static void fill(void *to, long n, long least, int threads, const Value &value) {
    T *y = (T *)to;
    run_team(members_for(n, least, threads), [&](int member, int members) {
        const Share share(n, 16 * LANES<T>, member, members);
        each_vector<T>(share.first, share.last, [&](long i, long count) INLINE_BODY { store(y + i, value(i, count), count); });
    });
}

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
    fill<T>(to, n, Function::least, threads,
            [=](long i, long count) INLINE_BODY { return Function::template of<T>(load(x + i, count)); });
}

/* An operand: an array (step 1), or one number (step 0), which is repeated in a vector that is read again and again. */
template <typename T> struct ArrayOrNumber {
    const T *data;
    const long step;
    T repeated[LANES<T>];

    ArrayOrNumber(const void *from, long step) : data((const T *)from), step(step) {
        if (step == 0) {
            for (T &each : repeated)
                each = *data;
            data = repeated;
        }
    }
    ArrayOrNumber(const ArrayOrNumber &) = delete; // it may point into itself
    inline INLINE_BODY vec<T> at(long i, long count) const { return load(data + i * step, count); }
};

template <typename T, typename Function>
static void binary(const void *first, long first_step, const void *second, long second_step, void *to, long n, int threads) {
    const ArrayOrNumber<T> a(first, first_step), b(second, second_step);
    fill<T>(to, n, Function::least, threads,
            [&](long i, long count) INLINE_BODY { return Function::template of<T>(a.at(i, count), b.at(i, count)); });
}

/* y = a + alpha b. */
template <typename T>
static void add_scaled(const void *first, const void *second, double factor, void *to, long n, int threads) {
    const T *a = (const T *)first, *b = (const T *)second;
    const T alpha = (T)factor;
    fill<T>(to, n, Add::least, threads,
            [=](long i, long count) INLINE_BODY { return load(a + i, count) + alpha * load(b + i, count); });
}

/* y = x, but at least `low`, and then at most `high`; NaN stays. */
template <typename T> static void clamp(const void *from, double low, double high, void *to, long n, int threads) {
    const T *x = (const T *)from;
    const vec<T> least = broadcast<T>((T)low), most = broadcast<T>((T)high);
    fill<T>(to, n, ReluForward::least, threads, [=](long i, long count) INLINE_BODY {
        vec<T> v = load(x + i, count);
        v = v < least ? least : v;
        return v > most ? most : v;
    });
}

} // namespace TINYRNN_ISA
