/* Connectionist temporal classification: kernels/reference_ctc.py says what is summed. One member computes a sequence, with
   vectors of states; the logarithms are double, whatever the type of the numbers. */
#pragma once

#include "elementwise.h"

namespace TINYRNN_ISA {

typedef vec<double> logs;

constexpr double LOG_0 = -__builtin_inf();

/* log(x) for 1 <= x <= 3, to 1e-16: with z = (x - r) / (x + r) and r = sqrt(3), log(r) + 2 (z + z^3 / 3 + z^5 / 5 + ...). */
INLINE logs log_of_1_to_3(logs x) {
    const logs z = (x - 1.7320508075688772) / (x + 1.7320508075688772), z_2 = z * z;
    logs sum = broadcast(2.0 / 27);
    UNROLL
    for (int k = 25; k > 0; k -= 2)
        sum = sum * z_2 + 2.0 / k;
    return sum * z + 0.5493061443340548;
}

/* e^x for x <= 0, or slightly above. */
INLINE logs exp_of_negative(logs x) {
    return PowerOfE<double>::of(at_least<double>(x, Exp<double>::lowest)).value_of_negative();
}

/* log(e^a + e^b + e^c), with the largest taken out. All three are sorted, and none is dropped: NaN stays. */
INLINE logs log_sum(logs a, logs b, logs c) {
    const logs larger = a > b ? a : b, least = a > b ? b : a;
    const logs top = larger > c ? larger : c, middle = larger > c ? c : larger;
    const logs base = at_least<double>(top, -1e300); // -inf - -inf would be NaN
    const logs others = exp_of_negative(middle - base) + exp_of_negative(least - base);
    return others == 0.0 ? top : top + log_of_1_to_3(1.0 + others); // exact where there is one path
}

INLINE logs log_0_unless(logs condition, logs x) {
    return condition != 0.0 ? x : broadcast(LOG_0);
}

/* One sequence of a batch, and the memory of the member that computes it: rows of doubles, see CtcProblem. */
template <typename T> class CtcSequence {
    const CtcProblem *const p;
    const long b, steps, labels, states, row;
    const int64_t *const target;
    double *const emissions, *const skips, *const alphas; /* skips: 1 where a path may come from two states before, else 0 */

    INLINE_MEMBER const T *log_probs(long t) const { return (const T *)p->log_probs + (t * p->B + b) * p->C; }
    INLINE_MEMBER T *grad_log_probs(long t) const { return (T *)p->grad_log_probs + (t * p->B + b) * p->C; }

    INLINE_MEMBER void read_emissions(long t) const {
        const T *from = log_probs(t);
        emissions[0] = from[p->blank];
        for (long i = 0; i < labels; i++) {
            emissions[2 * i + 1] = from[target[i]];
            emissions[2 * i + 2] = from[p->blank];
        }
    }

    /* The states in which paths end get 0, the others and the two behind them log(0). */
    INLINE_MEMBER void start_betas(double *betas, double *ahead) const {
        for (long s = 0; s < states; s++)
            betas[s] = s < states - 2 ? LOG_0 : 0;
        ahead[states] = ahead[states + 1] = LOG_0;
    }

    /* Into a step's row of the gradient, what its states have to do with the loss. */
    INLINE_MEMBER void collect(long t, const double *shares, double grad) const {
        T *to = grad_log_probs(t);
        memset(to, 0, p->C * sizeof(T));
        double blank = shares[0];
        for (long i = 0; i < labels; i++) {
            to[target[i]] -= T(grad * shares[2 * i + 1]);
            blank += shares[2 * i + 2];
        }
        to[p->blank] -= T(grad * blank);
    }

    INLINE_MEMBER void fill_gradient(long first, long last, T value) const {
        for (long t = first; t < last; t++)
            for (long k = 0; k < p->C; k++)
                grad_log_probs(t)[k] = value;
    }

  public:
    INLINE_MEMBER CtcSequence(const CtcProblem *p, long b, double *memory)
        : p(p), b(b), steps(p->input_lengths[b]), labels(p->target_lengths[b]), states(2 * labels + 1), row(p->row),
          target(p->targets + b * p->S), emissions(memory), skips(memory + row), alphas(memory + 5 * row) {
        memset(skips, 0, row * sizeof(double));
        for (long i = 0; i < labels; i++)
            skips[2 * i + 1] = i == 0 || target[i] != target[i - 1];
    }

    /* The logarithm of the sum over all paths. Row t + 1 of the alphas, from its third place on, is what beginnings of paths up
       to step t sum up to; or row (t + 1) % 2, unless all are to be kept. */
    INLINE_MEMBER double sum_paths(bool keep) const {
        double *before = alphas + 2;
        for (long s = -2; s < states; s++)
            before[s] = LOG_0;
        before[-1] = 0; // where all paths are before the first step
        for (long t = 0; t < steps; t++) {
            double *after = alphas + (keep ? t + 1 : (t + 1) % 2) * row + 2;
            after[-2] = after[-1] = LOG_0;
            read_emissions(t);
            each_vector<double>(0, states, [=](long s, long count) INLINE_BODY {
                const logs skipping = log_0_unless(load(skips + s, count), load(before + s - 2, count));
                const logs sum = log_sum(load(before + s, count), load(before + s - 1, count), skipping);
                store(after + s, sum + load(emissions + s, count), count);
            });
            before = after;
        }
        return log_sum(broadcast(before[states - 1]), broadcast(before[states - 2]), broadcast(LOG_0))[0];
    }

    /* betas: what ends of paths, after step t, sum up to; `ahead`: the same with the emissions of step t. */
    INLINE_MEMBER void differentiate(double grad) const {
        double *betas = emissions + 2 * row, *ahead = betas + row, *shares = ahead + row;
        const double total = sum_paths(true);
        fill_gradient(steps, p->T, 0);
        if (!__builtin_isfinite(total)) {
            fill_gradient(0, steps, T(__builtin_nan("")));
            return;
        }
        start_betas(betas, ahead);
        for (long t = steps - 1; t >= 0; t--) {
            const double *alpha = alphas + (t + 1) * row + 2;
            read_emissions(t);
            each_vector<double>(0, states, [=](long s, long count) INLINE_BODY {
                const logs beta = load(betas + s, count);
                store(shares + s, exp_of_negative(load(alpha + s, count) + beta - total), count);
                store(ahead + s, beta + load(emissions + s, count), count);
            });
            collect(t, shares, grad);
            each_vector<double>(0, states, [=](long s, long count) INLINE_BODY {
                const logs skipping = log_0_unless(load(skips + s + 2, count), load(ahead + s + 2, count));
                store(betas + s, log_sum(load(ahead + s, count), load(ahead + s + 1, count), skipping), count);
            });
        }
    }
};

/* body(number, memory) for every sequence, shared by the team. */
template <typename Body> static void each_sequence(const CtcProblem *p, int threads, const Body &body) {
    const long work = p->T * p->B * p->row;
    run_team(members_for(work, 4096, (int)minimum(threads, maximum(p->B, 1))), [&](int member, int members) {
        const FlushDenormals flush;
        for (long b = member; b < p->B; b += members) // in turn: neighbours may have been sorted by length
            body(b, p->memory + member * p->memory_each);
    });
}

template <typename T> static void ctc_forward(const CtcProblem *p, int threads) {
    each_sequence(p, threads, [=](long b, double *memory) {
        ((T *)p->losses)[b] = T(-CtcSequence<T>(p, b, memory).sum_paths(false));
    });
}

template <typename T> static void ctc_backward(const CtcProblem *p, int threads) {
    each_sequence(p, threads, [=](long b, double *memory) {
        CtcSequence<T>(p, b, memory).differentiate(((const T *)p->grad)[b]);
    });
}

} // namespace TINYRNN_ISA
