/* Softmax, its logarithm and cross-entropy, over the rows of a matrix. */
#include "rows.cuh"

/* The largest of a row and, of exp(x - largest), the sum. */
template <typename T> struct Row {
    using W = Wide<T>;
    W top, sum;
    __device__ Row(const T *x, long long columns) {
        const W lowest = -INFINITY;
        top = over_row(columns, lowest, Largest(), [=](long long k) { return wide(x[k]); });
        const W shift = top;
        sum = over_row(columns, W(0), Sum(), [=](long long k) { return exp(wide(x[k]) - shift); });
    }
};

template <typename T> __global__ void softmax_forward(const T *x, T *y, long long columns) {
    const long long start = blockIdx.x * columns;
    const Row<T> row(x + start, columns);
    for (long long k = threadIdx.x; k < columns; k += blockDim.x)
        store(y + start + k, exp(wide(x[start + k]) - row.top) / row.sum);
}

template <typename T> __global__ void softmax_backward(const T *grad, const T *y, T *result, long long columns) {
    const long long start = blockIdx.x * columns;
    const Wide<T> along = over_row(columns, Wide<T>(0), Sum(), [=](long long k) { return wide(grad[start + k]) * wide(y[start + k]); });
    for (long long k = threadIdx.x; k < columns; k += blockDim.x)
        store(result + start + k, wide(y[start + k]) * (wide(grad[start + k]) - along));
}

template <typename T> __global__ void log_softmax_forward(const T *x, T *y, long long columns) {
    const long long start = blockIdx.x * columns;
    const Row<T> row(x + start, columns);
    const Wide<T> log_sum = log(row.sum);
    for (long long k = threadIdx.x; k < columns; k += blockDim.x)
        store(y + start + k, wide(x[start + k]) - row.top - log_sum);
}

template <typename T> __global__ void log_softmax_backward(const T *grad, const T *y, T *result, long long columns) {
    const long long start = blockIdx.x * columns;
    const Wide<T> total = over_row(columns, Wide<T>(0), Sum(), [=](long long k) { return wide(grad[start + k]); });
    for (long long k = threadIdx.x; k < columns; k += blockDim.x)
        store(result + start + k, wide(grad[start + k]) - exp(wide(y[start + k])) * total);
}

/* `target` is a class or `ignore_index`; weights of classes or null. The loss is
   -(1 - s) w[target] y[target] - s / C sum over c of w[c] y[c], with y the log probabilities and s the smoothing. */
template <typename T>
__global__ void cross_entropy_forward(const T *x, const long long *target, const T *weight, T *losses, T *log_probabilities,
                                      long long columns, long long ignore_index, double smoothing) {
    using W = Wide<T>;
    const long long start = blockIdx.x * columns, aim = target[blockIdx.x];
    const Row<T> row(x + start, columns);
    const W log_sum = log(row.sum), top = row.top;
    for (long long k = threadIdx.x; k < columns; k += blockDim.x)
        store(log_probabilities + start + k, wide(x[start + k]) - top - log_sum);
    W loss = 0;
    if (smoothing != 0) {
        const W everywhere = over_row(columns, W(0), Sum(), [=](long long k) {
            const W y = wide(x[start + k]) - top - log_sum;
            return weight ? y * wide(weight[k]) : y;
        });
        loss = -W(smoothing) * everywhere / columns;
    }
    if (threadIdx.x == 0) {
        if (aim == ignore_index)
            loss = 0;
        else
            loss -= W(1 - smoothing) * (weight ? wide(weight[aim]) : W(1)) * (wide(x[start + aim]) - top - log_sum);
        store(losses + blockIdx.x, loss);
    }
}

template <typename T>
__global__ void cross_entropy_backward(const T *grad, const T *log_probabilities, const long long *target, const T *weight,
                                       T *result, long long columns, long long ignore_index, double smoothing) {
    using W = Wide<T>;
    const long long start = blockIdx.x * columns, aim = target[blockIdx.x];
    const bool ignored = aim == ignore_index;
    const W share = W(smoothing) / columns, scale = ignored ? W(0) : wide(grad[blockIdx.x]);
    const W own = ignored ? W(0) : W(1 - smoothing) * (weight ? wide(weight[aim]) : W(1));
    W total = own; /* of what the probabilities are compared with */
    if (smoothing != 0)
        total += share * (weight ? over_row(columns, W(0), Sum(), [=](long long k) { return wide(weight[k]); }) : W(columns));
    for (long long k = threadIdx.x; k < columns; k += blockDim.x) {
        const W goal = share * (weight ? wide(weight[k]) : W(1)) + (k == aim ? own : W(0));
        store(result + start + k, ignored ? W(0) : (exp(wide(log_probabilities[start + k])) * total - goal) * scale);
    }
}
