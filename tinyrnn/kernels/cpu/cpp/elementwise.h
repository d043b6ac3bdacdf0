/* Functions of arrays, element by element: arithmetic, and what activations.h has.

   No element's bits depend on where it stands: whole vectors and what is left over are computed by the same instructions. */
#pragma once

#include "activations.h"
#include "table.h"
#include "team.h"

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
    static constexpr long least = CHEAP;
};

struct Add {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b) { return a + b; }
    static constexpr long least = CHEAP;
};

struct Sub {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b) { return a - b; }
    static constexpr long least = CHEAP;
};

struct Mul {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b) { return a * b; }
    static constexpr long least = CHEAP;
};

struct Div {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b) { return a / b; }
    static constexpr long least = CHEAP;
};

struct AddScaled {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b, vec<T> alpha, vec<T>) { return a + alpha * b; }
    static constexpr long least = CHEAP;
};

/* From a to b; the nearer end is where it starts from, so that both are reached exactly. */
struct Lerp {
    template <typename T> INLINE vec<T> of(vec<T> a, vec<T> b, vec<T> weight, vec<T>) {
        return absolute<T>(weight) < T(0.5) ? a + weight * (b - a) : b - (b - a) * (T(1) - weight);
    }
    static constexpr long least = CHEAP;
};

/* At least `low`, and then at most `high`; NaN stays. */
struct Clamp {
    template <typename T> INLINE vec<T> of(vec<T> x, vec<T>, vec<T> low, vec<T> high) {
        const vec<T> raised = x < low ? low : x;
        return raised > high ? high : raised;
    }
    static constexpr long least = CHEAP;
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

/* Of one or two arrays (then `second` is any of the same size) and of one or two numbers. */
template <typename T, typename Function>
static void with_numbers(const void *first, const void *second, double p, double q, void *to, long n, int threads) {
    const T *a = (const T *)first, *b = (const T *)second;
    const vec<T> number = broadcast<T>((T)p), other = broadcast<T>((T)q);
    fill<T>(to, n, Function::least, threads, [=](long i, long count) INLINE_BODY {
        return Function::template of<T>(load(a + i, count), load(b + i, count), number, other);
    });
}

} // namespace TINYRNN_ISA
