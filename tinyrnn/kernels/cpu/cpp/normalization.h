/* Layer normalization of the rows of a matrix. */
#pragma once

#include "rows.h"

namespace TINYRNN_ISA {

constexpr long LAYER_NORM_LEAST = 16384; // elements that are worth a thread

template <typename T> static void layer_norm_forward(const LayerNormProblem *p, int threads) {
    const long size = p->size;
    const T *weight = (const T *)p->weight, *bias = (const T *)p->bias;
    run_team(members_for(p->rows * size, LAYER_NORM_LEAST, threads), [=](int member, int members) {
        const Share share(p->rows, 1, member, members);
        for (long r = share.first; r < share.last; r++) {
            const T *x = (const T *)p->x + r * size;
            T *y = (T *)p->y + r * size;
            const double total = sum_row<T>(size, [=](long i, long count) INLINE_BODY { return load(x + i, count); });
            const T mean = T(total / maximum(size, 1));
            const double squares = sum_row<T>(size, [=](long i, long count) INLINE_BODY {
                const vec<T> deviation = load_or(x + i, count, mean) - mean;
                return deviation * deviation;
            });
            const T rstd = T(1 / __builtin_sqrt(squares / maximum(size, 1) + p->eps));
            each_vector<T>(0, size, [=](long i, long count) INLINE_BODY {
                vec<T> z = (load(x + i, count) - mean) * rstd;
                if (weight)
                    z *= load(weight + i, count);
                if (bias)
                    z += load(bias + i, count);
                store(y + i, z, count);
            });
            ((T *)p->mean)[r] = mean;
            ((T *)p->rstd)[r] = rstd;
        }
    });
}

/* Rows whose part of the gradients of weight and bias is summed by itself, before the sums are added in order: so that these
   depend on the number of rows, but not on that of threads. There are at most LAYER_NORM_PARTS such parts. */
INLINE long layer_norm_part(long rows) {
    return maximum(16, (rows + LAYER_NORM_PARTS - 1) / LAYER_NORM_PARTS);
}

template <typename T> static void layer_norm_backward_row(const LayerNormProblem *p, long r, T *grad_weight, T *grad_bias) {
    const long size = p->size;
    const T *grad = (const T *)p->grad + r * size, *x = (const T *)p->x + r * size, *weight = (const T *)p->weight;
    T *grad_x = (T *)p->grad_x + r * size;
    const T mean = ((const T *)p->mean)[r], rstd = ((const T *)p->rstd)[r];
    const auto inner = [=](long i, long count) INLINE_BODY {
        return weight ? load(grad + i, count) * load(weight + i, count) : load(grad + i, count);
    };
    vec<T> total = {};
    const double dot = sum_row<T>(size, [=, &total](long i, long count) INLINE_BODY {
        const vec<T> normalized = (load_or(x + i, count, mean) - mean) * rstd, inside = inner(i, count);
        store(grad_bias + i, load(grad_bias + i, count) + load(grad + i, count), count);
        store(grad_weight + i, load(grad_weight + i, count) + load(grad + i, count) * normalized, count);
        total += inside;
        return inside * normalized;
    });
    const T average = sum_lanes<T>(total) / T(size), along = T(dot / size);
    each_vector<T>(0, size, [=](long i, long count) INLINE_BODY {
        const vec<T> normalized = (load(x + i, count) - mean) * rstd;
        store(grad_x + i, (inner(i, count) - average - normalized * along) * rstd, count);
    });
}

/* p->parts: room for 2 LAYER_NORM_PARTS rows. */
template <typename T> static void layer_norm_backward(const LayerNormProblem *p, int threads) {
    const long size = p->size, part = layer_norm_part(p->rows), parts = (p->rows + part - 1) / part;
    T *sums = (T *)p->parts;
    run_team(members_for(p->rows * size, LAYER_NORM_LEAST, threads), [=](int member, int members) {
        const Share share(parts, 1, member, members);
        for (long each = share.first; each < share.last; each++) {
            T *grad_weight = sums + 2 * each * size, *grad_bias = grad_weight + size;
            memset(grad_weight, 0, 2 * size * sizeof(T));
            for (long r = each * part; r < minimum((each + 1) * part, p->rows); r++)
                layer_norm_backward_row<T>(p, r, grad_weight, grad_bias);
        }
    });
    T *grad_weight = (T *)p->grad_weight, *grad_bias = (T *)p->grad_bias;
    each_vector<T>(0, size, [=](long i, long count) INLINE_BODY {
        vec<T> weight_sum = {}, bias_sum = {};
        for (long each = 0; each < parts; each++) {
            weight_sum += load(sums + 2 * each * size + i, count);
            bias_sum += load(sums + (2 * each + 1) * size + i, count);
        }
        store(grad_weight + i, weight_sum, count);
        store(grad_bias + i, bias_sum, count);
    });
}

} // namespace TINYRNN_ISA
