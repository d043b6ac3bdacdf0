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

/* A packed matrix: for each of `gates` groups of `units` columns side by side; a panel holds, for up to `blocks` vectors of
   units, that vector of every gate. */
template <typename T> struct Panels {
    T *packed = nullptr;
    long K = 0, units = 0;
    int gates = 1, blocks = 1;

    long unit_vectors() const { return (units + LANES<T> - 1) / LANES<T>; }
    long count() const { return (unit_vectors() + blocks - 1) / blocks; }
    int blocks_of(long panel) const { return (int)minimum(blocks, unit_vectors() - panel * blocks); }
    int vectors_of(long panel) const { return gates * blocks_of(panel); }
    long first_unit(long panel) const { return panel * blocks * LANES<T>; }
    T *at(long panel) const { return packed + panel * K * gates * blocks * LANES<T>; }
    long size() const { return count() * K * gates * blocks * LANES<T>; }
    int most_rows() const { return max_rows(gates * blocks); }

    /* From weights (gates * units, K) as layers store them; `order` says which of them each gate of the panel is. */
    void pack_rows(long panel, const T *weight, const int *order) const {
        const int width = vectors_of(panel), here = blocks_of(panel);
        for (int gate = 0; gate < gates; gate++)
            for (int block = 0; block < here; block++) {
                const long unit = first_unit(panel) + block * LANES<T>;
                pack_transposed<T>(at(panel) + (gate * here + block) * LANES<T>, width * LANES<T>,
                                   weight + (order[gate] * units + unit) * K, K, minimum(LANES<T>, units - unit), K);
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
