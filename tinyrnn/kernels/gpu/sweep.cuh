/* What the kernels of the recurrent sweep share: their arguments, and where a thread stands in a step.

   One launch of a kernel does one step for the whole batch, of all directions (blockIdx.z). All but the number of the step lies in
   structs in the memory of the GPU, so that launches can be captured once and repeated on other arrays. Letters as in
   interface.py. */
#pragma once
#include "../cells.h"
#include "products.cuh"
#include "rows.cuh"

/* A sweep; recurrent.py fills in the same fields in the same order. Null: absent. States are whole batches: sequences that have
   ended keep their last state and, in reverse, those that have not begun their first. */
template <typename T> struct Arguments {
    using W = Wide<T>;
    /* steps in the order of the sweep: the first packed row, and how many sequences there are */
    const long long *offsets, *sizes;
    /* what is given; backward takes weight_hh as (P, G H) and weight_hr as (H, P): transposed */
    const T *gates_x; /* (N, G H): W_ih x */
    const T *weight_hh, *bias_ih, *bias_hh, *weight_hr, *peephole, *norm_h_weight, *norm_h_bias, *norm_c_weight, *norm_c_bias;
    const T *recurrent_mask, *zoneout_h, *zoneout_c; /* (B, P), (N, P), (N, H) */
    /* the states: h before and after a step change places with every step */
    T *h[2];
    W *c;
    /* what is computed */
    T *output; /* of this direction: rows `output_stride` apart */
    /* what backward needs, null if nobody does; packed rows. h_seen: h_before times the mask; cell_h: h before projection and
       zoneout; reset_seen: r h_seen, where the reset gate comes first */
    T *cells, *gates, *h_before, *h_seen, *reset_seen, *c_before, *cell_h, *normed_h, *normed_c;
    W *rstd_h, *rstd_n, *rstd_c;
    /* between the phases of a step */
    W *product, *seen; /* (B, G H) and (B, H) */
    /* gradients */
    const T *grad_output, *grad_cells;
    T *grad_gates_x, *grad_gates_h, *grad_product; /* (N, G H): of W_ih x + b_ih, of what W_hh h gives with b_hh, and of W_hh h */
    T *grad_projected, *grad_seen;                 /* (N, P) and (N, H): of h before zoneout, and of what tanh sees of c */
    W *grad_h, *grad_h_carried, *grad_c, *grad_hidden; /* states, the part of grad_h that does not go through W_hh, and (B, H) of o tanh(c) */
    double zoneout_h_share, zoneout_c_share;
    long long steps, B, H, P, output_stride;
    long long base; /* the number of a step is counted from here: it changes, and the rest does not while a graph is repeated */
};

/* The place of a step among the packed rows. */
struct Step {
    long long offset, size;
};
template <typename T> __device__ Step step_of(const Arguments<T> &a, long long s) {
    return 0 <= s && s < a.steps ? Step{a.offsets[s], a.sizes[s]} : Step{0, 0};
}

/* After some steps have been done, forward (by > 0) or backward. */
template <typename T> __global__ void advance(Arguments<T> *arguments, int by) { arguments[blockIdx.x].base += by; }

/* The cells, in the order of sweeps.MODES, and how many gates lie in W_hh. */
enum Mode { RNN_TANH, RNN_RELU, LSTM, GRU, GRU_RESET_BEFORE };
__host__ __device__ constexpr int gates_of(int mode) { return mode == LSTM ? 4 : mode == GRU || mode == GRU_RESET_BEFORE ? 3 : 1; }

/* What is normalized: the products of all gates, of r and z, of n, or c on its way to the output. */
enum Normed { ALL_GATES, RESET_AND_UPDATE, CANDIDATE, CELL };
/* Where it begins in a row, and how wide it is. */
__device__ inline long long first_normed(int normed, long long H) { return normed == CANDIDATE ? 2 * H : 0; }
__device__ inline long long width_normed(int normed, int gates, long long H) {
    return normed == ALL_GATES ? gates * H : normed == RESET_AND_UPDATE ? 2 * H : H;
}

/* A share of what was before, in [0, 1]: one for all elements, each its own (a mask), or none. */
template <typename T> __device__ Wide<T> kept_share(const T *mask, double share, long long at) {
    return mask ? wide(mask[at]) : Wide<T>(share);
}
