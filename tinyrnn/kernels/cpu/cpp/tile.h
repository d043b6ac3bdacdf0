/* The innermost loop of every product: a tile of the result, some rows times some vectors of columns, kept in registers.

   out[r][v] = init[r][v] + sum over k of a[r, k] b[k][v]: each step over k loads NV vectors of b and, for every row, one
   number of a. Terms are added in the order of k, whatever the tile, so results do not depend on how work is cut up. */
#pragma once

#include "simd.h"

namespace TINYRNN_ISA {

/* Where things are; strides in elements. An init_row of 0 gives all rows the same start, such as a bias. */
template <typename T> struct Tile {
    long K;
    const T *a;
    long a_row, a_k;
    const T *b;
    long b_k;
    const T *init;
    long init_row;
    T *out;
    long out_row;
};

template <typename T, int MR, int NV> static void tile_kernel(const Tile<T> &tile) {
    vec<T> sum[MR][NV];
    UNROLL
    for (int r = 0; r < MR; r++)
        UNROLL
        for (int v = 0; v < NV; v++)
            sum[r][v] = load(tile.init + r * tile.init_row + v * LANES<T>);
    const T *a = tile.a, *b = tile.b;
    const long a_row = tile.a_row, a_k = tile.a_k, b_k = tile.b_k;
    for (long k = tile.K; k > 0; k--) {
        vec<T> column[NV];
        UNROLL
        for (int v = 0; v < NV; v++)
            column[v] = load(b + v * LANES<T>);
        UNROLL
        for (int r = 0; r < MR; r++) {
            const vec<T> x = broadcast<T>(a[r * a_row]);
            UNROLL
            for (int v = 0; v < NV; v++)
                sum[r][v] += x * column[v];
        }
        a += a_k;
        b += b_k;
    }
    UNROLL
    for (int r = 0; r < MR; r++)
        UNROLL
        for (int v = 0; v < NV; v++)
            store(tile.out + r * tile.out_row + v * LANES<T>, sum[r][v]);
}

constexpr int MAX_VECTORS = 4;

/* How many rows a tile of NV vectors may have, so that all sums stay in registers. */
constexpr int max_rows(int vectors) {
    return (REGISTERS == 32 ? 24 : 12) / (vectors == 1 ? 2 : vectors);
}

template <typename T> using TileKernel = void (*)(const Tile<T> &);

/* tile_kernels<T>(rows, vectors): rows from 1 to max_rows(vectors), vectors from 1 to MAX_VECTORS. */
template <typename T> struct TileKernels {
    TileKernel<T> of[13][MAX_VECTORS + 1] = {};

    template <int MR, int NV> constexpr void fill() {
        of[MR][NV] = tile_kernel<T, MR, NV>;
        if constexpr (MR > 1)
            fill<MR - 1, NV>();
    }
    constexpr TileKernels() {
        fill<max_rows(1), 1>();
        fill<max_rows(2), 2>();
        fill<max_rows(3), 3>();
        fill<max_rows(4), 4>();
    }
};

template <typename T> constexpr TileKernels<T> tile_kernels{};

/* Tiles of `rows` rows that differ by at most one, as few as there can be: 13 rows are 5 + 4 + 4 and not 6 + 6 + 1. */
struct RowTiles {
    long count, small, larger; // `larger` tiles of small + 1 rows, then the others of `small`
    RowTiles(long rows, int most) {
        count = (rows + most - 1) / most;
        small = count ? rows / count : 0;
        larger = count ? rows % count : 0;
    }
    int rows(long tile) const { return (int)(small + (tile < larger)); }
};

} // namespace TINYRNN_ISA
