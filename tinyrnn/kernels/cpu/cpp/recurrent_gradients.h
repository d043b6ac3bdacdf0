/* The gradients of a recurrent layer's weights and input, once those of the gates of some steps are known: each is one product,
   or one sum, over the rows of these steps, added to that of the steps after them. */
#pragma once

#include "recurrent.h"

namespace TINYRNN_ISA {

/* The buffers of one direction. Gradients of gates lie in the order of `gates`, but for GRU: hn r z n, so that those of the
   hidden products (hn r z) and those of the input projections (r z n) are each one matrix. */
template <typename T> struct BackwardBuffers {
    Panels<T> hh, hn, hr; // hn: W_hn of GRU_RESET_BEFORE, by its own
    T *gates;             // (rows of a chunk, saved gates or H) once or twice, gradients of pre-activations
    T *products;          // (likewise, G H), of the products with W_hh, in the order of `gates`; the same without layer norm
    long products_row;
    T *grad_x;            // of the second direction, (N, I or G H), until it is added to the first one's
    T *projected;         // (N, P), of what W_hr gave
    T *normed;            // (N, H), of the normalised c, with layer norm of it
    T *output_gate, *cell; // (B, H), of o and of c itself, likewise
    const T **h_rows;     // (N), h of the step before
    T *fed;               // (N, P), h times the recurrent mask, or (N, H) r h
    T *masked;            // (N, P) h times the recurrent mask, where `fed` has r h
};

/* Backward goes over a chunk of steps, then finds what their gates give for the weights: so the gates are still in the cache,
   and there are never more than those of two chunks. */
template <typename T> struct Chunk {
    long number; // the last steps are number 0
    long first_step, last_step;
    long first_row, rows;
    T *gates, *products; // of its first row
};

/* How many rows a chunk has: no more than a cache may hold, unless the weights are larger, whose gradients every chunk reads
   and writes. */
static long rows_of_chunks(long N, long row_bytes, long weight_bytes) {
    const long least = 256, cached = 1 << 20;
    const long rows = maximum(least, maximum(cached, 2 * weight_bytes) / row_bytes);
    const long chunks = maximum(1, N / rows);
    return (N + chunks - 1) / chunks;
}

/* What is left to do when the backward sweep has filled the buffers. */
template <typename T, int MODE, typename Sweeps> class WeightGradients : public LayerRun<T, MODE, Sweeps> {
  protected:
    using Run = LayerRun<T, MODE, Sweeps>;
    using typename Run::Math;
    using Run::B, Run::H, Run::P, Run::N, Run::G, Run::VL, Run::RNN, Run::layer, Run::steps_of;
    static constexpr int WIDTH = RNN ? 1 : saved_gates_of(MODE); // of a row of gate gradients, in H
    static constexpr int FED = MODE == GRU_RESET_BEFORE ? 2 : G; // gates whose products are with h itself

    BackwardBuffers<T> buffers[2] = {};
    const long chunk_rows = rows_of_chunks(N, WIDTH * H * (long)sizeof(T), G * H * (layer.I + P) * (long)sizeof(T));
    const bool in_chunks = chunk_rows < N;
    const long buffer_rows = in_chunks ? chunk_rows + B : N; // a chunk ends with a whole step

    using Run::Run;

    /* The steps before a chunk, as many as a chunk has. */
    Chunk<T> chunk_before(int d, const Chunk<T> &later) const {
        const BackwardBuffers<T> &own = buffers[d];
        const Steps steps = steps_of(layer.sweep[d]);
        const long number = later.number + 1, place = number % 2 * buffer_rows, last = later.first_step;
        long first = last, rows = 0;
        while (first > 0 && rows < chunk_rows)
            rows += steps.rows(--first);
        const long first_row = rows ? minimum(steps.offset(first), steps.offset(last - 1)) : 0;
        return {number, first, last, first_row, rows, own.gates + place * WIDTH * H, own.products + place * own.products_row};
    }

    /* out[j] = sum over the rows of a[j], or a[j] b[j], added to what is there; this member's columns. */
    struct ColumnSums {
        long rows;
        bool to_what_is_there;
        int member, members;

        /* `copy`: another place for the same. */
        void add(const T *a, long a_row, const T *b, long b_row, long count, T *out, T *copy = nullptr) const {
            const Share columns(count, VL, member, members);
            for (long j = columns.first; j < columns.last; j += VL) {
                const long lanes = minimum(VL, columns.last - j);
                vec<T> sum = b ? column<true>(a + j, a_row, b + j, b_row, lanes) : column<false>(a + j, a_row, b, 0, lanes);
                if (to_what_is_there)
                    sum += load(out + j, lanes);
                store(out + j, sum, lanes);
                if (copy)
                    store(copy + j, sum, lanes);
            }
        }

        /* A function of its own: wherever a column lies, the same instructions add it up. */
        template <bool PRODUCTS>
        __attribute__((noinline)) vec<T> column(const T *a, long a_row, const T *b, long b_row, long lanes) const {
            vec<T> sum{};
            for (long n = 0; n < rows; n++) {
                const vec<T> x = load(a + n * a_row, lanes);
                if constexpr (PRODUCTS)
                    sum += x * load(b + n * b_row, lanes);
                else
                    sum += x;
            }
            return sum;
        }
    };

    /* One row at one step. */
    struct Row {
        long b, n;
        const T *h_before, *c_before;
        bool ends; // here: what is carried is the final state's gradient
        T *gates;  // gradients
    };

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

    // ---- after the first step of a chunk ----

    void weight_gradients(int d, const Chunk<T> &chunk, int member, int members) {
        const SweepProblem &sweep = layer.sweep[d];
        const BackwardBuffers<T> &own = buffers[d];
        const long row = WIDTH * H, I = layer.I, first = chunk.first_row;
        const T *gates_x = chunk.gates + (MODE == GRU ? H : 0);
        T *grad_x = d > 0 ? own.grad_x : (T *)layer.grad_x;
        const auto add_product = [&](long M, long columns, const Operand<T> &a, const Operand<T> &b, void *to) {
            gemm_share<T>(member, members, M, columns, chunk.rows, a, b, chunk.number > 0 ? (const T *)to : nullptr, columns,
                          (T *)to, columns);
        };
        if (grad_x && sweep.weight_ih)
            gemm_share<T>(member, members, chunk.rows, I, G * H, {gates_x, row, 1}, {(const T *)sweep.weight_ih, I, 1},
                          nullptr, 0, grad_x + first * I, I);
        else if (grad_x)
            copy_rows(member, members, chunk.rows, gates_x, row, grad_x + first * G * H);
        if (sweep.weight_ih)
            add_product(G * H, I, {gates_x, 1, row}, {(const T *)layer.x + first * layer.x_row, layer.x_row, 1},
                        sweep.grad_weight_ih);
        const Operand<T> h{nullptr, 0, 1, own.h_rows + first};
        const auto hidden_weights = [&](long from, long gates, const Operand<T> &fed, long to) {
            add_product(gates * H, P, {chunk.products + from * H, 1, own.products_row}, fed,
                        (T *)sweep.grad_weight_hh + to * H * P);
        };
        if (MODE == GRU) {
            hidden_weights(0, 1, h, 2);
            hidden_weights(1, 2, h, 0);
        } else {
            hidden_weights(0, FED, h, 0);
        }
        if (MODE == GRU_RESET_BEFORE)
            hidden_weights(2, 1, {own.fed + first * H, H, 1}, 2);
        if (sweep.weight_hr)
            add_product(P, H, {own.projected + first * P, 1, P}, {(const T *)sweep.hidden + first * H, H, 1},
                        sweep.grad_weight_hr);
        const ColumnSums sums{chunk.rows, chunk.number > 0, member, members};
        sum_gates(sweep, chunk, sums);
        if (sweep.norm_c_weight) {
            const T *normed = own.normed + first * H;
            sums.add(normed, H, (const T *)sweep.norm_c + first * H, H, H, (T *)sweep.grad_norm_c_weight);
            sums.add(normed, H, nullptr, 0, H, (T *)sweep.grad_norm_c_bias);
        }
        if (sweep.peephole)
            sum_peepholes(d, chunk, member, members);
    }

    /* The gradient of projections that came as they are. */
    void copy_rows(int member, int members, long count, const T *from, long row, T *to) {
        const Share rows(count, 1, member, members);
        for (long n = rows.first; n < rows.last; n++)
            memcpy(to + n * G * H, from + n * row, G * H * sizeof(T));
    }

    /* When all is done: x is the input of both directions. */
    void add_second_grad_x(int member, int members) {
        const Share all(N * (layer.sweep[0].weight_ih ? layer.I : G * H), VL, member, members);
        T *to = (T *)layer.grad_x;
        const T *second = buffers[1].grad_x;
        for (long j = all.first; j < all.last; j += VL) {
            const long lanes = minimum(VL, all.last - j);
            store(to + j, load(to + j, lanes) + load(second + j, lanes), lanes);
        }
    }

    /* The gradients of biases and of the parameters of layer norm. */
    void sum_gates(const SweepProblem &sweep, const Chunk<T> &chunk, const ColumnSums &sums) {
        const T *gates = chunk.gates;
        const long row = WIDTH * H;
        T *ih = (T *)sweep.grad_bias_ih, *hh = (T *)sweep.grad_bias_hh;
        if (MODE == GRU) {
            if (ih)
                sums.add(gates + H, row, nullptr, 0, 3 * H, ih);
            if (hh) {
                sums.add(gates, row, nullptr, 0, H, hh + 2 * H);
                sums.add(gates + H, row, nullptr, 0, 2 * H, hh);
            }
        } else if (ih || hh) {
            sums.add(gates, row, nullptr, 0, G * H, ih ? ih : hh, ih ? hh : nullptr);
        }
        if (!sweep.norm_h_weight)
            return;
        T *weight = (T *)sweep.grad_norm_h_weight, *bias = (T *)sweep.grad_norm_h_bias;
        const T *normed = (const T *)sweep.norm_h + chunk.first_row * G * H;
        const auto sum = [&](long from, long count, long to) {
            sums.add(gates + from, row, normed + from, G * H, count, weight + to);
            sums.add(gates + from, row, nullptr, 0, count, bias + to);
        };
        if (MODE == GRU) {
            sum(0, H, 2 * H);
            sum(H, 2 * H, 0);
        } else {
            sum(0, G * H, 0);
        }
    }

    void sum_peepholes(int d, const Chunk<T> &chunk, int member, int members) {
        const SweepProblem &sweep = layer.sweep[d];
        const Steps steps = steps_of(sweep);
        const Share columns(H, VL, member, members);
        for (long unit = columns.first; unit < columns.last; unit += VL) {
            const long count = minimum(VL, H - unit);
            vec<T> i{}, f{}, o{};
            for (long step = chunk.first_step; step < chunk.last_step; step++)
                for (long b = 0; b < steps.rows(step); b++) {
                    const Row row{b, steps.offset(step) + b, nullptr, c_before(sweep, steps, step, b), false, nullptr};
                    const T *gates = chunk.gates + (row.n - chunk.first_row) * WIDTH * H + unit;
                    const vec<T> before = load(row.c_before + unit, count);
                    i += load(gates, count) * before;
                    f += load(gates + H, count) * before;
                    const LstmCell<Math> cell = lstm_cell(sweep, row, unit, count);
                    o += load(gates + 3 * H, count) * candidate(sweep, cell, row, unit, count);
                }
            T *to = (T *)sweep.grad_peephole + unit;
            if (chunk.number > 0) {
                i += load(to, count);
                f += load(to + H, count);
                o += load(to + 2 * H, count);
            }
            store(to, i, count);
            store(to + H, f, count);
            store(to + 2 * H, o, count);
        }
    }
};

} // namespace TINYRNN_ISA
