/* Clipping and optimizer steps over all parameters at once: chunks of all of them are shared by one team. */
#pragma once

#include "rows.h"

namespace TINYRNN_ISA {

/* body(parameter, offset, count, number of the chunk) for all chunks of PARAMETER_CHUNK elements or, at the end of a
   parameter, less. */
template <typename Body> static void each_chunk(const Parameter *parameters, long count, int threads, const Body &body) {
    long all = 0;
    for (long k = 0; k < count; k++)
        all += (parameters[k].size + PARAMETER_CHUNK - 1) / PARAMETER_CHUNK;
    run_team(members_for(all, 8, threads), [=, &body](int member, int members) {
        const Share share(all, 1, member, members);
        long before = 0; // chunks of the parameters before this one
        for (long k = 0; k < count; k++) {
            const long chunks = (parameters[k].size + PARAMETER_CHUNK - 1) / PARAMETER_CHUNK;
            for (long chunk = maximum(share.first, before); chunk < minimum(share.last, before + chunks); chunk++) {
                const long offset = (chunk - before) * PARAMETER_CHUNK;
                body(parameters[k], offset, minimum(PARAMETER_CHUNK, parameters[k].size - offset), chunk);
            }
            before += chunks;
        }
    });
}

/* `count` elements as doubles, as many as go into a vector of them. */
template <typename T> INLINE vec<double> load_double(const T *from, long count) {
    if constexpr (sizeof(T) == 8)
        return load(from, count);
    typedef T narrow __attribute__((vector_size(VECTOR_BYTES * sizeof(T) / 8)));
    narrow values = {};
    if (count >= LANES<double>)
        memcpy(&values, from, sizeof values);
    else
        for (long lane = 0; lane < count; lane++)
            values[lane] = from[lane];
    return __builtin_convertvector(values, vec<double>);
}

/* Into sums[chunk]: of the squares of each chunk, in double. */
template <typename T> static void square_sums(const Parameter *parameters, long count, double *sums, int threads) {
    each_chunk(parameters, count, threads, [=](const Parameter &each, long offset, long size, long chunk) {
        const T *x = (const T *)each.param + offset;
        sums[chunk] = sum_row<double>(size, [=](long i, long present) INLINE_BODY {
            const vec<double> value = load_double(x + i, present);
            return value * value;
        });
    });
}

template <typename T> static void scale_inplace(const Parameter *parameters, long count, double factor, int threads) {
    each_chunk(parameters, count, threads, [=](const Parameter &each, long offset, long size, long) {
        T *x = (T *)each.param;
        each_vector<T>(offset, offset + size, [=](long i, long present) INLINE_BODY {
            store(x + i, load(x + i, present) * T(factor), present);
        });
    });
}

template <typename T>
static void sgd_step(const Parameter *parameters, long count, const SgdOptions *options, int threads) {
    const T lr = T(options->lr), momentum = T(options->momentum), undamped = T(options->undamped);
    const T weight_decay = T(options->weight_decay), sign = T(options->maximize ? -1 : 1);
    const bool nesterov = options->nesterov;
    each_chunk(parameters, count, threads, [=](const Parameter &each, long offset, long size, long) {
        const T *grad = (const T *)each.grad;
        T *param = (T *)each.param, *buffer = (T *)each.state[0];
        each_vector<T>(offset, offset + size, [=](long i, long present) INLINE_BODY {
            const vec<T> p = load(param + i, present);
            vec<T> g = load(grad + i, present) * sign;
            if (weight_decay != 0)
                g += weight_decay * p;
            if (buffer) {
                const vec<T> b = momentum * load(buffer + i, present) + undamped * g;
                store(buffer + i, b, present);
                g = nesterov ? g + momentum * b : b;
            }
            store(param + i, p - lr * g, present);
        });
    });
}

template <typename T>
static void adam_step(const Parameter *parameters, long count, const AdamOptions *options, int threads) {
    const T step_size = T(options->step_size), rest1 = T(options->rest1), beta2 = T(options->beta2);
    const T rest2 = T(options->rest2), root_correction2 = T(options->root_correction2), eps = T(options->eps);
    const T weight_decay = T(options->weight_decay), shrink = T(options->shrink), sign = T(options->maximize ? -1 : 1);
    each_chunk(parameters, count, threads, [=](const Parameter &each, long offset, long size, long) {
        const T *grad = (const T *)each.grad;
        T *param = (T *)each.param, *exp_avg = (T *)each.state[0], *exp_avg_sq = (T *)each.state[1];
        T *largest = (T *)each.state[2];
        each_vector<T>(offset, offset + size, [=](long i, long present) INLINE_BODY {
            const vec<T> p = load(param + i, present);
            vec<T> g = load(grad + i, present) * sign, m = load(exp_avg + i, present);
            if (weight_decay != 0)
                g += weight_decay * p;
            m += rest1 * (g - m);
            vec<T> v = beta2 * load(exp_avg_sq + i, present) + rest2 * (g * g);
            store(exp_avg + i, m, present);
            store(exp_avg_sq + i, v, present);
            if (largest) {
                const vec<T> before = load(largest + i, present);
                v = v <= before ? before : v; // NaN goes through
                store(largest + i, v, present);
            }
            store(param + i, shrink * p - step_size * m / (square_root<T>(v) / root_correction2 + eps), present);
        });
    });
}

} // namespace TINYRNN_ISA
