/* Weights packed into panels, [panel][K][vectors], so that the inner loop of a product reads them from first to last. */
#pragma once

#include "tile.h"

namespace TINYRNN_ISA {

/* In registers: afterwards rows[i][j] is what rows[j][i] was. */
template <typename T> INLINE void transpose_square(vec<T> (&rows)[LANES<T>]) {
#if defined(__clang__)
    T copy[LANES<T>][LANES<T>];
    for (long i = 0; i < LANES<T>; i++)
        store(copy[i], rows[i]);
    for (long i = 0; i < LANES<T>; i++)
        for (long j = 0; j < LANES<T>; j++)
            rows[i][j] = copy[j][i];
#else
    UNROLL
    for (long step = 1; step < LANES<T>; step *= 2) {
        bits<T> first, second; // where the lanes of a pair of rows, laid side by side, go
        UNROLL
        for (long lane = 0; lane < LANES<T>; lane++) {
            first[lane] = lane & step ? LANES<T> + lane - step : lane;
            second[lane] = lane & step ? LANES<T> + lane : lane + step;
        }
        UNROLL
        for (long i = 0; i < LANES<T>; i++)
            if (!(i & step)) {
                const vec<T> a = rows[i], b = rows[i + step];
                rows[i] = __builtin_shuffle(a, b, first);
                rows[i + step] = __builtin_shuffle(a, b, second);
            }
    }
#endif
}

/* to[k * to_k + lane] = from[lane * from_row + k] for all k < K and the first `count` lanes, 0 in the others. */
template <typename T> static void pack_transposed(T *to, long to_k, const T *from, long from_row, long count, long K) {
    for (long k = 0; k < K; k += LANES<T>) {
        const long steps = minimum(LANES<T>, K - k);
        vec<T> rows[LANES<T>];
        if (count == LANES<T> && steps == LANES<T>) {
            UNROLL
            for (long lane = 0; lane < LANES<T>; lane++)
                rows[lane] = load(from + lane * from_row + k);
        } else {
            for (long lane = 0; lane < LANES<T>; lane++)
                rows[lane] = lane < count ? load(from + lane * from_row + k, steps) : vec<T>{};
        }
        transpose_square<T>(rows);
        for (long step = 0; step < steps; step++)
            store(to + (k + step) * to_k, rows[step]);
    }
}

/* The sums of the lanes of each of the vectors, side by side. */
template <typename T> INLINE vec<T> sum_each(vec<T> (&rows)[LANES<T>]) {
#if defined(__clang__)
    vec<T> sums;
    for (long i = 0; i < LANES<T>; i++)
        sums[i] = sum_lanes<T>(rows[i]);
    return sums;
#else
    UNROLL
    for (long step = 1; step < LANES<T>; step *= 2) {
        bits<T> first, second; // lanes with and without this bit, those of the second vector in the lanes with it
        UNROLL
        for (long lane = 0; lane < LANES<T>; lane++) {
            first[lane] = lane & step ? LANES<T> + lane - step : lane;
            second[lane] = lane & step ? LANES<T> + lane : lane + step;
        }
        UNROLL
        for (long i = 0; i < LANES<T>; i += 2 * step) {
            const vec<T> a = rows[i], b = rows[i + step];
            rows[i] = __builtin_shuffle(a, b, first) + __builtin_shuffle(a, b, second);
        }
    }
    return rows[0];
#endif
}

/* The dot products of the first `count` rows of a weight matrix with a vector of K elements. */
template <typename T> static vec<T> dot_each(const T *weight, long row, long count, const T *x, long K) {
    vec<T> sums[LANES<T>] = {};
    if (count >= LANES<T> && K % LANES<T> == 0) {
        for (long k = 0; k < K; k += LANES<T>) {
            const vec<T> here = load(x + k);
            UNROLL
            for (long lane = 0; lane < LANES<T>; lane++)
                sums[lane] += load(weight + lane * row + k) * here;
        }
    } else {
        for (long k = 0; k < K; k += LANES<T>) {
            const vec<T> here = load(x + k, K - k);
            for (long lane = 0; lane < minimum(LANES<T>, count); lane++)
                sums[lane] += load(weight + lane * row + k, K - k) * here;
        }
    }
    return sum_each<T>(sums);
}

/* A packed matrix: for each of `gates` groups of `units` columns side by side; a panel holds, for up to `blocks` vectors of
   units, that vector of every gate. */
template <typename T> struct Panels {
    T *packed = nullptr;
    long K = 0, units = 0;
    int gates = 1, blocks = 1;
    /* The weights (gates * units, K) as layers store them, and which of them each gate of the panel is: for products with so
       few rows that packing does not pay, when `packed` is nullptr. */
    const T *weight = nullptr;
    const int *order = nullptr;

    long unit_vectors() const { return (units + LANES<T> - 1) / LANES<T>; }
    long count() const { return (unit_vectors() + blocks - 1) / blocks; }
    int blocks_of(long panel) const { return (int)minimum(blocks, unit_vectors() - panel * blocks); }
    int vectors_of(long panel) const { return gates * blocks_of(panel); }
    long first_unit(long panel) const { return panel * blocks * LANES<T>; }
    T *at(long panel) const { return packed + panel * K * gates * blocks * LANES<T>; }
    long size() const { return count() * K * gates * blocks * LANES<T>; }
    int most_rows() const { return max_rows(gates * blocks); }

    const T *weights_of(int gate, long unit) const { return weight + (order[gate] * units + unit) * K; }

    void pack_rows(long panel) const {
        const int width = vectors_of(panel), here = blocks_of(panel);
        for (int v = 0; v < width; v++) {
            const long unit = first_unit(panel) + v % here * LANES<T>;
            pack_transposed<T>(at(panel) + v * LANES<T>, width * LANES<T>, weights_of(v / here, unit), K,
                               minimum(LANES<T>, units - unit), K);
        }
    }

    /* One row's products with a panel of weights that are not packed. */
    void multiply_unpacked(long panel, const T *a, const T *init, T *out) const {
        const int width = vectors_of(panel), here = blocks_of(panel);
        for (int v = 0; v < width; v++) {
            const long unit = first_unit(panel) + v % here * LANES<T>;
            const vec<T> products = dot_each<T>(weights_of(v / here, unit), K, units - unit, a, K);
            store(out + v * LANES<T>, load(init + v * LANES<T>) + products);
        }
    }

    /* From a matrix (rows, units) with `row` from row to row, whose rows become the `to`th ff. of K. */
    void pack_columns(long panel, const T *matrix, long row, long rows, long to) const {
        const int width = vectors_of(panel);
        T *out = at(panel) + to * width * LANES<T>;
        const long first = first_unit(panel);
        for (long k = 0; k < rows; k++)
            for (int v = 0; v < width; v++) {
                const long unit = first + v * LANES<T>;
                store(out + (k * width + v) * LANES<T>, load(matrix + k * row + unit, minimum(LANES<T>, units - unit)));
            }
    }
};

/* Rows [first, last) of a (rows, K), by the panel, plus init; then each(row, out) with out[vectors] of every row. */
template <typename T, typename Each>
INLINE void multiply_rows(const Panels<T> &panels, long panel, const T *a, long a_row, long first, long last, const T *init,
                          long init_row, const Each &each) {
    alignas(64) T out[24 * LANES<T>];
    if (!panels.packed) {
        for (long row = first; row < last; row++) {
            panels.multiply_unpacked(panel, a + row * a_row, init + (row - first) * init_row, out);
            each(row, out);
        }
        return;
    }
    const int width = panels.vectors_of(panel);
    const RowTiles tiles(last - first, max_rows(width));
    const long out_row = width * LANES<T>;
    long row = first;
    for (long tile = 0; tile < tiles.count; tile++) {
        const int rows = tiles.rows(tile);
        tile_kernels<T>.of[rows][width]({panels.K, a + row * a_row, a_row, 1, panels.at(panel), out_row,
                                         init + (row - first) * init_row, init_row, out, out_row});
        for (int r = 0; r < rows; r++)
            each(row + r, out + r * out_row);
        row += rows;
    }
}

} // namespace TINYRNN_ISA
