/* The fused forward sweep: all steps of all directions of a recurrent layer.

   Per step and panel of units, the inner loop leaves the pre-activations of a few rows in registers and on the stack, where
   the cell takes them at once: nothing but h, c and, for backward, the gates is ever written to memory. The input projections
   are computed for some steps ahead (a chunk), so that W_ih is read once for many rows. */
#pragma once

#include "recurrent.h"
#include "row_norm.h"

namespace TINYRNN_ISA {

/* The buffers of one direction. */
template <typename T> struct ForwardBuffers {
    Panels<T> ih, hh, hn, hr; // hn: W_hn of GRU_RESET_BEFORE, which is a phase of its own
    T *bias;                  // [panel][slots]
    long plain_panels;        // so many panels have whole vectors of units, and no options
    T *masked[3];             // h times the recurrent mask, of this and the last step in turn, and h_0's; (B, P)
    T *products;              // (B, G H), for layer norm
    T *candidate, *output_gate; // (B, H), for layer norm of c
    T *hidden;                // (B, H), o tanh(c), to be projected; r h of GRU_RESET_BEFORE
    T *update;                // (B, H), z of GRU_RESET_BEFORE
};

template <typename T, int MODE> class Forward : public LayerRun<T, MODE, Forward<T, MODE>> {
    using Run = LayerRun<T, MODE, Forward>;
    using typename Run::Math;
    using Run::B, Run::H, Run::P, Run::N, Run::G, Run::VL, Run::RNN, Run::layer, Run::threads, Run::by_rows, Run::offsets,
        Run::barriers, Run::steps_of, Run::wide_blocks;
    friend Run;

    ForwardBuffers<T> buffers[2] = {};
    T *projected; // per member, input projections of a chunk: [panel][row][slots]
    long projected_size, chunk_rows;

    /* Vectors of a row of a panel's projections. GRU: n's input part, then r, z and b_hn, where the hidden product starts. */
    static constexpr int order_x[4][4] = {{0}, {0, 1, 2, 3}, {2, 0, 1}, {0, 1, 2}};
    static constexpr int order_h[4] = {0, 1, 2, 3};
    static constexpr const int *x_order() {
        return order_x[RNN ? 0 : MODE == LSTM ? 1 : MODE == GRU ? 2 : 3];
    }
    int slots(const ForwardBuffers<T> &own) const { return RNN ? own.ih.blocks : MODE == GRU_RESET_BEFORE ? 3 : 4; }
    static constexpr int hidden_slot = MODE == GRU ? 1 : 0; // where the hidden product's start lies among them

  public:
    using Run::Run;

  private:
    RARELY void lay_out(Arena &arena) {
        offsets = arena.take<long>(layer.T + 1);
        for (int d = 0; d < layer.directions; d++) {
            const SweepProblem &sweep = layer.sweep[d];
            ForwardBuffers<T> &own = buffers[d];
            const T *weight_hh = (const T *)sweep.weight_hh;
            own.ih = {nullptr, sweep.weight_ih ? layer.I : 0, H, G, 1, (const T *)sweep.weight_ih, x_order()};
            own.hh = {nullptr, P, H, MODE == GRU_RESET_BEFORE ? 2 : G, 1, weight_hh, order_h};
            own.hn = {nullptr, P, H, 1, 1, MODE == GRU_RESET_BEFORE ? weight_hh + 2 * H * P : nullptr, order_h};
            own.hr = {nullptr, H, P, 1, PANEL_VECTORS, (const T *)sweep.weight_hr, order_h};
            if (RNN)
                own.ih.blocks = own.hh.blocks = wide_blocks();
            if (N > MOST_UNPACKED) {
                own.ih.packed = arena.take<T>(own.ih.size());
                own.hh.packed = arena.take<T>(own.hh.size());
                if (MODE == GRU_RESET_BEFORE)
                    own.hn.packed = arena.take<T>(own.hn.size());
                if (sweep.weight_hr)
                    own.hr.packed = arena.take<T>(own.hr.size());
            }
            own.plain_panels = has_options(sweep) || MODE == GRU_RESET_BEFORE ? 0 : H / (own.hh.blocks * VL);
            own.bias = arena.take<T>(own.ih.count() * slots(own) * VL);
            if (sweep.recurrent_mask)
                for (T *&each : own.masked)
                    each = arena.take<T>(B * P);
            if (sweep.norm_h_weight)
                own.products = arena.take<T>(B * G * H);
            if (sweep.norm_c_weight) {
                own.candidate = arena.take<T>(B * H);
                own.output_gate = arena.take<T>(B * H);
            }
            if (sweep.weight_hr || MODE == GRU_RESET_BEFORE)
                own.hidden = arena.take<T>(B * H);
            if (MODE == GRU_RESET_BEFORE)
                own.update = arena.take<T>(B * H);
        }
        chunk_rows = maximum(layer.batch_sizes[0], 64);
        projected_size = buffers[0].ih.count() * chunk_rows * slots(buffers[0]) * VL;
        projected = arena.take<T>(projected_size * threads);
    }

    void run_member(int member, int members) {
        const FlushDenormals flush;
        const long bytes = G * H * (layer.I + P) * (long)sizeof(T);
        const Place place = place_of(layer, N, member, members, least_rows_for(bytes), by_rows);
        for (int d = place.first_direction; d <= place.last_direction; d++) {
            prepare(d, place);
            barriers->direction[d].wait(place.members);
            sweep_over_time(d, place, projected + member * projected_size);
        }
    }

    // ---- before the first step ----

    void prepare(int d, const Place &place) {
        const SweepProblem &sweep = layer.sweep[d];
        const ForwardBuffers<T> &own = buffers[d];
        const Share panels(own.hh.count(), 1, place.member, place.members);
        for (long panel = panels.first; panel < panels.last; panel++) {
            if (sweep.weight_ih && own.ih.packed)
                own.ih.pack_rows(panel);
            if (own.hh.packed)
                own.hh.pack_rows(panel);
            if (MODE == GRU_RESET_BEFORE && own.hn.packed)
                own.hn.pack_rows(panel);
            add_biases(own.bias + panel * slots(own) * VL, own, panel, sweep);
        }
        if (sweep.weight_hr && own.hr.packed) {
            const Share out(own.hr.count(), 1, place.member, place.members);
            for (long panel = out.first; panel < out.last; panel++)
                own.hr.pack_rows(panel);
        }
        const Share rows(B, 1, place.member, place.members);
        for (long b = rows.first; b < rows.last; b++) {
            memcpy((T *)sweep.h_n + b * P, (const T *)sweep.h_0 + b * P, P * sizeof(T)); // what empty sequences end with
            if (MODE == LSTM)
                memcpy((T *)sweep.c_n + b * H, (const T *)sweep.c_0 + b * H, H * sizeof(T));
            if (sweep.recurrent_mask)
                for (long j = b * P; j < (b + 1) * P; j++)
                    own.masked[2][j] = ((const T *)sweep.h_0)[j] * ((const T *)sweep.recurrent_mask)[j];
        }
    }

    void add_biases(T *to, const ForwardBuffers<T> &own, long panel, const SweepProblem &sweep) {
        const T *ih = (const T *)sweep.bias_ih, *hh = (const T *)sweep.bias_hh;
        const long unit = own.ih.first_unit(panel);
        for (int slot = 0; slot < slots(own); slot++) {
            const long block = RNN ? unit + slot * VL : unit;
            if (block >= H)
                continue;
            const long count = minimum(VL, H - block);
            const int gate = RNN ? 0 : MODE == GRU ? (slot == 0 || slot == 3 ? 2 : slot - 1) : slot;
            vec<T> sum{};
            if (ih && !(MODE == GRU && slot == 3))
                sum += load(ih + gate * H + block, count);
            if (hh && !(MODE == GRU && slot == 0))
                sum += load(hh + gate * H + block, count);
            store(to + slot * VL, sum);
        }
    }

    // ---- over time ----

    /* Where the projections of a chunk of steps are. */
    struct Chunk {
        long first_panel, last_panel; // of this member
        T *projected;
        long rows, row; // room per panel, and elements per row
        T *at(long panel, long r) const { return projected + ((panel - first_panel) * rows + r) * row; }
    };

    void sweep_over_time(int d, const Place &place, T *memory) {
        const SweepProblem &sweep = layer.sweep[d];
        const ForwardBuffers<T> &own = buffers[d];
        const Steps steps = steps_of(sweep);
        const Share panels(own.ih.count(), 1, place.unit_member, place.units);
        const Chunk chunk{panels.first, panels.last, memory, chunk_rows, slots(own) * VL};
        Barrier &barrier = barriers->group[d][place.group];
        const bool whole = has_all_rows(place);
        for (long step = 0, next; step < layer.T; step = next) {
            long rows = own_rows(place, steps.rows(step));
            next = step + 1;
            if (!rows)
                continue; // none of this member's sequences has begun yet, or all have ended
            for (long more; next < layer.T; next++, rows += more) {
                more = own_rows(place, steps.rows(next));
                if (!more || rows + more > chunk_rows)
                    break;
            }
            project_inputs(d, place, steps, chunk, step, next);
            const long base = minimum(steps.offset(step), steps.offset(next - 1));
            rows = 0;
            for (long s = step; s < next; s++) {
                run_step(d, place, steps, s, chunk, whole ? steps.offset(s) - base : rows);
                rows += own_rows(place, steps.rows(s));
                barrier.wait(place.units);
            }
        }
        barrier.wait(place.units);
        if (place.unit_member == 0)
            for (long b = place.first_row; b < place.last_row; b++)
                copy_final(sweep, steps, b);
    }

    static long own_rows(const Place &place, long rows) {
        return maximum(0, minimum(rows, place.last_row) - place.first_row);
    }

    void copy_final(const SweepProblem &sweep, const Steps &steps, long b) {
        long t = 0;
        if (!steps.reverse)
            while (t + 1 < layer.T && layer.batch_sizes[t + 1] > b)
                t++;
        memcpy((T *)sweep.h_n + b * P, (const T *)sweep.output + (offsets[t] + b) * sweep.output_row, P * sizeof(T));
    }

    /* A member that has all rows of all steps projects a whole chunk as one matrix. */
    bool has_all_rows(const Place &place) const {
        return place.first_row == 0 && place.last_row == layer.batch_sizes[0];
    }

    void project_inputs(int d, const Place &place, const Steps &steps, const Chunk &chunk, long step, long next) {
        const bool whole = has_all_rows(place);
        const long base = minimum(steps.offset(step), steps.offset(next - 1));
        const long end = maximum(steps.offset(step) + steps.rows(step), steps.offset(next - 1) + steps.rows(next - 1));
        for (long panel = chunk.first_panel; panel < chunk.last_panel; panel++) {
            if (whole) {
                project_rows(layer.sweep[d], buffers[d], panel, base, end - base, chunk.at(panel, 0));
                continue;
            }
            for (long s = step, rows = 0; s < next; s++) {
                const long own = own_rows(place, steps.rows(s));
                project_rows(layer.sweep[d], buffers[d], panel, steps.offset(s) + place.first_row, own, chunk.at(panel, rows));
                rows += own;
            }
        }
    }

    void project_rows(const SweepProblem &sweep, const ForwardBuffers<T> &own, long panel, long first, long rows, T *to) {
        const long row = slots(own) * VL;
        const T *x = (const T *)layer.x + first * layer.x_row, *bias = own.bias + panel * row;
        const int width = own.ih.vectors_of(panel);
        if (sweep.weight_ih && !own.ih.packed) {
            for (long r = 0; r < rows; r++)
                own.ih.multiply_unpacked(panel, x + r * layer.x_row, bias, to + r * row);
        } else if (sweep.weight_ih) {
            const Parts tiles(rows, tile_rows(width));
            long r = 0;
            for (long tile = 0; tile < tiles.count; r += tiles.size(tile++))
                own.ih.multiply(panel, tiles.size(tile), x + r * layer.x_row, layer.x_row, bias, 0, to + r * row, row);
        } else {
            for (long r = 0; r < rows; r++)
                for (int v = 0; v < width; v++) {
                    const long unit = own.ih.first_unit(panel) + (RNN ? v * VL : 0);
                    const T *from = x + r * layer.x_row + (RNN ? 0 : x_order()[v]) * H + unit;
                    store(to + r * row + v * VL, load(from, minimum(VL, H - unit)) + load(bias + v * VL));
                }
        }
        if (MODE == GRU)
            for (long r = 0; r < rows; r++)
                store(to + r * row + 3 * VL, load(bias + 3 * VL));
    }

    /* One row at one step. */
    struct Row {
        long b, n;         // in the batch, and packed
        const T *h_before;
        long step;
    };

    void run_step(int d, const Place &place, const Steps &steps, long step, const Chunk &chunk, long chunk_row) {
        const SweepProblem &sweep = layer.sweep[d];
        const ForwardBuffers<T> &own = buffers[d];
        const long last = minimum(steps.rows(step), place.last_row);
        const long middle = minimum(last, maximum(place.first_row, steps.going_on(step)));
        const T *before = step == 0 ? nullptr : (const T *)sweep.output + steps.offset(step - 1) * sweep.output_row;
        Stretch<T> stretches[2] = {
            {place.first_row, middle, before, sweep.output_row, before, sweep.output_row},
            {middle, last, (const T *)sweep.h_0, P, (const T *)sweep.h_0, P},
        };
        if (sweep.recurrent_mask) {
            stretches[0].fed = own.masked[(step + 1) & 1], stretches[0].fed_row = P;
            stretches[1].fed = own.masked[2];
        }
        const long offset = steps.offset(step);
        for (const Stretch<T> &stretch : stretches) {
            if (stretch.first >= stretch.last)
                continue;
            const long r0 = chunk_row - place.first_row;
            const auto row_of = [&](long b) { return Row{b, offset + b, stretch.h + b * stretch.h_row, step}; };
            if (sweep.norm_h_weight) {
                normed_gates(d, stretch, chunk, r0, row_of);
            } else {
                const auto multiply = [&](const Panels<T> &panels, long from, long to, const T *fed, long fed_row, int slot,
                                          const auto &each) {
                    multiply_rows<T>(panels, from, to, fed, fed_row, stretch.first, stretch.last,
                                     chunk.at(from, r0 + stretch.first) + slot * VL, chunk.row, chunk.rows * chunk.row, each);
                };
                const auto phase = [&](auto plain, long from, long to) {
                    multiply(own.hh, from, to, stretch.fed, stretch.fed_row, hidden_slot,
                             [&](long b, long panel, const T *gates) {
                                 first_phase<plain.value>(d, row_of(b), panel, gates, chunk.at(panel, r0 + b));
                             });
                };
                const long plain_end = minimum(chunk.last_panel, maximum(chunk.first_panel, own.plain_panels));
                phase(Constant<true>{}, chunk.first_panel, plain_end);
                phase(Constant<false>{}, plain_end, chunk.last_panel);
                if (MODE == GRU_RESET_BEFORE)
                    multiply(own.hn, chunk.first_panel, chunk.last_panel, own.hidden, H, 2,
                             [&](long b, long panel, const T *gate) { reset_before_output(d, row_of(b), panel, load(gate)); });
            }
            if (sweep.norm_c_weight)
                for (long b = stretch.first; b < stretch.last; b++)
                    normed_output(d, row_of(b));
            if (sweep.weight_hr)
                project_outputs(d, stretch, row_of);
        }
    }

    template <typename RowOf> void project_outputs(int d, const Stretch<T> &stretch, const RowOf &row_of) {
        static const T zeros[MOST_VECTORS * VL] = {};
        const Panels<T> &hr = buffers[d].hr;
        multiply_rows<T>(hr, 0, hr.count(), buffers[d].hidden, H, stretch.first, stretch.last, zeros, 0, 0,
                         [&](long b, long panel, const T *h) {
                             for (int v = 0; v < hr.vectors_of(panel); v++)
                                 write_h<false>(d, row_of(b), hr.first_unit(panel) + v * VL, load(h + v * VL));
                         });
    }

    // ---- the cells ----

    /* Cells come in two forms. PLAIN is for whole panels of a sweep without options, where nothing has to be looked up. */
    template <int PLAIN_WIDTH, typename Cell> FLATTEN void rnn(int d, const Row &row, long panel, const T *gates) {
        constexpr bool PLAIN = PLAIN_WIDTH > 0;
        const SweepProblem &sweep = layer.sweep[d];
        const Panels<T> &hh = buffers[d].hh;
        const int width = PLAIN ? PLAIN_WIDTH : hh.vectors_of(panel);
        for (int v = 0; v < width; v++) {
            const vec<T> h = Cell::forward(load(gates + v * VL));
            const long unit = hh.first_unit(panel) + v * VL;
            if (!PLAIN && sweep.hidden)
                store((T *)sweep.hidden + row.n * H + unit, h, minimum(VL, H - unit));
            write_h<PLAIN>(d, row, unit, h);
        }
    }

    /* What is done with the gates' pre-activations of a row and a panel. */
    template <bool PLAIN> void first_phase(int d, const Row &row, long panel, const T *gates, const T *projections) {
        if constexpr (RNN)
            if (layer.mode == RNN_RELU)
                rnn<0, RnnRelu<Math>>(d, row, panel, gates);
            else if (PLAIN && buffers[d].hh.blocks == PANEL_VECTORS)
                rnn<PANEL_VECTORS, RnnTanh<Math>>(d, row, panel, gates);
            else
                rnn<0, RnnTanh<Math>>(d, row, panel, gates);
        else if constexpr (MODE == LSTM)
            lstm<PLAIN>(d, row, panel * VL, load(gates), load(gates + VL), load(gates + 2 * VL), load(gates + 3 * VL));
        else if constexpr (MODE == GRU)
            gru<PLAIN>(d, row, panel * VL, load(gates), load(gates + VL), load(gates + 2 * VL), load(projections));
        else
            reset_before_gates(d, row, panel * VL, load(gates), load(gates + VL));
    }

    template <bool PLAIN>
    FLATTEN void lstm(int d, const Row &row, long unit, vec<T> i, vec<T> f, vec<T> g, vec<T> o) {
        const SweepProblem &sweep = layer.sweep[d];
        const long count = PLAIN ? VL : minimum(VL, H - unit);
        T *c_n = (T *)sweep.c_n + row.b * H + unit;
        const T *peephole = PLAIN ? nullptr : (const T *)sweep.peephole;
        const vec<T> c_before = load(c_n, count);
        LstmCell<Math> cell{i, f, g, o};
        if (peephole) {
            cell.i += load(peephole + unit, count) * c_before;
            cell.f += load(peephole + H + unit, count) * c_before;
        }
        const vec<T> c = cell.cell(c_before);
        if (peephole)
            cell.o += load(peephole + 2 * H + unit, count) * c;
        cell.output_gate();
        if (sweep.gates) {
            T *gates = (T *)sweep.gates + row.n * 4 * H + unit;
            store(gates, cell.i, count);
            store(gates + H, cell.f, count);
            store(gates + 2 * H, cell.g, count);
            store(gates + 3 * H, cell.o, count);
        }
        const vec<T> c_kept =
            PLAIN ? c : keep<T>(c, c_before, sweep.zoneout_c, sweep.zoneout_c_rate, row.n * H + unit, count);
        store(c_n, c_kept, count);
        if (sweep.cells)
            store((T *)sweep.cells + row.n * H + unit, c_kept, count);
        if (!PLAIN && sweep.norm_c_weight) {
            store(buffers[d].candidate + row.b * H + unit, c, count);
            store(buffers[d].output_gate + row.b * H + unit, cell.o, count);
        } else {
            write_hidden<PLAIN>(d, row, unit, cell.o * tanh<T>(c));
        }
    }

    template <bool PLAIN> FLATTEN void gru(int d, const Row &row, long unit, vec<T> r, vec<T> z, vec<T> hn, vec<T> xn) {
        const SweepProblem &sweep = layer.sweep[d];
        const long count = PLAIN ? VL : minimum(VL, H - unit);
        GruCell<Math> cell{r, z, {}, hn};
        const vec<T> h = cell.forward(xn, load(row.h_before + unit, count));
        if (sweep.gates) {
            T *gates = (T *)sweep.gates + row.n * 4 * H + unit;
            store(gates, cell.r, count);
            store(gates + H, cell.z, count);
            store(gates + 2 * H, cell.n, count);
            store(gates + 3 * H, cell.hn, count);
        }
        write_h<PLAIN>(d, row, unit, h);
    }

    FLATTEN void reset_before_gates(int d, const Row &row, long unit, vec<T> r, vec<T> z) {
        const SweepProblem &sweep = layer.sweep[d];
        const long count = minimum(VL, H - unit);
        GruCell<Math> cell{r, z, {}, {}};
        cell.reset_and_update();
        vec<T> reset = cell.r * load(row.h_before + unit, count);
        if (sweep.recurrent_mask)
            reset *= load((const T *)sweep.recurrent_mask + row.b * P + unit, count);
        store(buffers[d].hidden + row.b * H + unit, reset, count);
        store(buffers[d].update + row.b * H + unit, cell.z, count);
        if (sweep.gates) {
            store((T *)sweep.gates + row.n * 3 * H + unit, cell.r, count);
            store((T *)sweep.gates + row.n * 3 * H + H + unit, cell.z, count);
        }
    }

    FLATTEN void reset_before_output(int d, const Row &row, long panel, vec<T> n_in) {
        const SweepProblem &sweep = layer.sweep[d];
        const long unit = panel * VL, count = minimum(VL, H - unit);
        GruCell<Math> cell{{}, load(buffers[d].update + row.b * H + unit, count), tanh<T>(n_in), {}};
        if (sweep.gates)
            store((T *)sweep.gates + row.n * 3 * H + 2 * H + unit, cell.n, count);
        write_h<false>(d, row, unit, cell.output(load(row.h_before + unit, count)));
    }

    /* o tanh(c): what is projected, or h itself. */
    template <bool PLAIN> void write_hidden(int d, const Row &row, long unit, vec<T> hidden) {
        const SweepProblem &sweep = layer.sweep[d];
        if (PLAIN || !sweep.weight_hr)
            return write_h<PLAIN>(d, row, unit, hidden);
        const long count = minimum(VL, H - unit);
        store(buffers[d].hidden + row.b * H + unit, hidden, count);
        if (sweep.hidden)
            store((T *)sweep.hidden + row.n * H + unit, hidden, count);
    }

    template <bool PLAIN> void write_h(int d, const Row &row, long unit, vec<T> h) {
        const SweepProblem &sweep = layer.sweep[d];
        if constexpr (PLAIN)
            return store((T *)sweep.output + row.n * sweep.output_row + unit, h);
        const long count = minimum(VL, P - unit);
        if (sweep.zoneout_h || sweep.zoneout_h_rate != 0)
            h = keep<T>(h, load(row.h_before + unit, count), sweep.zoneout_h, sweep.zoneout_h_rate, row.n * P + unit, count);
        store((T *)sweep.output + row.n * sweep.output_row + unit, h, count);
        if (sweep.recurrent_mask) {
            const long at = row.b * P + unit;
            store(buffers[d].masked[row.step & 1] + at, h * load((const T *)sweep.recurrent_mask + at, count), count);
        }
    }

    // ---- layer norm ----

    /* The gates with layer norm of the products with W_hh, which are all needed before the first can be normalised. */
    template <typename RowOf>
    void normed_gates(int d, const Stretch<T> &stretch, const Chunk &chunk, long r0, const RowOf &row_of) {
        const ForwardBuffers<T> &own = buffers[d];
        multiply_all(own.hh, stretch.fed, stretch.fed_row, stretch, own.products, 0);
        for (long b = stretch.first; b < stretch.last; b++) {
            T *products = own.products + b * G * H;
            normalise(d, row_of(b), products, 0, MODE == GRU_RESET_BEFORE ? 2 * H : G * H, 0);
            for (long panel = chunk.first_panel; panel < chunk.last_panel; panel++) {
                alignas(64) T gates[MOST_VECTORS * VL];
                const T *projections = chunk.at(panel, r0 + b);
                for (int v = 0; v < own.hh.vectors_of(panel); v++) {
                    const long unit = own.hh.first_unit(panel) + (RNN ? v * VL : 0);
                    const T *product = products + (RNN ? 0 : v * H) + unit;
                    store(gates + v * VL, load(product, minimum(VL, H - unit)) + load(projections + (hidden_slot + v) * VL));
                }
                first_phase<false>(d, row_of(b), panel, gates, projections);
            }
        }
        if (MODE != GRU_RESET_BEFORE)
            return;
        multiply_all(own.hn, own.hidden, H, stretch, own.products, 2 * H);
        for (long b = stretch.first; b < stretch.last; b++) {
            T *products = own.products + b * G * H;
            normalise(d, row_of(b), products, 2 * H, H, 1);
            for (long panel = chunk.first_panel; panel < chunk.last_panel; panel++)
                reset_before_output(d, row_of(b), panel,
                                    load(products + 2 * H + panel * VL, minimum(VL, H - panel * VL)) +
                                        load(chunk.at(panel, r0 + b) + 2 * VL));
        }
    }

    /* All products of a stretch's rows with a weight matrix, to out (B, G H) from column `to` on. */
    void multiply_all(const Panels<T> &panels, const T *a, long a_row, const Stretch<T> &stretch, T *out, long to) {
        static const T zeros[MOST_VECTORS * VL] = {};
        multiply_rows<T>(panels, 0, panels.count(), a, a_row, stretch.first, stretch.last, zeros, 0, 0,
                         [&](long b, long panel, const T *products) {
                             for (int v = 0; v < panels.vectors_of(panel); v++) {
                                 const long unit = panels.first_unit(panel) + (RNN ? v * VL : 0);
                                 store(out + b * G * H + to + (RNN ? 0 : v * H) + unit, load(products + v * VL),
                                       minimum(VL, H - unit));
                             }
                         });
    }

    /* Layer norm number `part` of a row, in place, over `count` products from `first` on. */
    void normalise(int d, const Row &row, T *products, long first, long count, int part) {
        const SweepProblem &sweep = layer.sweep[d];
        const int parts = MODE == GRU_RESET_BEFORE ? 2 : 1;
        T scale;
        normalise_row(products + first, count, &scale);
        if (sweep.norm_h) {
            T *saved = (T *)sweep.norm_h + row.n * G * H;
            if (MODE == GRU) { // n first: the order of the gradients
                memcpy(saved, products + 2 * H, H * sizeof(T));
                memcpy(saved + H, products, 2 * H * sizeof(T));
            } else {
                memcpy(saved + first, products + first, count * sizeof(T));
            }
            ((T *)sweep.norm_h_scale)[row.n * parts + part] = scale;
        }
        scale_row(products + first, (const T *)sweep.norm_h_weight + first, (const T *)sweep.norm_h_bias + first, count);
    }

    void normed_output(int d, const Row &row) {
        const SweepProblem &sweep = layer.sweep[d];
        T *c = buffers[d].candidate + row.b * H;
        T scale;
        normalise_row(c, H, &scale);
        if (sweep.norm_c) {
            memcpy((T *)sweep.norm_c + row.n * H, c, H * sizeof(T));
            ((T *)sweep.norm_c_scale)[row.n] = scale;
        }
        scale_row(c, (const T *)sweep.norm_c_weight, (const T *)sweep.norm_c_bias, H);
        for (long unit = 0; unit < H; unit += VL) {
            const long count = minimum(VL, H - unit);
            const vec<T> o = load(buffers[d].output_gate + row.b * H + unit, count);
            write_hidden<false>(d, row, unit, o * tanh<T>(load(c + unit, count)));
        }
    }
};

template <typename T> static int recurrent_forward(const LayerProblem *layer, int threads) {
    return run_layer<T, Forward>(*layer, threads);
}

} // namespace TINYRNN_ISA
