/* One step of a recurrent layer, backward: from the last step of a sweep to its first. A plain cell is one kernel: the gradient that comes
   from the step after it, a product with W_hh, and the cell's own on it. After the sweep the gradients of weights are products
   of everything that the steps have written. */
#include "sweep.cuh"

/* Where a thread stands in a step. */
template <typename T> struct Place {
    using W = Wide<T>;
    const Arguments<T> &a;
    const Step step, after; /* after: the step that forward came to next */
    const long long row, unit, packed, at_h, at; /* at_h: in (B, P); at: in (B, H) */

    __device__ Place(const Arguments<T> &a, long long s)
        : a(a), step(step_of(a, s)), after(step_of(a, s + 1)), row(row_of_thread()), unit(unit_of_thread()), packed(step.offset + row), at_h(row * a.P + unit), at(row * a.H + unit) {}

    __device__ bool computes(long long width) const { return row < step.size && unit < width; }
    __device__ W mask() const { return a.recurrent_mask ? wide(a.recurrent_mask[at_h]) : W(1); }

    /* The gradient of h as it was carried on to the step after this one, from the product with W_hh there. */
    __device__ W arriving(W product) const {
        if (row < after.size)
            a.grad_h[at_h] = a.grad_h_carried[at_h] + mask() * product;
        return a.grad_h[at_h];
    }
    /* That of h before zoneout, given what arrives; the kept part goes on to the step before. */
    __device__ W fresh(W arrived) const {
        W grad = arrived;
        if (a.grad_output)
            grad += wide(a.grad_output[packed * a.output_stride + unit]);
        const W kept = kept_share(a.zoneout_h, a.zoneout_h_share, packed * a.P + unit);
        a.grad_h_carried[at_h] = kept * grad;
        return (1 - kept) * grad;
    }
    __device__ W gate(int g, int gates) const { return wide(a.gates[(packed * gates + g) * a.H + unit]); }

    /* The gradients of W_ih x + b_ih and of what W_hh h gives with b_hh, of one gate. */
    __device__ void give(int g, int gates, W of_x, W of_h) const {
        const long long place = (packed * gates + g) * a.H + unit;
        store(a.grad_gates_x + place, of_x);
        store(a.grad_gates_h + place, of_h);
    }
};

/* The gradient of what the tanh of an LSTM sees of c, and of the pre-activation of o. */
template <typename T> struct LstmOutput {
    using W = Wide<T>;
    LstmCell<Scalar<W>> cell;
    W before, c, seen, o;

    __device__ LstmOutput(const Place<T> &p, W grad) {
        const Arguments<T> &a = p.a;
        cell.i = p.gate(0, 4), cell.f = p.gate(1, 4), cell.g = p.gate(2, 4), cell.o = p.gate(3, 4);
        before = wide(a.c_before[p.packed * a.H + p.unit]);
        c = cell.f * before + cell.i * cell.g;
        const W input = a.norm_c_weight ? wide(a.normed_c[p.packed * a.H + p.unit]) * wide(a.norm_c_weight[p.unit]) +
                                              wide(a.norm_c_bias[p.unit])
                                        : c;
        const W tanh_c = Scalar<W>::tanh(input);
        o = cell.output_gate_backward(grad * tanh_c);
        seen = grad * cell.o * (1 - tanh_c * tanh_c);
    }
};

template <typename T> __device__ void lstm_cell(const Place<T> &p, Wide<T> grad) {
    using W = Wide<T>;
    const Arguments<T> &a = p.a;
    const LstmOutput<T> out(p, grad);
    W grad_c = a.grad_c[p.at];
    if (a.grad_cells)
        grad_c += wide(a.grad_cells[p.packed * a.H + p.unit]);
    const W kept = kept_share(a.zoneout_c, a.zoneout_c_share, p.packed * a.H + p.unit);
    W fresh = (1 - kept) * grad_c + (a.norm_c_weight ? a.seen[p.at] : out.seen);
    if (a.peephole)
        fresh += out.o * wide(a.peephole[2 * a.H + p.unit]);
    const auto d = out.cell.cell_backward(fresh, out.before);
    W before = kept * grad_c + fresh * out.cell.f;
    if (a.peephole)
        before += d.i * wide(a.peephole[p.unit]) + d.f * wide(a.peephole[a.H + p.unit]);
    a.grad_c[p.at] = before;
    p.give(0, 4, d.i, d.i);
    p.give(1, 4, d.f, d.f);
    p.give(2, 4, d.g, d.g);
    p.give(3, 4, out.o, out.o);
}

template <typename T> __device__ void gru_cell(const Place<T> &p, Wide<T> grad) {
    GruCell<Scalar<Wide<T>>> cell;
    cell.r = p.gate(0, 4), cell.z = p.gate(1, 4), cell.n = p.gate(2, 4), cell.hn = p.gate(3, 4);
    const auto d = cell.backward(grad, wide(p.a.h_before[p.packed * p.a.H + p.unit]));
    p.a.grad_h_carried[p.at_h] += d.h_before;
    p.give(0, 3, d.r, d.r);
    p.give(1, 3, d.z, d.z);
    p.give(2, 3, d.n, d.hn);
}

/* Of a GRU whose reset gate comes before the product: z and n; r follows when n has been through W_hh (`reset_gate`). */
template <typename T> __device__ void candidate(const Place<T> &p, Wide<T> grad) {
    GruCell<Scalar<Wide<T>>> cell;
    cell.z = p.gate(1, 3), cell.n = p.gate(2, 3);
    const Wide<T> z = cell.update_backward(grad, wide(p.a.h_before[p.packed * p.a.H + p.unit])), n = cell.candidate_backward(grad);
    p.a.grad_h_carried[p.at_h] += grad * cell.z;
    p.give(1, 3, z, z);
    p.give(2, 3, n, n);
}

template <typename T, int MODE> __device__ void cell(const Place<T> &p, Wide<T> grad) {
    using Numbers = Scalar<Wide<T>>;
    if constexpr (MODE == LSTM) {
        lstm_cell(p, grad);
    } else if constexpr (MODE == GRU) {
        gru_cell(p, grad);
    } else if constexpr (MODE == GRU_RESET_BEFORE) {
        candidate(p, grad);
    } else {
        const Wide<T> h = wide(p.a.cell_h[p.packed * p.a.H + p.unit]);
        const Wide<T> d = MODE == RNN_TANH ? RnnTanh<Numbers>::backward(grad, h) : RnnRelu<Numbers>::backward(grad, h);
        p.give(0, 1, d, d);
    }
}

/* Into `sums`: the gradient of h from the gates of the step after this one, through W_hh. */
template <typename T, int MODE> __device__ void product_after(const Place<T> &p, Wide<T> (&sums)[1]) {
    constexpr int G = gates_of(MODE);
    const Arguments<T> &a = p.a;
    const long long depth = (MODE == GRU_RESET_BEFORE ? 2 : G) * a.H;
    const T *left = a.grad_product + p.after.offset * G * a.H;
    product<T, 1>({left, G * a.H, nullptr, a.weight_hh, 0, G * a.H, p.after.size, a.P, depth}, sums);
}

/* A whole step of a plain cell. Step -1 is what comes before the first: grad_h is left as that of h_0. */
template <typename T, int MODE> __global__ void __launch_bounds__(UNITS *ROWS, 3) step_fused(const Arguments<T> *arguments, int i) {
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base - i);
    Wide<T> sums[1];
    product_after<T, MODE>(p, sums);
    if (p.row >= p.a.B || p.unit >= p.a.H)
        return;
    const Wide<T> arrived = p.arriving(sums[0]);
    if (p.row < p.step.size)
        cell<T, MODE>(p, p.fresh(arrived));
}

/* The same where the cell waits for others: the gradient of h before zoneout, into grad_hidden or grad_projected. */
template <typename T, int MODE> __global__ void __launch_bounds__(UNITS *ROWS, 3) step_arriving(const Arguments<T> *arguments, int i) {
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base - i);
    Wide<T> sums[1];
    product_after<T, MODE>(p, sums);
    if (p.row >= a.B || p.unit >= a.P)
        return;
    const Wide<T> arrived = p.arriving(sums[0]);
    if (p.row >= p.step.size)
        return;
    const Wide<T> grad = p.fresh(arrived);
    if (a.weight_hr)
        store(a.grad_projected + p.packed * a.P + p.unit, grad);
    else
        a.grad_hidden[p.at] = grad;
}

/* Back through the projection. */
template <typename T> __global__ void __launch_bounds__(UNITS *ROWS, 3) step_projection(const Arguments<T> *arguments, int i) {
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base - i);
    Wide<T> sums[1];
    product<T, 1>({a.grad_projected + p.step.offset * a.P, a.P, nullptr, a.weight_hr, 0, a.P, p.step.size, a.H, a.P}, sums);
    if (p.computes(a.H))
        a.grad_hidden[p.at] = sums[0];
}

/* The gradient of the normalized c, for `normalize_rows`. */
template <typename T> __global__ void __launch_bounds__(UNITS *ROWS, 3) lstm_output(const Arguments<T> *arguments, int i) {
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base - i);
    if (!p.computes(a.H))
        return;
    const LstmOutput<T> out(p, a.grad_hidden[p.at]);
    a.seen[p.at] = out.seen;
    store(a.grad_seen + p.packed * a.H + p.unit, out.seen);
}

/* One row per block: the gradient of what was normalized, (g - mean(g) - y mean(g y)) / sqrt(variance + eps) with g that of the result
   times the weight, and y the normalized. Of c in its place, of products from grad_gates_h into grad_product. */
template <typename T, int MODE, int NORMED> __global__ void normalize_rows(const Arguments<T> *arguments, int i) {
    using W = Wide<T>;
    constexpr int G = gates_of(MODE);
    const Arguments<T> &a = arguments[blockIdx.z];
    const Step step = step_of(a, a.base - i);
    const long long row = blockIdx.x, packed = step.offset + row;
    if (row >= step.size)
        return;
    constexpr bool of_c = NORMED == CELL, of_n = NORMED == CANDIDATE;
    const long long first = first_normed(NORMED, a.H), width = width_normed(NORMED, G, a.H);
    const T *const weight = of_c ? a.norm_c_weight : a.norm_h_weight + first;
    const T *const normed = of_c ? a.normed_c + packed * a.H : a.normed_h + packed * G * a.H + first;
    const W rstd = (of_c ? a.rstd_c : of_n ? a.rstd_n : a.rstd_h)[packed];
    const T *const grads = a.grad_gates_h + packed * G * a.H + first;
    T *const results = a.grad_product + packed * G * a.H + first;
    W *const in_place = a.seen + row * a.H;

    W total = 0, along = 0;
    for (long long k = threadIdx.x; k < width; k += blockDim.x) {
        const W g = (of_c ? in_place[k] : wide(grads[k])) * wide(weight[k]);
        total += g;
        along += g * wide(normed[k]);
    }
    const W mean = over_block(total, Sum()) / width, share = over_block(along, Sum()) / width;
    for (long long k = threadIdx.x; k < width; k += blockDim.x) {
        const W g = (of_c ? in_place[k] : wide(grads[k])) * wide(weight[k]);
        const W result = (g - mean - wide(normed[k]) * share) * rstd;
        if (of_c)
            in_place[k] = result;
        else
            store(results + k, result);
    }
}

/* The cell on a gradient that lies in memory. */
template <typename T, int MODE> __global__ void __launch_bounds__(UNITS *ROWS, 3) step_cell(const Arguments<T> *arguments, int i) {
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base - i);
    if (p.computes(p.a.H))
        cell<T, MODE>(p, p.a.grad_hidden[p.at]);
}

/* Of a GRU whose reset gate comes before the product: from the gradient of n's product back through W_hn to r h, to r, and to h. */
template <typename T> __global__ void __launch_bounds__(UNITS *ROWS, 3) reset_gate(const Arguments<T> *arguments, int i) {
    using W = Wide<T>;
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base - i);
    const T *left = a.grad_product + p.step.offset * 3 * a.H + 2 * a.H, *right = a.weight_hh + 2 * a.H;
    W sums[1];
    product<T, 1>({left, 3 * a.H, nullptr, right, 0, 3 * a.H, p.step.size, a.H, a.H}, sums);
    if (!p.computes(a.H))
        return;
    const W r = p.gate(0, 3), mask = p.mask(), seen = mask * wide(a.h_before[p.packed * a.H + p.unit]);
    const W d = sums[0] * seen * r * (1 - r);
    p.give(0, 3, d, d);
    a.grad_h_carried[p.at_h] += mask * sums[0] * r;
}
