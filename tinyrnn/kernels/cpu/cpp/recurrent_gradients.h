/* The gradients of a recurrent layer's weights and input, once those of all gates are known: each is one product, or one sum,
   over all steps. */
#pragma once

#include "recurrent.h"

namespace TINYRNN_ISA {

/* The buffers of one direction. Gradients of gates lie in the order of `gates`, but for GRU: hn r z n, so that those of the
   hidden products (hn r z) and those of the input projections (r z n) are each one matrix. */
template <typename T> struct BackwardBuffers {
    Panels<T> hh, hn, hr; // hn: W_hn of GRU_RESET_BEFORE, by its own
    T *gates;             // (N, saved gates or H), gradients of pre-activations
    T *products;          // (N, G H), of the products with W_hh, in the order of `gates`; the same memory without layer norm
    long products_row;
    T *projected;         // (N, P), of what W_hr gave
    T *normed;            // (N, H), of the normalised c, with layer norm of it
    T *output_gate, *cell; // (B, H), of o and of c itself, likewise
    const T **h_rows;     // (N), h of the step before
    T *fed;               // (N, P), h times the recurrent mask, or (N, H) r h
    T *masked;            // (N, P) h times the recurrent mask, where `fed` has r h
};

/* What is left to do when the backward sweep has filled the buffers. */
template <typename T, int MODE, typename Sweeps> class WeightGradients : public LayerRun<T, MODE, Sweeps> {
  protected:
    using Run = LayerRun<T, MODE, Sweeps>;
    using typename Run::Math;
    using Run::B, Run::H, Run::P, Run::N, Run::G, Run::VL, Run::RNN, Run::layer, Run::steps_of;
    static constexpr int WIDTH = RNN ? 1 : saved_gates_of(MODE); // of a row of gate gradients, in H
    static constexpr int FED = MODE == GRU_RESET_BEFORE ? 2 : G; // gates whose products are with h itself

    BackwardBuffers<T> buffers[2] = {};

    using Run::Run;

    /* One row at one step. */
    struct Row {
        long b, n;
        const T *h_before, *c_before;
        bool ends; // here: what is carried is the final state's gradient
    };

    T *gates_of_row(int d, long n) { return buffers[d].gates + n * WIDTH * H; }

    const T *c_before(const SweepProblem &sweep, const Steps &steps, long step, long b) const {
        return b < steps.going_on(step) ? (const T *)sweep.cells + (steps.offset(step - 1) + b) * H
                                        : (const T *)sweep.c_0 + b * H;
    }

    LstmCell<Math> lstm_cell(const SweepProblem &sweep, const Row &row, long unit, long count) const {
        const T *gates = (const T *)sweep.gates + row.n * 4 * H + unit;
        return {load(gates, count), load(gates + H, count), load(gates + 2 * H, count), load(gates + 3 * H, count)};
    }

    /* c before zoneout. */
    vec<T> candidate(const SweepProblem &sweep, const LstmCell<Math> &cell, const Row &row, long unit, long count) const {
        if (sweep.zoneout_c || sweep.zoneout_c_rate != 0)
            return cell.f * load(row.c_before + unit, count) + cell.i * cell.g;
        return load((const T *)sweep.cells + row.n * H + unit, count);
    }

    // ---- after the first step ----

    void weight_gradients(int d, int member, int members) {
        const SweepProblem &sweep = layer.sweep[d];
        const BackwardBuffers<T> &own = buffers[d];
        const long row = WIDTH * H, I = layer.I;
        const T *gates_x = own.gates + (MODE == GRU ? H : 0);
        if (layer.grad_x && sweep.weight_ih)
            gemm_share<T>(member, members, N, I, G * H, {gates_x, row, 1}, {(const T *)sweep.weight_ih, I, 1},
                          d > 0 ? (const T *)layer.grad_x : nullptr, I, (T *)layer.grad_x, I);
        else if (layer.grad_x)
            add_rows(member, members, gates_x, row, d > 0);
        if (sweep.weight_ih)
            gemm_share<T>(member, members, G * H, I, N, {gates_x, 1, row}, {(const T *)layer.x, layer.x_row, 1}, nullptr, 0,
                          (T *)sweep.grad_weight_ih, I);
        const Operand<T> h{nullptr, 0, 1, own.h_rows};
        const auto hidden_weights = [&](long from, long gates, const Operand<T> &fed, long to) {
            gemm_share<T>(member, members, gates * H, P, N, {own.products + from * H, 1, own.products_row}, fed, nullptr, 0,
                          (T *)sweep.grad_weight_hh + to * H * P, P);
        };
        if (MODE == GRU) {
            hidden_weights(0, 1, h, 2);
            hidden_weights(1, 2, h, 0);
        } else {
            hidden_weights(0, FED, h, 0);
        }
        if (MODE == GRU_RESET_BEFORE)
            hidden_weights(2, 1, {own.fed, H, 1}, 2);
        if (sweep.weight_hr)
            gemm_share<T>(member, members, P, H, N, {own.projected, 1, P}, {(const T *)sweep.hidden, H, 1}, nullptr, 0,
                          (T *)sweep.grad_weight_hr, H);
        sum_gates(d, member, members);
        if (sweep.norm_c_weight) {
            sum_columns(member, members, own.normed, H, (const T *)sweep.norm_c, H, H, (T *)sweep.grad_norm_c_weight);
            sum_columns(member, members, own.normed, H, nullptr, 0, H, (T *)sweep.grad_norm_c_bias);
        }
        if (sweep.peephole)
            sum_peepholes(d, member, members);
    }

    /* The gradient of projections that came as they are; both directions have the same. */
    void add_rows(int member, int members, const T *from, long row, bool to_what_is_there) {
        const Share rows(N, 1, member, members);
        for (long n = rows.first; n < rows.last; n++)
            for (long j = 0; j < G * H; j++) {
                T *to = (T *)layer.grad_x + n * G * H + j;
                *to = to_what_is_there ? *to + from[n * row + j] : from[n * row + j];
            }
    }

    /* The gradients of biases and of the parameters of layer norm. */
    void sum_gates(int d, int member, int members) {
        const SweepProblem &sweep = layer.sweep[d];
        const T *gates = buffers[d].gates;
        const long row = WIDTH * H;
        T *ih = (T *)sweep.grad_bias_ih, *hh = (T *)sweep.grad_bias_hh;
        if (MODE == GRU) {
            if (ih)
                sum_columns(member, members, gates + H, row, nullptr, 0, 3 * H, ih);
            if (hh) {
                sum_columns(member, members, gates, row, nullptr, 0, H, hh + 2 * H);
                sum_columns(member, members, gates + H, row, nullptr, 0, 2 * H, hh);
            }
        } else if (ih || hh) {
            sum_columns(member, members, gates, row, nullptr, 0, G * H, ih ? ih : hh, ih ? hh : nullptr);
        }
        if (!sweep.norm_h_weight)
            return;
        T *weight = (T *)sweep.grad_norm_h_weight, *bias = (T *)sweep.grad_norm_h_bias;
        const T *normed = (const T *)sweep.norm_h;
        const auto sum = [&](long from, long count, long to) {
            sum_columns(member, members, gates + from, row, normed + from, G * H, count, weight + to);
            sum_columns(member, members, gates + from, row, nullptr, 0, count, bias + to);
        };
        if (MODE == GRU) {
            sum(0, H, 2 * H);
            sum(H, 2 * H, 0);
        } else {
            sum(0, G * H, 0);
        }
    }

    /* out[j] = sum over all rows of a[j], or a[j] b[j]; this member's columns. `copy`: another place for the same. */
    void sum_columns(int member, int members, const T *a, long a_row, const T *b, long b_row, long count, T *out,
                     T *copy = nullptr) {
        const Share columns(count, VL, member, members);
        for (long j = columns.first; j < columns.last; j += VL) {
            const long lanes = minimum(VL, columns.last - j);
            const vec<T> sum = b ? sum_column<true>(a + j, a_row, b + j, b_row, lanes) : sum_column<false>(a + j, a_row, b, 0, lanes);
            store(out + j, sum, lanes);
            if (copy)
                store(copy + j, sum, lanes);
        }
    }

    /* A function of its own: wherever a column lies, the same instructions add it up. */
    template <bool PRODUCTS>
    __attribute__((noinline)) vec<T> sum_column(const T *a, long a_row, const T *b, long b_row, long lanes) const {
        vec<T> sum{};
        for (long n = 0; n < N; n++) {
            const vec<T> x = load(a + n * a_row, lanes);
            if constexpr (PRODUCTS)
                sum += x * load(b + n * b_row, lanes);
            else
                sum += x;
        }
        return sum;
    }

    void sum_peepholes(int d, int member, int members) {
        const SweepProblem &sweep = layer.sweep[d];
        const Steps steps = steps_of(sweep);
        const Share columns(H, VL, member, members);
        for (long unit = columns.first; unit < columns.last; unit += VL) {
            const long count = minimum(VL, H - unit);
            vec<T> i{}, f{}, o{};
            for (long step = 0; step < layer.T; step++)
                for (long b = 0; b < steps.rows(step); b++) {
                    const Row row{b, steps.offset(step) + b, nullptr, c_before(sweep, steps, step, b), false};
                    const T *gates = gates_of_row(d, row.n) + unit;
                    const vec<T> before = load(row.c_before + unit, count);
                    i += load(gates, count) * before;
                    f += load(gates + H, count) * before;
                    const LstmCell<Math> cell = lstm_cell(sweep, row, unit, count);
                    o += load(gates + 3 * H, count) * candidate(sweep, cell, row, unit, count);
                }
            store((T *)sweep.grad_peephole + unit, i, count);
            store((T *)sweep.grad_peephole + H + unit, f, count);
            store((T *)sweep.grad_peephole + 2 * H + unit, o, count);
        }
    }
};

} // namespace TINYRNN_ISA
