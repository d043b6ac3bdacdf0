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

/* The same, `unrolled` vectors at a time, whose loads need not wait for the stores before. */
template <typename T, int unrolled, typename Body> INLINE void each_vectors(long first, long last, const Body &body) {
    long i = first;
    if constexpr (unrolled == 0) {
        for (; i < last; i += LANES<T>)
            body(i, last - i);
        return;
    }
    for (; i + unrolled * LANES<T> <= last; i += unrolled * LANES<T>) {
        UNROLL
        for (int k = 0; k < unrolled; k++)
            body(i + k * LANES<T>, LANES<T>);
    }
    each_vector<T>(i, last, body);
}

/* What costs little beside its loads and stores is worth more code; double is to be small. 0: one copy, for whole vectors and
   for what is left. */
template <typename T, typename Function>
constexpr int UNROLLED = Function::least == DEAR ? 0 : sizeof(T) == 4 ? 4 : 1;

/* y = value(i, count), by all threads that are worth it. */
template <typename T, typename Function, typename Value>
static void fill(void *to, long n, int threads, const Value &value) {
    T *y = (T *)to;
    run_team(members_for(n, Function::least, threads), [&](int member, int members) {
        const Share share(n, 16 * LANES<T>, member, members);
        each_vectors<T, UNROLLED<T, Function>>(
            share.first, share.last, [&](long i, long count) INLINE_BODY { store(y + i, value(i, count), count); });
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
    fill<T, Function>(to, n, threads,
                      [=](long i, long count) INLINE_BODY { return Function::template of<T>(load(x + i, count)); });
}

/* y = function(a, b) for the elements [first, last) of a row; a step is 1, or 0 where one number is there for the whole row. */
template <typename T, typename Function>
static void arithmetic_of_row(const T *a, long a_step, const T *b, long b_step, T *y, long first, long last) {
    constexpr int unrolled = UNROLLED<T, Function>;
    if (a_step && b_step) {
        each_vectors<T, unrolled>(first, last, [=](long i, long count) INLINE_BODY {
            store(y + i, Function::template of<T>(load(a + i, count), load(b + i, count)), count);
        });
    } else if (a_step) {
        const vec<T> number = broadcast<T>(*b);
        each_vectors<T, unrolled>(first, last, [=](long i, long count) INLINE_BODY {
            store(y + i, Function::template of<T>(load(a + i, count), number), count);
        });
    } else {
        const vec<T> number = broadcast<T>(*a);
        const long b_all = b_step; // 0: both are numbers
        each_vectors<T, unrolled>(first, last, [=](long i, long count) INLINE_BODY {
            store(y + i, Function::template of<T>(number, b_all ? load(b + i, count) : broadcast<T>(*b)), count);
        });
    }
}

template <typename T, typename Function>
static void arithmetic(const struct Operand *first, const struct Operand *second, void *to, long rows, long n, int threads) {
    const Operand a = *first, b = *second;
    run_team(members_for(rows * n, Function::least, threads), [=](int member, int members) {
        const Share share(rows * n, 16 * LANES<T>, member, members);
        for (long start = share.first; start < share.last;) {
            const long row = start / n, from = start - row * n, until = minimum(n, share.last - row * n);
            arithmetic_of_row<T, Function>((const T *)a.data + row * a.row, a.step, (const T *)b.data + row * b.row, b.step,
                                    (T *)to + row * n, from, until);
            start += until - from;
        }
    });
}

/* y = mask ? a : b, of arrays or numbers. Among threads and unrolled it is like Neg: cheap beside its loads and stores. */
template <typename T>
static void where(const uint8_t *mask, const struct Operand *first, const struct Operand *second, void *to, long n, int threads) {
    const T *a = (const T *)first->data, *b = (const T *)second->data;
    const bool all_a = first->step, all_b = second->step;
    const vec<T> number = broadcast<T>(*a), other = broadcast<T>(*b);
    fill<T, Neg>(to, n, threads, [=](long i, long count) INLINE_BODY {
        typedef int8_t few __attribute__((vector_size(LANES<T>)));
        few chosen = {};
        if (count >= LANES<T>)
            memcpy(&chosen, mask + i, sizeof chosen);
        else
            memcpy(&chosen, mask + i, count);
        return __builtin_convertvector(chosen, bits<T>) != 0 ? (all_a ? load(a + i, count) : number)
                                                             : (all_b ? load(b + i, count) : other);
    });
}

/* Of one or two arrays and of up to two numbers; in the place of what a function does not take, anything may stand. */
template <typename T, typename Function>
static void elementwise(const void *first, const void *second, double p, double q, void *to, long n, int threads) {
    const T *a = (const T *)first, *b = (const T *)second;
    const vec<T> number = broadcast<T>((T)p), other = broadcast<T>((T)q);
    fill<T, Function>(to, n, threads, [=](long i, long count) INLINE_BODY {
        return Function::template of<T>(load(a + i, count), load(b + i, count), number, other);
    });
}

} // namespace TINYRNN_ISA
