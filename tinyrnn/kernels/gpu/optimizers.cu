/* Clipping and optimizer steps, over the arrays of all parameters at once: a block takes a piece of one array. */
#include "rows.cuh"

/* An array of each kind of the parameter that a piece belongs to, null where there is none; optimizers.py writes the same. */
template <typename T> struct Parameter {
    T *value;
    const T *grad;
    T *first, *second, *largest; /* momentum or exp_avg, exp_avg_sq, max_exp_avg_sq */
    long long size;
};
struct Piece {
    long long parameter, start;
};
constexpr long long PIECE = 4096;

/* Calls function(parameter, i) for the elements of this block's piece. */
template <typename T, typename Function>
__device__ void each_element(const Parameter<T> *parameters, const Piece *pieces, Function function) {
    const Piece piece = pieces[blockIdx.x];
    const Parameter<T> &parameter = parameters[piece.parameter];
    const long long end = min(piece.start + PIECE, parameter.size);
    for (long long i = piece.start + threadIdx.x; i < end; i += blockDim.x)
        function(parameter, i);
}

/* The sum of the squares of every piece. */
template <typename T> __global__ void square_sums(const Parameter<T> *parameters, const Piece *pieces, double *sums) {
    double sum = 0;
    each_element(parameters, pieces, [&](const Parameter<T> &p, long long i) {
        const double x = wide(p.value[i]);
        sum += x * x;
    });
    sum = over_block(sum, Sum());
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

template <typename T> __global__ void scale_inplace(const Parameter<T> *parameters, const Piece *pieces, const double *factor) {
    const Wide<T> by = *factor;
    each_element(parameters, pieces, [=](const Parameter<T> &p, long long i) { store(p.value + i, wide(p.value[i]) * by); });
}

template <typename T>
__global__ void sgd_step(const Parameter<T> *parameters, const Piece *pieces, double lr, double momentum, double dampening,
                         double weight_decay, bool nesterov, bool maximize) {
    using W = Wide<T>;
    each_element(parameters, pieces, [=](const Parameter<T> &p, long long i) {
        W g = maximize ? -wide(p.grad[i]) : wide(p.grad[i]);
        if (weight_decay != 0)
            g += W(weight_decay) * wide(p.value[i]);
        if (p.first) {
            const W buffer = W(momentum) * wide(p.first[i]) + W(1 - dampening) * g;
            store(p.first + i, buffer);
            g = nesterov ? g + W(momentum) * buffer : buffer;
        }
        store(p.value + i, wide(p.value[i]) - W(lr) * g);
    });
}

/* step_size: lr / (1 - beta1^step); root: sqrt(1 - beta2^step). */
template <typename T>
__global__ void adam_step(const Parameter<T> *parameters, const Piece *pieces, double step_size, double root, double lr, double beta1,
                          double beta2, double eps, double weight_decay, bool decoupled, bool maximize) {
    using W = Wide<T>;
    each_element(parameters, pieces, [=](const Parameter<T> &p, long long i) {
        W value = wide(p.value[i]), g = maximize ? -wide(p.grad[i]) : wide(p.grad[i]);
        if (decoupled)
            value *= W(1 - lr * weight_decay);
        else if (weight_decay != 0)
            g += W(weight_decay) * value;
        const W before = wide(p.first[i]), m = before + W(1 - beta1) * (g - before);
        const W v = W(beta2) * wide(p.second[i]) + W(1 - beta2) * (g * g);
        store(p.first + i, m);
        store(p.second + i, v);
        W second = v;
        if (p.largest) {
            const W largest = wide(p.largest[i]);
            second = v > largest || v != v ? v : largest;
            store(p.largest + i, second);
        }
        store(p.value + i, value - W(step_size) * (m / (sqrt(second) / W(root) + W(eps))));
    });
}
