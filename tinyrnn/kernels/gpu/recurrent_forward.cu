/* One step of a recurrent layer, forward. A plain cell is one kernel: the product with W_hh, and the cell on its sums while they are in
   registers. What needs whole rows first (layer normalization, projection, a reset gate before the product) takes several. */
#include "sweep.cuh"

/* Where a thread stands in a step. */
template <typename T> struct Place {
    using W = Wide<T>;
    const Arguments<T> &a;
    const long long s;
    const Step step;
    const long long row, unit, packed; /* packed: the row among those of all steps */

    __device__ Place(const Arguments<T> &a, long long s)
        : a(a), s(s), step(step_of(a, s)), row(row_of_thread()), unit(unit_of_thread()), packed(step.offset + row) {}

    __device__ bool computes(long long width) const { return row < step.size && unit < width; }
    __device__ void save(T *array, long long width, long long column, W value) const {
        if (array)
            store(array + packed * width + column, value);
    }
    __device__ const T *h() const { return a.h[s % 2]; }

    /* Sequences that are not in this step keep their h. */
    __device__ void keep() const {
        if (row >= step.size && row < a.B && unit < a.P)
            a.h[(s + 1) % 2][row * a.P + unit] = h()[row * a.P + unit];
    }
    /* The new h of this row and unit, from what cell and projection make of it. */
    __device__ void finish(W fresh) const {
        const long long at = row * a.P + unit;
        const W before = wide(h()[at]);
        save(a.h_before, a.P, unit, before);
        if (a.recurrent_mask)
            save(a.h_seen, a.P, unit, before * wide(a.recurrent_mask[at]));
        const W kept = kept_share(a.zoneout_h, a.zoneout_h_share, packed * a.P + unit);
        const W next = kept == 0 ? fresh : fresh + kept * (before - fresh);
        store(&a.h[(s + 1) % 2][at], next);
        store(a.output + packed * a.output_stride + unit, next);
    }
    /* What the cell gives: h, or what is projected to it. */
    __device__ void finish_cell(W fresh) const {
        save(a.cell_h, a.H, unit, fresh);
        if (!a.weight_hr)
            finish(fresh);
    }
    /* W_hh h + b_hh of a gate, from the product. */
    __device__ W hidden(W product, int gate) const { return a.bias_hh ? product + wide(a.bias_hh[gate * a.H + unit]) : product; }
    /* W_ih x + b_ih of a gate. */
    __device__ W input(int gate, int gates) const {
        const W product = wide(a.gates_x[(packed * gates + gate) * a.H + unit]);
        return a.bias_ih ? product + wide(a.bias_ih[gate * a.H + unit]) : product;
    }
};

template <typename T, template <typename> class Formula> __device__ void rnn_cell(const Place<T> &p, const Wide<T> *products) {
    p.finish_cell(Formula<Scalar<Wide<T>>>::forward(p.input(0, 1) + p.hidden(products[0], 0)));
}

template <typename T> __device__ void lstm_cell(const Place<T> &p, Wide<T> *products) {
    using W = Wide<T>;
    const Arguments<T> &a = p.a;
    const long long at = p.row * a.H + p.unit;
    LstmCell<Scalar<W>> cell;
    W *const gates[4] = {&cell.i, &cell.f, &cell.g, &cell.o};
    for (int g = 0; g < 4; g++)
        *gates[g] = p.input(g, 4) + p.hidden(products[g], g);
    const W before = a.c[at];
    if (a.peephole) {
        cell.i += wide(a.peephole[p.unit]) * before;
        cell.f += wide(a.peephole[a.H + p.unit]) * before;
    }
    const W c = cell.cell(before);
    if (a.peephole)
        cell.o += wide(a.peephole[2 * a.H + p.unit]) * c;
    cell.output_gate();
    for (int g = 0; g < 4; g++)
        p.save(a.gates, 4 * a.H, g * a.H + p.unit, *gates[g]);
    p.save(a.c_before, a.H, p.unit, before);
    const W kept = kept_share(a.zoneout_c, a.zoneout_c_share, p.packed * a.H + p.unit);
    a.c[at] = kept == 0 ? c : c + kept * (before - c);
    p.save(a.cells, a.H, p.unit, a.c[at]);
    if (a.norm_c_weight) { /* see lstm_output */
        a.seen[at] = c;
        products[3] = cell.o;
    } else {
        p.finish_cell(cell.o * Scalar<W>::tanh(c));
    }
}

template <typename T> __device__ void gru_cell(const Place<T> &p, const Wide<T> *products) {
    const Arguments<T> &a = p.a;
    GruCell<Scalar<Wide<T>>> cell;
    cell.r = p.input(0, 3) + p.hidden(products[0], 0);
    cell.z = p.input(1, 3) + p.hidden(products[1], 1);
    cell.hn = p.hidden(products[2], 2);
    const Wide<T> h = cell.forward(p.input(2, 3), wide(p.h()[p.row * a.P + p.unit]));
    p.save(a.gates, 4 * a.H, p.unit, cell.r);
    p.save(a.gates, 4 * a.H, a.H + p.unit, cell.z);
    p.save(a.gates, 4 * a.H, 2 * a.H + p.unit, cell.n);
    p.save(a.gates, 4 * a.H, 3 * a.H + p.unit, cell.hn);
    p.finish_cell(h);
}

template <typename T, int MODE> __device__ void cell(const Place<T> &p, Wide<T> *products) {
    if constexpr (MODE == RNN_TANH)
        rnn_cell<T, RnnTanh>(p, products);
    else if constexpr (MODE == RNN_RELU)
        rnn_cell<T, RnnRelu>(p, products);
    else if constexpr (MODE == LSTM)
        lstm_cell(p, products);
    else
        gru_cell(p, products);
}

/* A whole step of a plain cell. */
template <typename T, int MODE> __global__ void __launch_bounds__(UNITS *ROWS, 3) step_fused(const Arguments<T> *arguments, int i) {
    constexpr int G = gates_of(MODE);
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base + i);
    Wide<T> products[G];
    product<T, G>({p.h(), a.P, a.recurrent_mask, a.weight_hh, a.H * a.P, a.P, p.step.size, a.H, a.P}, products);
    if (p.computes(a.H))
        cell<T, MODE>(p, products);
    p.keep();
}

/* The products of `count` gates from `first` on, (B, G H); those of n come from the h that the reset gate let through. */
template <typename T, int MODE> __global__ void __launch_bounds__(UNITS *ROWS, 3) step_products(const Arguments<T> *arguments, int i, int first, int count) {
    constexpr int G = gates_of(MODE);
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base + i);
    const bool after_reset = MODE == GRU_RESET_BEFORE && first == 2;
    const T *left = after_reset ? a.reset_seen + p.step.offset * a.H : p.h();
    const T *right = a.weight_hh + first * a.H * a.P;
    Wide<T> sums[1];
    product<T, 1>({left, a.P, after_reset ? nullptr : a.recurrent_mask, right, 0, a.P, p.step.size, count * a.H, a.P}, sums);
    if (p.computes(count * a.H))
        a.product[(p.row * G + first) * a.H + p.unit] = sums[0];
}

/* One row per block: y = (x - mean) / sqrt(variance + 1e-5) weight + bias, in the place of x. */
template <typename T, int MODE, int NORMED> __global__ void normalize_rows(const Arguments<T> *arguments, int i) {
    using W = Wide<T>;
    constexpr int G = gates_of(MODE);
    const Arguments<T> &a = arguments[blockIdx.z];
    const Step step = step_of(a, a.base + i);
    const long long row = blockIdx.x, packed = step.offset + row;
    if (row >= step.size)
        return;
    constexpr bool of_c = NORMED == CELL, of_n = NORMED == CANDIDATE;
    const long long first = first_normed(NORMED, a.H), width = width_normed(NORMED, G, a.H);
    W *const x = of_c ? a.seen + row * a.H : a.product + row * G * a.H + first;
    const T *const weight = of_c ? a.norm_c_weight : a.norm_h_weight + first, *const bias = of_c ? a.norm_c_bias : a.norm_h_bias + first;
    T *const normed = of_c ? a.normed_c : a.normed_h;
    W *const rstds = of_c ? a.rstd_c : of_n ? a.rstd_n : a.rstd_h;

    W total = 0, squares = 0;
    for (long long k = threadIdx.x; k < width; k += blockDim.x)
        total += x[k];
    const W mean = over_block(total, Sum()) / width;
    for (long long k = threadIdx.x; k < width; k += blockDim.x)
        squares += (x[k] - mean) * (x[k] - mean);
    const W rstd = 1 / sqrt(over_block(squares, Sum()) / width + W(1e-5));
    for (long long k = threadIdx.x; k < width; k += blockDim.x) {
        const W value = (x[k] - mean) * rstd;
        if (normed)
            store(normed + packed * (of_c ? a.H : G * a.H) + first + k, value);
        x[k] = value * wide(weight[k]) + wide(bias[k]);
    }
    if (rstds && threadIdx.x == 0)
        rstds[packed] = rstd;
}

/* The cell on products that lie in memory. */
template <typename T, int MODE> __global__ void __launch_bounds__(UNITS *ROWS, 3) step_cell(const Arguments<T> *arguments, int i) {
    constexpr int G = gates_of(MODE);
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base + i);
    if (p.computes(a.H)) {
        Wide<T> products[G];
        for (int g = 0; g < G; g++)
            products[g] = a.product[(p.row * G + g) * a.H + p.unit];
        cell<T, MODE>(p, products);
        if (MODE == LSTM && a.norm_c_weight)
            a.product[(p.row * G + 3) * a.H + p.unit] = products[3];
    }
    p.keep();
}

/* h of an LSTM whose c is normalized on its way to the output. */
template <typename T> __global__ void __launch_bounds__(UNITS *ROWS, 3) lstm_output(const Arguments<T> *arguments, int i) {
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base + i);
    if (p.computes(a.H))
        p.finish_cell(a.product[(p.row * 4 + 3) * a.H + p.unit] * Scalar<Wide<T>>::tanh(a.seen[p.row * a.H + p.unit]));
}

/* h = W_hr (o tanh(c)). */
template <typename T> __global__ void __launch_bounds__(UNITS *ROWS, 3) step_projection(const Arguments<T> *arguments, int i) {
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base + i);
    Wide<T> sums[1];
    product<T, 1>({a.cell_h + p.step.offset * a.H, a.H, nullptr, a.weight_hr, 0, a.H, p.step.size, a.P, a.H}, sums);
    if (p.computes(a.P))
        p.finish(sums[0]);
    p.keep();
}

/* The gates r and z of a GRU whose reset gate comes before the product, and the h that it lets through. */
template <typename T> __global__ void __launch_bounds__(UNITS *ROWS, 3) reset_gates(const Arguments<T> *arguments, int i) {
    using W = Wide<T>;
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base + i);
    if (!p.computes(a.H))
        return;
    W *const products = a.product + p.row * 3 * a.H + p.unit;
    const long long at = p.row * a.H + p.unit;
    GruCell<Scalar<W>> cell;
    cell.r = p.input(0, 3) + p.hidden(products[0], 0);
    cell.z = p.input(1, 3) + p.hidden(products[a.H], 1);
    cell.reset_and_update();
    const W seen = a.recurrent_mask ? wide(p.h()[at]) * wide(a.recurrent_mask[at]) : wide(p.h()[at]);
    p.save(a.reset_seen, a.H, p.unit, cell.r * seen);
    p.save(a.gates, 3 * a.H, p.unit, cell.r);
    products[a.H] = cell.z;
}

/* n of such a GRU, and its h. */
template <typename T> __global__ void __launch_bounds__(UNITS *ROWS, 3) reset_candidate(const Arguments<T> *arguments, int i) {
    using W = Wide<T>;
    const Arguments<T> &a = arguments[blockIdx.z];
    const Place<T> p(a, a.base + i);
    if (p.computes(a.H)) {
        const W *const products = a.product + p.row * 3 * a.H + p.unit;
        GruCell<Scalar<W>> cell;
        cell.z = products[a.H];
        cell.n = Scalar<W>::tanh(p.input(2, 3) + p.hidden(products[2 * a.H], 2));
        p.save(a.gates, 3 * a.H, a.H + p.unit, cell.z);
        p.save(a.gates, 3 * a.H, 2 * a.H + p.unit, cell.n);
        p.finish_cell(cell.output(wide(p.h()[p.row * a.H + p.unit])));
    }
    p.keep();
}
