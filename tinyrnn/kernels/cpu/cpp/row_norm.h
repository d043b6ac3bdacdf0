/* Layer normalization of one row inside a recurrent cell (Ba et al. 2016): (x - mean) / sqrt(variance + 1e-5), w x + b. */
#pragma once

#include "simd.h"

namespace TINYRNN_ISA {

template <typename T> INLINE T sum_row(const T *x, long count) {
    vec<T> sum{};
    for (long i = 0; i < count; i += LANES<T>)
        sum += load(x + i, minimum(LANES<T>, count - i));
    return sum_lanes<T>(sum);
}

template <typename T> INLINE T dot_rows(const T *x, const T *y, long count) {
    vec<T> sum{};
    for (long i = 0; i < count; i += LANES<T>)
        sum += load(x + i, minimum(LANES<T>, count - i)) * load(y + i, minimum(LANES<T>, count - i));
    return sum_lanes<T>(sum);
}

/* In place; `scale` becomes 1 / sqrt(variance + 1e-5). */
template <typename T> static void normalise_row(T *x, long count, T *scale) {
    const T mean = sum_row(x, count) / T(count);
    for (long i = 0; i < count; i++)
        x[i] -= mean;
    *scale = T(1) / (T)__builtin_sqrt(dot_rows(x, x, count) / T(count) + T(1e-5));
    for (long i = 0; i < count; i++)
        x[i] *= *scale;
}

template <typename T> static void scale_row(T *x, const T *weight, const T *bias, long count) {
    for (long i = 0; i < count; i++)
        x[i] = x[i] * weight[i] + bias[i];
}

/* The gradient of the row, in place of that of the normalised one x. */
template <typename T> static void normalise_row_backward(T *grad, const T *x, T scale, long count) {
    const T mean = sum_row(grad, count) / T(count), along = dot_rows(grad, x, count) / T(count);
    for (long i = 0; i < count; i++)
        grad[i] = scale * (grad[i] - mean - x[i] * along);
}

} // namespace TINYRNN_ISA
