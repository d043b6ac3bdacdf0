/* The fused backward sweep of a recurrent layer.

   From the last step to the first: dh = dG' W_hh + what comes from outside, where dG' are the gradients of the next step's
   products; the inner loop leaves dh of a few rows on the stack, where the cell turns it into the gradients dG of its gates.
   After every chunk of steps comes what their dG give for the weights and for x. */
#pragma once

#include "recurrent_gradients.h"
#include "row_norm.h"

namespace TINYRNN_ISA {

template <typename T, int MODE> class Backward : public WeightGradients<T, MODE, Backward<T, MODE>> {
    using Run = LayerRun<T, MODE, Backward>;
    using Gradients = WeightGradients<T, MODE, Backward>;
    using typename Run::Math;
    using typename Gradients::Row;
    using Run::B, Run::H, Run::P, Run::N, Run::G, Run::VL, Run::RNN, Run::layer, Run::by_rows, Run::offsets, Run::barriers,
        Run::steps_of, Run::wide_blocks;
    using Gradients::FED, Gradients::WIDTH, Gradients::buffers, Gradients::c_before, Gradients::lstm_cell,
        Gradients::candidate, Gradients::in_chunks, Gradients::buffer_rows;
    friend Run;

    static constexpr bool GATED = MODE == GRU || MODE == GRU_RESET_BEFORE;

  public:
    using Gradients::Gradients;

  private:
    RARELY void lay_out(Arena &arena) {
        offsets = arena.take<long>(layer.T + 1);
        const int blocks = wide_blocks();
        for (int d = 0; d < layer.directions; d++) {
            const SweepProblem &sweep = layer.sweep[d];
            BackwardBuffers<T> &own = buffers[d];
            own.hh = {nullptr, FED * H, P, 1, blocks};
            own.hn = {nullptr, H, H, 1, blocks};
            own.hr = {nullptr, P, H, 1, blocks};
            own.hh.packed = arena.take<T>(own.hh.size());
            if (MODE == GRU_RESET_BEFORE)
                own.hn.packed = arena.take<T>(own.hn.size());
            const long rows = (in_chunks ? 2 : 1) * buffer_rows;
            own.gates = arena.take<T>(rows * WIDTH * H);
            own.products = own.gates;
            own.products_row = WIDTH * H;
            own.h_rows = arena.take<const T *>(N);
            if (sweep.weight_hr) {
                own.hr.packed = arena.take<T>(own.hr.size());
                own.projected = arena.take<T>(N * P);
            }
            if (sweep.norm_h_weight) {
                own.products = arena.take<T>(rows * G * H);
                own.products_row = G * H;
            }
            if (sweep.norm_c_weight) {
                own.normed = arena.take<T>(N * H);
                own.output_gate = arena.take<T>(B * H);
                own.cell = arena.take<T>(B * H);
            }
            if (sweep.recurrent_mask || MODE == GRU_RESET_BEFORE)
                own.fed = arena.take<T>(N * P);
            if (sweep.recurrent_mask && MODE == GRU_RESET_BEFORE)
                own.masked = arena.take<T>(N * P);
            if (d > 0 && layer.grad_x)
                own.grad_x = arena.take<T>(N * (sweep.weight_ih ? layer.I : G * H));
        }
    }

    void run_member(int member, int members) {
        const FlushDenormals flush;
        const Place place = place_of(layer, N, member, members, least_rows_for(FED * H * P * (long)sizeof(T)), by_rows);
        for (int d = place.first_direction; d <= place.last_direction; d++) {
            prepare(d, place);
            barriers->direction[d].wait(place.members);
            Chunk<T> later{-1, layer.T, layer.T, 0, 0, nullptr, nullptr};
            do { // at least once, if only to write zeros
                const Chunk<T> chunk = this->chunk_before(d, later);
                sweep_over(d, place, chunk, later);
                barriers->direction[d].wait(place.members); // once: the next chunk is written to the other buffer
                this->weight_gradients(d, chunk, place.member, place.members);
                later = chunk;
            } while (later.first_step > 0);
        }
        if (layer.directions == 2 && layer.grad_x) {
            barriers->team.wait(members);
            this->add_second_grad_x(member, members);
        }
    }

    // ---- before the last step ----

    void prepare(int d, const Place &place) {
        const SweepProblem &sweep = layer.sweep[d];
        const BackwardBuffers<T> &own = buffers[d];
        const T *weight = (const T *)sweep.weight_hh;
        const Share panels(own.hh.count(), 1, place.member, place.members);
        for (long panel = panels.first; panel < panels.last; panel++) {
            if (MODE == GRU) {
                own.hh.pack_columns(panel, weight + 2 * H * P, P, H, 0); // hn first
                own.hh.pack_columns(panel, weight, P, 2 * H, H);
            } else {
                own.hh.pack_columns(panel, weight, P, FED * H, 0);
            }
        }
        const Share units(own.hn.count(), 1, place.member, place.members);
        for (long panel = units.first; panel < units.last; panel++) {
            if (MODE == GRU_RESET_BEFORE)
                own.hn.pack_columns(panel, weight + 2 * H * P, P, H, 0);
            if (sweep.weight_hr)
                own.hr.pack_columns(panel, (const T *)sweep.weight_hr, H, P, 0);
        }
        // the gradients of the initial states are what is carried from step to step until then
        const Share rows(B, 1, place.member, place.members);
        copy_or_clear((T *)sweep.grad_h_0, (const T *)sweep.grad_h_n, rows.first * P, rows.last * P);
        if (MODE == LSTM)
            copy_or_clear((T *)sweep.grad_c_0, (const T *)sweep.grad_c_n, rows.first * H, rows.last * H);
        const Steps steps = steps_of(sweep);
        const Share times(layer.T, 1, place.member, place.members);
        for (long step = times.first; step < times.last; step++)
            for (long b = 0; b < steps.rows(step); b++)
                remember_input(sweep, own, steps, step, b);
    }

    static void copy_or_clear(T *to, const T *from, long first, long last) {
        if (from)
            memcpy(to + first, from + first, (last - first) * sizeof(T));
        else
            memset(to + first, 0, (last - first) * sizeof(T));
    }

    /* What W_hh was multiplied with. */
    void remember_input(const SweepProblem &sweep, const BackwardBuffers<T> &own, const Steps &steps, long step, long b) {
        const long n = steps.offset(step) + b;
        const T *h = h_before(sweep, steps, step, b), *mask = (const T *)sweep.recurrent_mask;
        own.h_rows[n] = h;
        if (!mask && MODE != GRU_RESET_BEFORE)
            return;
        T *masked = (MODE == GRU_RESET_BEFORE ? own.masked : own.fed) + n * P;
        if (mask) {
            for (long j = 0; j < P; j++)
                masked[j] = h[j] * mask[b * P + j];
            own.h_rows[n] = masked;
        }
        if (MODE == GRU_RESET_BEFORE)
            for (long j = 0; j < H; j++)
                own.fed[n * H + j] = ((const T *)sweep.gates)[n * 3 * H + j] * own.h_rows[n][j];
    }

    const T *h_before(const SweepProblem &sweep, const Steps &steps, long step, long b) const {
        return b < steps.going_on(step) ? (const T *)sweep.output + (steps.offset(step - 1) + b) * sweep.output_row
                                        : (const T *)sweep.h_0 + b * P;
    }

    // ---- over time ----

    /* Whether part of dh goes on to the step before past the gates. */
    static bool passes_by(const SweepProblem &sweep) {
        return GATED || sweep.zoneout_h || sweep.zoneout_h_rate != 0;
    }

    void sweep_over(int d, const Place &place, const Chunk<T> &chunk, const Chunk<T> &later) {
        const BackwardBuffers<T> &own = buffers[d];
        const Steps steps = steps_of(layer.sweep[d]);
        const Share panels(own.hh.count(), 1, place.unit_member, place.units);
        Barrier &barrier = barriers->group[d][place.group];
        const T *next = chunk.last_step == layer.T ? nullptr : products_of(d, later, steps, chunk.last_step);
        for (long step = chunk.last_step - 1; step >= chunk.first_step; step--) {
            const long last = minimum(steps.rows(step), place.last_row);
            if (last > place.first_row)
                run_step(d, place, panels, chunk, steps, step, last, next);
            barrier.wait(place.units);
            next = products_of(d, chunk, steps, step);
            const long beginning = maximum(place.first_row, steps.going_on(step));
            if (beginning < last)
                initial_gradient(d, panels, next, beginning, last);
        }
    }

    /* The gradients of a step's products with W_hh. */
    T *products_of(int d, const Chunk<T> &chunk, const Steps &steps, long step) const {
        return chunk.products + (steps.offset(step) - chunk.first_row) * buffers[d].products_row;
    }

    /* `next`: the gradients of the products of the step after this one. */
    void run_step(int d, const Place &place, const Share &panels, const Chunk<T> &chunk, const Steps &steps, long step,
                  long last, const T *next) {
        static const T zeros[MOST_VECTORS * VL] = {};
        const SweepProblem &sweep = layer.sweep[d];
        const BackwardBuffers<T> &own = buffers[d];
        const long first = place.first_row, middle = minimum(last, maximum(first, steps.staying(step)));
        T *gates = chunk.gates + (steps.offset(step) - chunk.first_row) * WIDTH * H;
        T *products = products_of(d, chunk, steps, step);
        const auto row_of = [&](long b) {
            return Row{b, steps.offset(step) + b, h_before(sweep, steps, step, b),
                       MODE == LSTM ? c_before(sweep, steps, step, b) : nullptr, b >= middle, gates + b * WIDTH * H};
        };
        const auto normalise = [&](long from, long count, int part) {
            for (long b = first; b < last; b++)
                normalise_backward(sweep, row_of(b), products + b * G * H, from, count, part);
        };
        multiply_rows<T>(own.hh, panels.first, panels.last, next, own.products_row, first, middle, zeros, 0, 0,
                         [&](long b, long panel, const T *dh) { h_backward(d, row_of(b), panel, dh); });
        for (long panel = panels.first; panel < panels.last; panel++)
            for (long b = middle; b < last; b++)
                h_backward(d, row_of(b), panel, zeros);
        if (sweep.weight_hr)
            multiply_rows<T>(own.hr, 0, own.hr.count(), own.projected + steps.offset(step) * P, P, first, last, zeros, 0, 0,
                             [&](long b, long panel, const T *dhidden) {
                                 for (int v = 0; v < own.hr.vectors_of(panel); v++)
                                     hidden_backward(d, row_of(b), own.hr.first_unit(panel) + v * VL, load(dhidden + v * VL));
                             });
        if (sweep.norm_c_weight)
            for (long b = first; b < last; b++)
                normed_output_backward(d, row_of(b));
        if (MODE == GRU_RESET_BEFORE) {
            if (sweep.norm_h_weight)
                normalise(2 * H, H, 1);
            multiply_rows<T>(own.hn, 0, own.hn.count(), products + 2 * H, own.products_row, first, last, zeros, 0, 0,
                             [&](long b, long panel, const T *dreset) {
                                 for (int v = 0; v < own.hn.vectors_of(panel); v++)
                                     reset_backward(d, row_of(b), own.hn.first_unit(panel) + v * VL, load(dreset + v * VL));
                             });
        }
        if (sweep.norm_h_weight)
            normalise(0, MODE == GRU_RESET_BEFORE ? 2 * H : G * H, 0);
    }

    /* Where sequences begin. */
    void initial_gradient(int d, const Share &panels, const T *products, long first, long last) {
        static const T zeros[MOST_VECTORS * VL] = {};
        const SweepProblem &sweep = layer.sweep[d];
        const BackwardBuffers<T> &own = buffers[d];
        multiply_rows<T>(own.hh, panels.first, panels.last, products, own.products_row, first, last, zeros, 0, 0,
                         [&](long b, long panel, const T *dh) {
                             for (int v = 0; v < own.hh.vectors_of(panel); v++) {
                                 const long unit = own.hh.first_unit(panel) + v * VL, count = minimum(VL, P - unit);
                                 T *to = (T *)sweep.grad_h_0 + b * P + unit;
                                 vec<T> sum = through_mask(sweep, b, unit, count, load(dh + v * VL));
                                 if (passes_by(sweep))
                                     sum += load(to, count);
                                 store(to, sum, count);
                             }
                         });
    }

    vec<T> through_mask(const SweepProblem &sweep, long b, long unit, long count, vec<T> grad) const {
        return sweep.recurrent_mask ? grad * load((const T *)sweep.recurrent_mask + b * P + unit, count) : grad;
    }

    /* All of dh comes together: from the next step (`product`), past its gates, from the output. Then on to the cell. */
    FLATTEN void h_backward(int d, const Row &row, long panel, const T *product) {
        const SweepProblem &sweep = layer.sweep[d];
        const Panels<T> &hh = buffers[d].hh;
        const bool passing = passes_by(sweep);
        for (int v = 0; v < hh.vectors_of(panel); v++) {
            const long unit = hh.first_unit(panel) + v * VL, count = minimum(VL, P - unit);
            T *carried = (T *)sweep.grad_h_0 + row.b * P + unit;
            vec<T> dh = load(product + v * VL);
            if (!row.ends)
                dh = through_mask(sweep, row.b, unit, count, dh);
            if (row.ends || passing)
                dh += load(carried, count);
            if (sweep.grad_output)
                dh += load((const T *)sweep.grad_output + row.n * sweep.grad_output_row + unit, count);
            vec<T> past{};
            if (sweep.zoneout_h || sweep.zoneout_h_rate != 0) {
                past = keep<T>(vec<T>{}, dh, sweep.zoneout_h, sweep.zoneout_h_rate, row.n * P + unit, count);
                dh -= past;
            }
            if constexpr (GATED)
                past += gated_backward(d, row, unit, dh);
            if (passing)
                store(carried, past, count);
            if constexpr (RNN)
                rnn_backward(d, row, unit, dh);
            if constexpr (MODE == LSTM) {
                if (sweep.weight_hr)
                    store(buffers[d].projected + row.n * P + unit, dh, count);
                else
                    hidden_backward(d, row, unit, dh);
            }
        }
    }

    // ---- the cells ----

    void rnn_backward(int d, const Row &row, long unit, vec<T> dh) {
        const SweepProblem &sweep = layer.sweep[d];
        const long count = minimum(VL, H - unit);
        vec<T> h = load((const T *)sweep.output + row.n * sweep.output_row + unit, count);
        if (sweep.zoneout_h || sweep.zoneout_h_rate != 0)
            h = load((const T *)sweep.hidden + row.n * H + unit, count); // as it was before zoneout
        const vec<T> grad = layer.mode == RNN_TANH ? RnnTanh<Math>::backward(dh, h) : RnnRelu<Math>::backward(dh, h);
        store(row.gates + unit, grad, count);
    }

    /* From d(o tanh(c)): by way of o, and of c. */
    FLATTEN void hidden_backward(int d, const Row &row, long unit, vec<T> dhidden) {
        const SweepProblem &sweep = layer.sweep[d];
        const long count = minimum(VL, H - unit);
        const LstmCell<Math> cell = lstm_cell(sweep, row, unit, count);
        if (sweep.norm_c_weight) {
            const vec<T> weight = load((const T *)sweep.norm_c_weight + unit, count);
            const vec<T> normed = load((const T *)sweep.norm_c + row.n * H + unit, count);
            const vec<T> y = tanh<T>(normed * weight + load((const T *)sweep.norm_c_bias + unit, count));
            store(buffers[d].output_gate + row.b * H + unit, dhidden * y, count);
            store(buffers[d].normed + row.n * H + unit, dhidden * cell.o * (T(1) - y * y), count);
            return;
        }
        const vec<T> y = tanh<T>(candidate(sweep, cell, row, unit, count));
        lstm_backward(d, row, unit, cell, dhidden * y, dhidden * cell.o * (T(1) - y * y));
    }

    /* grad_o: of o; dc: of c, from h alone. */
    void lstm_backward(int d, const Row &row, long unit, const LstmCell<Math> &cell, vec<T> grad_o, vec<T> dc) {
        const SweepProblem &sweep = layer.sweep[d];
        const long count = minimum(VL, H - unit);
        T *carried = (T *)sweep.grad_c_0 + row.b * H + unit;
        const T *peephole = (const T *)sweep.peephole;
        vec<T> from_outside = load(carried, count);
        if (sweep.grad_cells)
            from_outside += load((const T *)sweep.grad_cells + row.n * H + unit, count);
        vec<T> past = keep<T>(vec<T>{}, from_outside, sweep.zoneout_c, sweep.zoneout_c_rate, row.n * H + unit, count);
        dc += from_outside - past;
        const vec<T> o_in = cell.output_gate_backward(grad_o);
        if (peephole)
            dc += o_in * load(peephole + 2 * H + unit, count);
        const vec<T> c_before = load(row.c_before + unit, count);
        const typename LstmCell<Math>::Gradients grad = cell.cell_backward(dc, c_before);
        past += dc * cell.f;
        if (peephole)
            past += grad.i * load(peephole + unit, count) + grad.f * load(peephole + H + unit, count);
        store(carried, past, count);
        T *gates = row.gates + unit;
        store(gates, grad.i, count);
        store(gates + H, grad.f, count);
        store(gates + 2 * H, grad.g, count);
        store(gates + 3 * H, o_in, count);
    }

    /* Gives what of dh goes to h of the step before past the gates. */
    vec<T> gated_backward(int d, const Row &row, long unit, vec<T> dh) {
        const SweepProblem &sweep = layer.sweep[d];
        const long count = minimum(VL, H - unit);
        const T *saved = (const T *)sweep.gates + row.n * WIDTH * H + unit;
        T *gates = row.gates + unit;
        GruCell<Math> cell{load(saved, count), load(saved + H, count), load(saved + 2 * H, count), {}};
        const vec<T> before = load(row.h_before + unit, count);
        if constexpr (MODE == GRU) {
            cell.hn = load(saved + 3 * H, count);
            const typename GruCell<Math>::Gradients grad = cell.backward(dh, before);
            store(gates, grad.hn, count);
            store(gates + H, grad.r, count);
            store(gates + 2 * H, grad.z, count);
            store(gates + 3 * H, grad.n, count);
        } else {
            store(gates + H, cell.update_backward(dh, before), count);
            store(gates + 2 * H, cell.candidate_backward(dh), count);
        }
        return dh * cell.z;
    }

    /* GRU_RESET_BEFORE, from the gradient of r (mask h'). */
    FLATTEN void reset_backward(int d, const Row &row, long unit, vec<T> dreset) {
        const SweepProblem &sweep = layer.sweep[d];
        const long count = minimum(VL, H - unit);
        const vec<T> r = load((const T *)sweep.gates + row.n * 3 * H + unit, count);
        const vec<T> fed = load(buffers[d].h_rows[row.n] + unit, count);
        store(row.gates + unit, dreset * fed * r * (T(1) - r), count);
        T *carried = (T *)sweep.grad_h_0 + row.b * P + unit;
        store(carried, load(carried, count) + through_mask(sweep, row.b, unit, count, dreset * r), count);
    }

    // ---- layer norm ----

    void normed_output_backward(int d, const Row &row) {
        const SweepProblem &sweep = layer.sweep[d];
        const T *normed = buffers[d].normed + row.n * H, *weight = (const T *)sweep.norm_c_weight;
        T *dc = buffers[d].cell + row.b * H;
        for (long j = 0; j < H; j++)
            dc[j] = normed[j] * weight[j];
        normalise_row_backward(dc, (const T *)sweep.norm_c + row.n * H, ((const T *)sweep.norm_c_scale)[row.n], H);
        for (long unit = 0; unit < H; unit += VL) {
            const long count = minimum(VL, H - unit);
            lstm_backward(d, row, unit, lstm_cell(sweep, row, unit, count),
                          load(buffers[d].output_gate + row.b * H + unit, count), load(dc + unit, count));
        }
    }

    /* From the gradients of gates to those of the products with W_hh, `count` of them from `first` on. */
    void normalise_backward(const SweepProblem &sweep, const Row &row, T *products, long first, long count, int part) {
        const int parts = MODE == GRU_RESET_BEFORE ? 2 : 1;
        for (long j = first; j < first + count; j++)
            products[j] = row.gates[j] * ((const T *)sweep.norm_h_weight)[as_stored(j)];
        normalise_row_backward(products + first, (const T *)sweep.norm_h + row.n * G * H + first,
                               ((const T *)sweep.norm_h_scale)[row.n * parts + part], count);
    }

    /* Where the parameters of a row of products have what is number j here: GRU's n is first here, last there. */
    long as_stored(long j) const { return MODE != GRU ? j : j < H ? j + 2 * H : j - H; }

};

template <typename T> static int recurrent_backward(const LayerProblem *layer, int threads) {
    return run_layer<T, Backward>(*layer, threads);
}

} // namespace TINYRNN_ISA
