/* Layer normalization of rows. */
#include "rows.cuh"

template <typename T>
__global__ void layer_norm_forward(const T *x, const T *weight, const T *bias, T *y, Wide<T> *means, Wide<T> *rstds, long long columns,
                                   double eps) {
    using W = Wide<T>;
    const long long start = blockIdx.x * columns;
    const W mean = over_row(columns, W(0), Sum(), [=](long long k) { return wide(x[start + k]); }) / columns;
    const W squares = over_row(columns, W(0), Sum(), [=](long long k) {
        const W deviation = wide(x[start + k]) - mean;
        return deviation * deviation;
    });
    const W rstd = 1 / sqrt(squares / columns + W(eps));
    for (long long k = threadIdx.x; k < columns; k += blockDim.x) {
        W value = (wide(x[start + k]) - mean) * rstd;
        if (weight)
            value *= wide(weight[k]);
        if (bias)
            value += wide(bias[k]);
        store(y + start + k, value);
    }
    if (threadIdx.x == 0)
        means[blockIdx.x] = mean, rstds[blockIdx.x] = rstd;
}

/* The gradient of x, and `products`, those of the weight before they are summed over the rows. */
template <typename T>
__global__ void layer_norm_backward(const T *grad, const T *x, const Wide<T> *means, const Wide<T> *rstds, const T *weight, T *result,
                                    Wide<T> *products, long long columns) {
    using W = Wide<T>;
    const long long start = blockIdx.x * columns;
    const W mean = means[blockIdx.x], rstd = rstds[blockIdx.x];
    const auto inner = [=](long long k) { return weight ? wide(grad[start + k]) * wide(weight[k]) : wide(grad[start + k]); };
    const auto normed = [=](long long k) { return (wide(x[start + k]) - mean) * rstd; };
    const W average = over_row(columns, W(0), Sum(), inner) / columns;
    const W along = over_row(columns, W(0), Sum(), [=](long long k) { return inner(k) * normed(k); }) / columns;
    for (long long k = threadIdx.x; k < columns; k += blockDim.x) {
        store(result + start + k, (inner(k) - average - normed(k) * along) * rstd);
        products[start + k] = wide(grad[start + k]) * normed(k);
    }
}
