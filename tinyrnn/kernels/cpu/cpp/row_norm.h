/* Layer normalization of one row inside a recurrent cell (Ba et al. 2016): (x - mean) / sqrt(variance + 1e-5), w x + b. */
#pragma once

#include "rows.h"

namespace TINYRNN_ISA {

template <typename T> INLINE T mean_of(const T *x, long count) {
    return T(sum_row<T>(count, [=](long i, long here) INLINE_BODY { return load(x + i, here); }) / count);
}

template <typename T> INLINE T mean_product(const T *x, const T *y, long count) {
    return T(sum_row<T>(count, [=](long i, long here) INLINE_BODY { return load(x + i, here) * load(y + i, here); }) / count);
}

/* In place; `scale` becomes 1 / sqrt(variance + 1e-5). */
template <typename T> static void normalise_row(T *x, long count, T *scale) {
    const T mean = mean_of(x, count);
    for (long i = 0; i < count; i++)
        x[i] -= mean;
    *scale = T(1) / (T)__builtin_sqrt(mean_product(x, x, count) + T(1e-5));
    for (long i = 0; i < count; i++)
        x[i] *= *scale;
}

template <typename T> static void scale_row(T *x, const T *weight, const T *bias, long count) {
    for (long i = 0; i < count; i++)
        x[i] = x[i] * weight[i] + bias[i];
}

/* The gradient of the row, in place of that of the normalised one x. */
template <typename T> static void normalise_row_backward(T *grad, const T *x, T scale, long count) {
    const T mean = mean_of(grad, count), along = mean_product(grad, x, count);
    for (long i = 0; i < count; i++)
        grad[i] = scale * (grad[i] - mean - x[i] * along);
}

} // namespace TINYRNN_ISA
