/* The innermost loop of a product: a tile of the result, some rows times some vectors of columns, kept in registers. */
#pragma once

#include "simd.h"

namespace TINYRNN_ISA {

/* A matrix to multiply. Element (r, c) is data[r * row + c * col] or, if `rows` is given, rows[r][c * col]. */
template <typename T> struct Operand {
    const T *data;
    long row, col;
    const T *const *rows = nullptr;

    const T *at(long r, long c) const { return (rows ? rows[r] : data + r * row) + c * col; }
};

/* The columns of one tile, and where B has them: step k reads b + k * b_k. They are whole vectors. If the columns do not
   fill the last one, it starts earlier and computes some columns twice; only if there is no column before them to start
   at is it padded, and `columns` says how many there are. */
template <typename T> struct Panel {
    int vectors;
    long columns;
    const T *b;
    long b_k;
    long first;         // column of the result
    long b_last, last;  // offsets of the last vector from b and from the first column
};

/* The rows of one tile: its numbers are broadcast, so A may have any strides. */
template <typename T> struct Rows {
    const T *a;
    long a_row, a_k;
    const T *init;
    long init_row;
    T *out;
    long out_row;
};

/* out[r][v] = init[r][v] + sum over k of a[r, k] b[k][v]: each step over k loads NV vectors of b and, for every row, one
   number of a. Terms are added in the order of k, whatever the tile, so results do not depend on how work is cut up. */
template <typename T, int MR, int NV> static void multiply_tile(long K, const Rows<T> &rows, const Panel<T> &panel) {
    vec<T> sum[MR][NV];
    const auto column = [](int v, long last) { return v == NV - 1 && NV > 1 ? last : v * LANES<T>; };
    UNROLL
    for (int r = 0; r < MR; r++)
        UNROLL
        for (int v = 0; v < NV; v++) {
            const T *init = rows.init + r * rows.init_row + column(v, panel.last);
            sum[r][v] = NV == 1 ? load(init, panel.columns) : load(init);
        }
    const T *a = rows.a, *b = panel.b;
    const long a_row = rows.a_row, a_k = rows.a_k, b_k = panel.b_k, b_last = panel.b_last;
    for (long k = K; k > 0; k--) {
        vec<T> b_row[NV];
        UNROLL
        for (int v = 0; v < NV; v++)
            b_row[v] = load(b + column(v, b_last));
        UNROLL
        for (int r = 0; r < MR; r++) {
            const vec<T> x = broadcast<T>(a[r * a_row]);
            UNROLL
            for (int v = 0; v < NV; v++)
                sum[r][v] += x * b_row[v];
        }
        a += a_k;
        b += b_k;
    }
    UNROLL
    for (int r = 0; r < MR; r++)
        UNROLL
        for (int v = 0; v < NV; v++) {
            T *out = rows.out + r * rows.out_row + column(v, panel.last);
            if (NV == 1)
                store(out, sum[r][v], panel.columns);
            else
                store(out, sum[r][v]);
        }
}

/* The same for one row and two panels that lie one behind the other: a single panel has too few sums to keep the processor
   busy, as every addition waits for the one before it. The second panel's start is `init_apart` behind the first one's, its result
   right behind. */
template <typename T, int NV>
static void multiply_row_twice(long K, const T *a, const T *b, const T *init, long init_apart, T *out) {
    vec<T> sum[2][NV];
    UNROLL
    for (int p = 0; p < 2; p++)
        UNROLL
        for (int v = 0; v < NV; v++)
            sum[p][v] = load(init + p * init_apart + v * LANES<T>);
    const T *second = b + K * NV * LANES<T>;
    for (long k = 0; k < K; k++) {
        const vec<T> x = broadcast<T>(a[k]);
        UNROLL
        for (int v = 0; v < NV; v++) {
            sum[0][v] += x * load(b + v * LANES<T>);
            sum[1][v] += x * load(second + v * LANES<T>);
        }
        b += NV * LANES<T>;
        second += NV * LANES<T>;
    }
    UNROLL
    for (int p = 0; p < 2; p++)
        UNROLL
        for (int v = 0; v < NV; v++)
            store(out + (p * NV + v) * LANES<T>, sum[p][v]);
}

constexpr int MOST_VECTORS = 4;

template <typename T> using MultiplyRowTwice = void (*)(long K, const T *a, const T *b, const T *init, long init_apart, T *out);

template <typename T>
constexpr MultiplyRowTwice<T> multiply_row_twice_of[MOST_VECTORS + 1] = {
    nullptr, multiply_row_twice<T, 1>, multiply_row_twice<T, 2>, multiply_row_twice<T, 3>, multiply_row_twice<T, 4>};

/* How many rows a tile of so many vectors may have, so that all sums stay in registers. */
constexpr int tile_rows(int vectors) {
    return vectors == 1 ? (REGISTERS == 32 ? 12 : 6) : (REGISTERS == 32 ? 24 : 12) / vectors;
}

template <typename T> using MultiplyTile = void (*)(long K, const Rows<T> &, const Panel<T> &);

/* of[rows][vectors] */
template <typename T> struct MultiplyTiles {
    MultiplyTile<T> of[13][MOST_VECTORS + 1] = {};

    template <int MR, int NV> constexpr void fill() {
        of[MR][NV] = multiply_tile<T, MR, NV>;
        if constexpr (MR > 1)
            fill<MR - 1, NV>();
        else if constexpr (NV > 1)
            fill<tile_rows(NV - 1), NV - 1>();
    }
    constexpr MultiplyTiles() { fill<tile_rows(MOST_VECTORS), MOST_VECTORS>(); }
};

template <typename T> constexpr MultiplyTiles<T> multiply_tiles{};

/* `count` things in parts that differ by at most one, as few as there can be: 13 rows are 5 + 4 + 4 and not 6 + 6 + 1. */
struct Parts {
    long count, small, larger; // `larger` parts of small + 1, then the others of `small`
    Parts(long things, long most) {
        count = (things + most - 1) / most;
        small = count ? things / count : 0;
        larger = count ? things % count : 0;
    }
    long size(long part) const { return small + (part < larger); }
    long first(long part) const { return part * small + minimum(part, larger); }
};

} // namespace TINYRNN_ISA
