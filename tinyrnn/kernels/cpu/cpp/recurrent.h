/* What forward and backward of a recurrent layer share: its sizes, its memory, and which member of the team does what.

   A layer is one or two directions; a direction goes over time step by step. Directions are independent, and so are the rows
   of a batch; within a row every unit needs all units of the step before. So members first take directions, then rows (each
   member goes over time on its own), and only when there are too few rows for that, units (with a barrier at every step). */
#pragma once

#include "../../cells.h"
#include "gemm.h"
#include "memory.h"
#include "panels.h"
#include "table.h"
#include "team.h"
#include "vector_math.h"

namespace TINYRNN_ISA {

/* For cells.h: a value is a vector of hidden units. */
template <typename T> struct VectorMath {
    using V = vec<T>;
    static constexpr T one = 1;
    INLINE V sigmoid(V x) { return TINYRNN_ISA::sigmoid<T>(x); }
    INLINE V tanh(V x) { return TINYRNN_ISA::tanh<T>(x); }
    INLINE V relu(V x) { return x < T(0) ? V{} : x; }
    INLINE V where_positive(V y, V x) { return y <= T(0) ? V{} : x; }
};

constexpr int gates_of(int mode) {
    return mode == LSTM ? 4 : mode == GRU || mode == GRU_RESET_BEFORE ? 3 : 1;
}

/* How many values of H a step saves for backward. */
constexpr int saved_gates_of(int mode) {
    return mode == LSTM || mode == GRU ? 4 : mode == GRU_RESET_BEFORE ? 3 : 0;
}

/* Memory handed out piece by piece. With no base it only counts, so that the same code says how much is needed. */
struct Arena {
    char *base;
    size_t used = 0;
    template <typename T> T *take(long count) {
        T *piece = (T *)(base + used);
        used += ((size_t)count * sizeof(T) + 127) / 64 * 64;
        return piece;
    }
};

/* The work space of the sweeps of this thread, of which so much is kept for the next call. */
static Scratch &sweep_scratch() {
    static thread_local Scratch scratch;
    return scratch;
}
constexpr size_t KEPT_BYTES = 64 << 20;

/* The order in which steps are run, and where their rows are. */
struct Steps {
    long T;
    const long *batch_sizes, *offsets; // offsets[t]: rows of all steps before t
    bool reverse;

    long time(long step) const { return reverse ? T - 1 - step : step; }
    long rows(long step) const { return batch_sizes[time(step)]; }
    long offset(long step) const { return offsets[time(step)]; }
    /* Of this step's rows, those that the step before had too; the others start here. */
    long going_on(long step) const { return step == 0 ? 0 : minimum(rows(step), rows(step - 1)); }
    /* Of this step's rows, those that the next step has too; the others end here. */
    long staying(long step) const { return step + 1 == T ? 0 : minimum(rows(step), rows(step + 1)); }
};

/* What one member does: a range of directions, with its place among those who do the same. */
struct Place {
    int first_direction, last_direction;
    int member, members;           // of the direction
    int group, unit_member, units; // group of rows; which of `units` members of it
    long first_row, last_row;
};

/* Rows are cut so that all groups have about the same number of steps of sequences to run: sequences are sorted by length. */
static long first_row_of(const LayerProblem &layer, long N, int group, int groups) {
    const long active = layer.batch_sizes[0];
    if (layer.batch_sizes[layer.T - 1] == active)
        return active * group / groups;
    long low = 0, high = active;
    while (low < high) {
        const long middle = (low + high) / 2;
        long before = 0;
        for (long t = 0; t < layer.T; t++)
            before += minimum(layer.batch_sizes[t], middle);
        if (before < N * group / groups)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Cells with more than one phase per step: no member waits for others if each has rows of its own. */
static bool needs_rows(const LayerProblem &layer) {
    const SweepProblem &sweep = layer.sweep[0];
    return layer.mode == GRU_RESET_BEFORE || sweep.weight_hr || sweep.norm_h_weight || sweep.norm_c_weight;
}

/* Whether a sweep has anything besides weights and biases. */
static bool has_options(const SweepProblem &sweep) {
    return sweep.weight_hr || sweep.peephole || sweep.norm_h_weight || sweep.norm_c_weight || sweep.recurrent_mask ||
           sweep.zoneout_h || sweep.zoneout_h_rate != 0 || sweep.zoneout_c || sweep.zoneout_c_rate != 0;
}

/* least_rows: fewer rows than this for a member do not pay; by_rows: units are never shared out. */
static Place place_of(const LayerProblem &layer, long N, int member, int members, long least_rows, bool by_rows) {
    Place place;
    const bool apart = layer.directions == 2 && members % 2 == 0;
    place.members = apart ? members / 2 : members;
    place.member = member % place.members;
    place.first_direction = apart ? member / place.members : 0;
    place.last_direction = apart ? place.first_direction : layer.directions - 1;
    int groups = 1;
    const long active = layer.batch_sizes[0];
    for (int each = 2; each <= place.members; each++)
        if (place.members % each == 0 && active / each >= (by_rows ? 1 : least_rows))
            groups = each;
    place.units = place.members / groups;
    place.group = place.member / place.units;
    place.unit_member = place.member % place.units;
    place.first_row = first_row_of(layer, N, place.group, groups);
    place.last_row = first_row_of(layer, N, place.group + 1, groups);
    if (by_rows && place.unit_member > 0)
        place.last_row = place.first_row; // nothing to do
    if (by_rows) {
        place.units = 1;
        place.unit_member = 0;
    }
    return place;
}

/* How many rows a member needs so that streaming all weights at every step costs nothing: they come from L2 or from L3. */
static long least_rows_for(long weight_bytes) {
    return weight_bytes <= 700000 ? 4 : 12;
}

/* Up to how many rows in all, weights are not packed: they would be read once to pack them, and again for each of few steps. */
constexpr long MOST_UNPACKED = 8;

/* How many threads a layer deserves. */
static int threads_for(const LayerProblem &layer, long N, int threads) {
    const double work = 1.0 * N * gates_of(layer.mode) * layer.H * (layer.I + layer.P) * layer.directions;
    const double step = 1.0 * N / layer.T * gates_of(layer.mode) * layer.H * layer.P;
    const long rows = layer.batch_sizes[0] * layer.directions;
    if (work < 100e3)
        return 1;
    if (rows == 1 && step < 12e3) // shared out by units, and barriers would take longer than what is between them
        return 1;
    return threads;
}

constexpr int MOST_THREADS = 64;

/* The barriers of a layer's team. */
struct Barriers {
    Barrier team, direction[2], group[2][MOST_THREADS];
};

static void fill_offsets(const LayerProblem &layer, long *offsets) {
    offsets[0] = 0;
    for (long t = 0; t < layer.T; t++)
        offsets[t + 1] = offsets[t] + layer.batch_sizes[t];
}

static long rows_of(const LayerProblem &layer) {
    long N = 0;
    for (long t = 0; t < layer.T; t++)
        N += layer.batch_sizes[t];
    return N;
}

/* Zoneout: the share z of the old value is kept, z a mask or one number. `at`: where in the mask. */
template <typename T>
INLINE vec<T> keep(vec<T> value, vec<T> before, const void *mask, double rate, long at, long count) {
    if (!mask && rate == 0)
        return value;
    const vec<T> z = mask ? load((const T *)mask + at, count) : broadcast<T>(T(rate));
    return value + z * (before - value);
}

/* A stretch of rows of a step whose h of the step before lie in one matrix: the output, or the initial states. */
template <typename T> struct Stretch {
    long first, last;
    const T *h;   // row b is h + b * h_row
    long h_row;
    const T *fed; // what the product with W_hh reads: h, or h times the recurrent mask
    long fed_row;
};

/* What forward and backward of a layer both have. `Sweeps` (the derived class) lays out its memory and runs one member. */
template <typename T, int MODE, typename Sweeps> class LayerRun {
  protected:
    using Math = VectorMath<T>;
    static constexpr long VL = LANES<T>;
    static constexpr int G = gates_of(MODE);
    static constexpr bool RNN = G == 1;

    const LayerProblem &layer;
    const long B, H, P, N;
    const bool by_rows;
    const int threads;
    long *offsets = nullptr;
    Barriers *barriers = nullptr;

    /* Vectors of units in a panel that has no gates: fewer where members may have to share out the units. */
    int wide_blocks() const { return layer.batch_sizes[0] < 4 && threads > 1 ? 2 : PANEL_VECTORS; }

    Steps steps_of(const SweepProblem &sweep) const {
        return {layer.T, layer.batch_sizes, offsets, sweep.reverse != 0};
    }

  public:
    LayerRun(const LayerProblem &problem, int most)
        : layer(problem), B(problem.B), H(problem.H), P(problem.P), N(rows_of(problem)), by_rows(needs_rows(problem)),
          threads(threads_for(problem, N, most)) {}

    /* 0, or 1 if there is no memory. */
    int run() {
        Sweeps &sweeps = static_cast<Sweeps &>(*this);
        Scratch &scratch = sweep_scratch();
        Arena count{nullptr};
        sweeps.lay_out(count);
        char *memory = scratch.get<char>(count.used);
        if (!memory)
            return 1;
        Arena arena{memory};
        sweeps.lay_out(arena);
        fill_offsets(layer, offsets);
        static thread_local Barriers shared; // as every wait leaves them, the next can begin
        barriers = &shared;
        run_team(threads, [&](int member, int members) { sweeps.run_member(member, members); });
        scratch.keep_at_most(KEPT_BYTES);
        return 0;
    }
};

/* Runs Sweeps<T, mode>. */
template <typename T, template <typename, int> class Sweeps> static int run_layer(const LayerProblem &layer, int threads) {
    const int most = (int)minimum(threads, MOST_THREADS);
    switch (layer.mode) {
    case RNN_TANH:
    case RNN_RELU: // one form for both: they differ in one line
        return Sweeps<T, RNN_TANH>(layer, most).run();
    case LSTM:
        return Sweeps<T, LSTM>(layer, most).run();
    case GRU:
        return Sweeps<T, GRU>(layer, most).run();
    case GRU_RESET_BEFORE:
        return Sweeps<T, GRU_RESET_BEFORE>(layer, most).run();
    }
    return 0;
}

} // namespace TINYRNN_ISA
