/* Weights packed into panels, [panel][K][vectors], so that the inner loop of a product reads them from first to last. */
#pragma once

#include "tile.h"
#include "transpose.h"

namespace TINYRNN_ISA {

/* The dot products of LANES rows of a weight matrix with a vector of K elements, K a multiple of LANES. */
template <typename T> static vec<T> dot_each(const T *weight, long row, const T *x, long K) {
    constexpr long TOGETHER = LANES<T> < 8 ? LANES<T> : 8; // as many rows as there are registers for their addresses
    vec<T> sums[LANES<T>];
    UNROLL
    for (long first = 0; first < LANES<T>; first += TOGETHER) {
        UNROLL
        for (long lane = 0; lane < TOGETHER; lane++)
            sums[first + lane] = vec<T>{};
        const T *rows = weight + first * row;
        for (long k = 0; k < K; k += LANES<T>) {
            const vec<T> here = load(x + k);
            UNROLL
            for (long lane = 0; lane < TOGETHER; lane++)
                sums[first + lane] += load(rows + lane * row + k) * here;
        }
    }
    sum_each<T, (int)LANES<T>>(sums);
    return sums[0];
}

/* The same for the first `count` rows, 0 in the other lanes, and any K. */
template <typename T> static vec<T> dot_some(const T *weight, long row, long count, const T *x, long K) {
    T products[LANES<T>] = {};
    for (long lane = 0; lane < count; lane++) {
        vec<T> sum{};
        for (long k = 0; k < K; k += LANES<T>)
            sum += load(weight + lane * row + k, K - k) * load(x + k, K - k);
        products[lane] = sum_lanes<T>(sum);
    }
    return load(products);
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

    const T *weights_of(int gate, long unit) const { return weight + (order[gate] * units + unit) * K; }

    void pack_rows(long panel) const {
        const int width = vectors_of(panel), here = blocks_of(panel);
        for (int v = 0; v < width; v++) {
            const long unit = first_unit(panel) + v % here * LANES<T>;
            transpose_strip(weights_of(v / here, unit), K, minimum(LANES<T>, units - unit), K, at(panel) + v * LANES<T>,
                            width * LANES<T>, true);
        }
    }

    /* out = init + a times a packed panel, for as many rows as fit into a tile. */
    void multiply(long panel, long rows, const T *a, long a_row, const T *init, long init_row, T *out, long out_row) const {
        const int width = vectors_of(panel);
        const long last = (width - 1) * LANES<T>;
        multiply_tiles<T>.of[rows][width](K, {a, a_row, 1, init, init_row, out, out_row},
                                          {width, width * LANES<T>, at(panel), width * LANES<T>, 0, last, last});
    }

    /* One row's products with a panel of weights that are not packed. */
    FLATTEN void multiply_unpacked(long panel, const T *a, const T *init, T *out) const {
        const int width = vectors_of(panel), here = blocks_of(panel);
        for (int v = 0; v < width; v++) {
            const long unit = first_unit(panel) + v % here * LANES<T>;
            const T *rows = weights_of(v / here, unit);
            const vec<T> products =
                units - unit < LANES<T> || K % LANES<T>
                    ? dot_some<T>(rows, K, minimum(LANES<T>, units - unit), a, K)
                    : dot_each<T>(rows, K, a, K);
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

/* Rows [first, last) of a (rows, K), by a panel, plus init; then each(row, out) with out[vectors] of every row. */
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
    const long out_row = panels.vectors_of(panel) * LANES<T>;
    const Parts tiles(last - first, tile_rows(panels.vectors_of(panel)));
    long row = first;
    for (long tile = 0; tile < tiles.count; row += tiles.size(tile++)) {
        panels.multiply(panel, tiles.size(tile), a + row * a_row, a_row, init + (row - first) * init_row, init_row, out, out_row);
        for (long r = 0; r < tiles.size(tile); r++)
            each(row + r, out + r * out_row);
    }
}

/* The same for the panels [from, to): each(row, panel, out). The start of a panel is `init_apart` behind that of the one before. */
template <typename T, typename Each>
INLINE void multiply_rows(const Panels<T> &panels, long from, long to, const T *a, long a_row, long first, long last,
                          const T *init, long init_row, long init_apart, const Each &each) {
    long panel = from;
    const auto start = [&] { return init + (panel - from) * init_apart; };
    if (panels.packed && last - first == 1)
        for (; panel + 2 <= to && panels.vectors_of(panel + 1) == panels.vectors_of(panel); panel += 2) {
            alignas(64) T out[2 * MOST_VECTORS * LANES<T>];
            const int width = panels.vectors_of(panel);
            multiply_row_twice_of<T>[width](panels.K, a + first * a_row, panels.at(panel), start(), init_apart, out);
            each(first, panel, out);
            each(first, panel + 1, out + width * LANES<T>);
        }
    for (; panel < to; panel++)
        multiply_rows<T>(panels, panel, a, a_row, first, last, start(), init_row,
                         [&](long row, const T *out) { each(row, panel, out); });
}

} // namespace TINYRNN_ISA
