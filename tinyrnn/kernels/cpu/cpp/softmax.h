/* Softmax, log-softmax and cross-entropy, row by row while the row is in the cache.

   A NaN or +inf anywhere in a row makes the sum of exponentials NaN, and so the row: the maximum need not look for it. */
#pragma once

#include "rows.h"

namespace TINYRNN_ISA {

constexpr long SOFTMAX_LEAST = 16384; // elements that are worth a thread

/* body(row number) for all rows, shared by the team. */
template <typename Body> static void each_row(long rows, long size, int threads, const Body &body) {
    run_team(members_for(rows * size, SOFTMAX_LEAST, threads), [&](int member, int members) {
        const Share share(rows, 1, member, members);
        for (long r = share.first; r < share.last; r++)
            body(r);
    });
}

template <typename T> static void softmax_forward(const RowsProblem *p, int threads) {
    const long size = p->size;
    each_row(p->rows, size, threads, [=](long r) {
        const T *x = (const T *)p->a + r * size;
        T *y = (T *)p->out + r * size;
        const T top = max_row(x, size);
        const double total = sum_row<T>(size, [=](long i, long count) INLINE_BODY {
            const vec<T> e = exp<T>(load_or(x + i, count, T(-__builtin_inf())) - top);
            store(y + i, e, count);
            return e;
        });
        const T factor = T(1 / total);
        each_vector<T>(0, size, [=](long i, long count) INLINE_BODY { store(y + i, load(y + i, count) * factor, count); });
    });
}

template <typename T> static void softmax_backward(const RowsProblem *p, int threads) {
    const long size = p->size;
    each_row(p->rows, size, threads, [=](long r) {
        const T *grad = (const T *)p->a + r * size, *y = (const T *)p->b + r * size;
        T *out = (T *)p->out + r * size;
        const T total = (T)sum_row<T>(
            size, [=](long i, long count) INLINE_BODY { return load(grad + i, count) * load(y + i, count); });
        each_vector<T>(0, size, [=](long i, long count) INLINE_BODY {
            store(out + i, load(y + i, count) * (load(grad + i, count) - total), count);
        });
    });
}

template <typename T> INLINE void log_softmax_row(const T *x, T *y, long size) {
    const T top = max_row(x, size);
    const double total = sum_row<T>(size, [=](long i, long count) INLINE_BODY {
        return exp<T>(load_or(x + i, count, T(-__builtin_inf())) - top);
    });
    const T rest = T(__builtin_log(total));
    each_vector<T>(0, size, [=](long i, long count) INLINE_BODY {
        store(y + i, (load(x + i, count) - top) - rest, count);
    });
}

template <typename T> static void log_softmax_forward(const RowsProblem *p, int threads) {
    const long size = p->size;
    each_row(p->rows, size, threads,
             [=](long r) { log_softmax_row((const T *)p->a + r * size, (T *)p->out + r * size, size); });
}

template <typename T> static void log_softmax_backward(const RowsProblem *p, int threads) {
    const long size = p->size;
    each_row(p->rows, size, threads, [=](long r) {
        const T *grad = (const T *)p->a + r * size, *y = (const T *)p->b + r * size;
        T *out = (T *)p->out + r * size;
        const T total = (T)sum_row<T>(size, [=](long i, long count) INLINE_BODY { return load(grad + i, count); });
        each_vector<T>(0, size, [=](long i, long count) INLINE_BODY {
            store(out + i, load(grad + i, count) - exp<T>(load(y + i, count)) * total, count);
        });
    });
}

/* ---- cross-entropy ---- */

template <typename T> static void cross_entropy_forward(const CrossEntropyProblem *p, int threads) {
    const long size = p->classes;
    const T *weight = (const T *)p->weight;
    each_row(p->rows, size, threads, [=](long r) {
        T *y = (T *)p->log_probabilities + r * size;
        log_softmax_row((const T *)p->x + r * size, y, size);
        T *loss = (T *)p->losses + r;
        const long goal = p->target[r];
        *loss = 0;
        if (goal == p->ignore_index)
            return;
        double value = -(double)y[goal] * (weight ? weight[goal] : T(1));
        if (p->smoothing != 0) {
            const double everywhere = sum_row<T>(size, [=](long i, long count) INLINE_BODY {
                return weight ? load(y + i, count) * load(weight + i, count) : load(y + i, count);
            });
            value = (1 - p->smoothing) * value - p->smoothing / size * everywhere;
        }
        *loss = (T)value;
    });
}

/* With a_k what log-probability k counts for in the loss, the gradient is grad (exp(y) sum(a) - a). */
template <typename T> static void cross_entropy_backward(const CrossEntropyProblem *p, int threads) {
    const long size = p->classes;
    const T *weight = (const T *)p->weight;
    const double share = size ? p->smoothing / size : 0;
    const double weights =
        weight ? sum_row<T>(size, [=](long i, long count) INLINE_BODY { return load(weight + i, count); }) : (double)size;
    each_row(p->rows, size, threads, [=](long r) {
        const T *y = (const T *)p->log_probabilities + r * size;
        T *out = (T *)p->grad_x + r * size;
        const long goal = p->target[r];
        if (goal == p->ignore_index) {
            memset(out, 0, size * sizeof(T));
            return;
        }
        const double grad = ((const T *)p->grad)[r], aim = (1 - p->smoothing) * (weight ? weight[goal] : T(1));
        const T slope = T(grad * (share * weights + aim)), spread = T(grad * share);
        each_vector<T>(0, size, [=](long i, long count) INLINE_BODY {
            vec<T> result = exp<T>(load(y + i, count)) * slope;
            if (share != 0)
                result -= weight ? load(weight + i, count) * spread : broadcast<T>(spread);
            store(out + i, result, count);
        });
        out[goal] -= T(grad * aim);
    });
}

} // namespace TINYRNN_ISA
