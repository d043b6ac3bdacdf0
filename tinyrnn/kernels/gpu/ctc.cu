/* Connectionist temporal classification: a block takes one sequence, its threads the states of the target. The sums over the beginnings
   and ends of paths are those of kernels/reference_ctc.py: logarithms, in double. */
#include "rows.cuh"

__device__ inline double log_sum(double a, double b) {
    const double top = a >= b || a != a ? a : b, low = a >= b ? b : a;
    return top == -INFINITY ? top : top + log1p(exp(low - top));
}

template <typename T> struct Sequence {
    const T *log_probs;      /* (T, B, C) */
    const long long *labels; /* (S,) of this sequence */
    long long b, B, C, steps, states, blank;

    __device__ Sequence(const T *log_probs, const long long *targets, const long long *input_lengths, const long long *target_lengths,
                        long long B, long long C, long long S, long long blank)
        : log_probs(log_probs), labels(targets + blockIdx.x * S), b(blockIdx.x), B(B), C(C), steps(input_lengths[b]),
          states(2 * target_lengths[b] + 1), blank(blank) {}

    __device__ long long class_of(long long l) const { return l % 2 ? labels[l / 2] : blank; }
    __device__ bool skips_to(long long l) const { return l % 2 && (l == 1 || labels[l / 2] != labels[l / 2 - 1]); }
    __device__ double emission(long long t, long long l) const { return wide(log_probs[(t * B + b) * C + class_of(l)]); }

    /* The sums over the beginnings of paths, up to and with every step: alphas (T, L); and that over whole paths. */
    __device__ double sum_beginnings(double *alphas, long long L) const {
        for (long long t = 0; t < steps; t++) {
            const double *before = alphas + (t - 1) * L;
            for (long long l = threadIdx.x; l < states; l += blockDim.x) {
                double sum = t || l > 1 ? -INFINITY : 0.0;
                if (t) {
                    sum = before[l];
                    if (l > 0)
                        sum = log_sum(sum, before[l - 1]);
                    if (skips_to(l) && l > 1)
                        sum = log_sum(sum, before[l - 2]);
                }
                alphas[t * L + l] = sum + emission(t, l);
            }
            __syncthreads();
        }
        if (!steps)
            return states == 1 ? 0.0 : -INFINITY;
        const double *last = alphas + (steps - 1) * L + states - 1;
        return states > 1 ? log_sum(last[0], last[-1]) : last[0];
    }
};

#define CTC_ARGUMENTS                                                                                                           \
    const T *log_probs, const long long *targets, const long long *input_lengths, const long long *target_lengths,              \
        double *alphas, long long steps, long long B, long long C, long long S, long long blank

template <typename T> __global__ void ctc_forward(CTC_ARGUMENTS, T *losses) {
    const Sequence<T> sequence(log_probs, targets, input_lengths, target_lengths, B, C, S, blank);
    const long long L = 2 * S + 1;
    const double total = sequence.sum_beginnings(alphas + sequence.b * steps * L, L);
    if (threadIdx.x == 0)
        store(losses + sequence.b, Wide<T>(-total));
}

/* `ends`, (B, 3, L): the sums over the ends of paths after a step, those with the step itself, and the shares of the states in
   it. `result` begins as zeros. */
template <typename T> __global__ void ctc_backward(CTC_ARGUMENTS, const T *grad, double *ends, T *result) {
    using W = Wide<T>;
    const Sequence<T> sequence(log_probs, targets, input_lengths, target_lengths, B, C, S, blank);
    const long long L = 2 * S + 1, b = sequence.b, states = sequence.states;
    double *const own = alphas + b * steps * L, *const betas = ends + b * 3 * L, *const ahead = betas + L, *const shares = ahead + L;
    const double total = sequence.sum_beginnings(own, L), scale = wide(grad[b]);
    const bool possible = total - total == 0;
    for (long long l = threadIdx.x; l < states; l += blockDim.x)
        betas[l] = l >= states - 2 ? 0.0 : -INFINITY;
    __syncthreads();
    for (long long t = sequence.steps - 1; t >= 0; t--) {
        T *const row = result + (t * B + b) * C;
        if (!possible) {
            for (long long c = threadIdx.x; c < C; c += blockDim.x)
                store(row + c, W(NAN));
            continue;
        }
        double of_blank = 0;
        for (long long l = threadIdx.x; l < states; l += blockDim.x) {
            shares[l] = scale * exp(own[t * L + l] + betas[l] - total);
            ahead[l] = betas[l] + sequence.emission(t, l);
            of_blank += l % 2 ? 0.0 : shares[l];
        }
        of_blank = over_block(of_blank, Sum());
        if (threadIdx.x == 0)
            store(row + blank, W(-of_blank));
        for (long long s = threadIdx.x; s < states / 2; s += blockDim.x) { /* the first of equal labels takes the sum of all */
            const long long label = sequence.labels[s];
            bool first = true;
            for (long long other = 0; other < s && first; other++)
                first = sequence.labels[other] != label;
            double sum = 0;
            for (long long other = s; first && other < states / 2; other++)
                sum += sequence.labels[other] == label ? shares[2 * other + 1] : 0.0;
            if (first)
                store(row + label, W(-sum));
        }
        for (long long l = threadIdx.x; l < states; l += blockDim.x) {
            double sum = ahead[l];
            if (l + 1 < states)
                sum = log_sum(sum, ahead[l + 1]);
            if (l + 2 < states && sequence.skips_to(l + 2))
                sum = log_sum(sum, ahead[l + 2]);
            betas[l] = sum;
        }
        __syncthreads();
    }
}
