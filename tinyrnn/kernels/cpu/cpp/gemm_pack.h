/* Copies of parts of the factors of a product, in the order in which the innermost loop reads them. */
#pragma once

#include "gemm_tile.h"

namespace TINYRNN_ISA {

template <int... I> struct Lanes {};
template <int N, int... I> struct LanesUpTo : LanesUpTo<N - 1, N - 1, I...> {};
template <int... I> struct LanesUpTo<0, I...> {
    using type = Lanes<I...>;
};

/* The lanes of x whose number lacks the bit S, each followed by (at distance S) the same of y; and those that have it. */
template <int S, typename V, int... I> INLINE V without_bit(V x, V y, Lanes<I...>) {
    return __builtin_shufflevector(x, y, (I & S ? (int)sizeof...(I) + I - S : I)...);
}
template <int S, typename V, int... I> INLINE V with_bit(V x, V y, Lanes<I...>) {
    return __builtin_shufflevector(x, y, (I & S ? (int)sizeof...(I) + I : I + S)...);
}

/* Transposes a square of registers: after the step for S, bit S of the lane and of the register have changed places. */
template <typename T, int S = 1> INLINE void transpose_registers(vec<T> *x) {
    if constexpr (S < LANES<T>) {
        constexpr typename LanesUpTo<LANES<T>>::type lanes;
        UNROLL
        for (int i = 0; i < LANES<T>; i++)
            if (!(i & S)) {
                const vec<T> upper = x[i], lower = x[i + S];
                x[i] = without_bit<S>(upper, lower, lanes);
                x[i + S] = with_bit<S>(upper, lower, lanes);
            }
        transpose_registers<T, 2 * S>(x);
    }
}

/* to[c * to_row + r] = from[r * from_row + c] for at most LANES rows; whole vectors are written if `pad`, with 0. */
template <typename T> static void transpose_strip(const T *from, long from_row, long rows, long columns, T *to, long to_row,
                                                  bool pad) {
    const long width = pad ? LANES<T> : rows;
    for (long c = 0; c < columns; c += LANES<T>) {
        const long count = minimum(LANES<T>, columns - c);
        vec<T> x[LANES<T>];
        if (rows == LANES<T> && count == LANES<T>) {
            UNROLL
            for (int r = 0; r < LANES<T>; r++)
                x[r] = load(from + r * from_row + c);
        } else {
            for (int r = 0; r < LANES<T>; r++)
                x[r] = r < rows ? load(from + r * from_row + c, count) : vec<T>{};
        }
        transpose_registers<T>(x);
        if (count == LANES<T> && width == LANES<T>) {
            UNROLL
            for (int i = 0; i < LANES<T>; i++)
                store(to + (c + i) * to_row, x[i]);
        } else {
            for (int i = 0; i < count; i++)
                store(to + (c + i) * to_row, x[i], width);
        }
    }
}

/* to[c * to_row + r] = from[r * from_row + c] */
template <typename T>
static void transpose_block(const T *from, long from_row, long rows, long columns, T *to, long to_row) {
    for (long r = 0; r < rows; r += LANES<T>)
        transpose_strip(from + r * from_row, from_row, minimum(LANES<T>, rows - r), columns, to + r, to_row, false);
}

/* The most panels that are worked on together, and so many vectors have they at most. */
constexpr int BLOCK_VECTORS = 64;
constexpr int BLOCK_PANELS = BLOCK_VECTORS / PANEL_VECTORS * 2;

/* Some rows of B, cut into panels. */
template <typename T> struct Block {
    Panel<T> panels[BLOCK_PANELS];
    int count = 0, vectors = 0; // of the widest panel
};

/* Room for `K` rows of `columns` columns in panels. */
template <typename T> static long block_room(long K, long columns) {
    return K * ((columns + LANES<T> - 1) / LANES<T>)*LANES<T>;
}

template <typename T> static void pack_panel(const Operand<T> &b, long k0, long K, const Panel<T> &panel, long from, T *to) {
    const long width = panel.vectors * LANES<T>;
    const auto start = [&](int v) { return from + (v == panel.vectors - 1 ? panel.last : v * LANES<T>); };
    if (b.col == 1) {
        for (long k = 0; k < K; k++)
            for (int v = 0; v < panel.vectors; v++)
                store(to + k * width + v * LANES<T>, load(b.at(k0 + k, start(v)), panel.columns));
    } else if (b.row == 1 && !b.rows) {
        for (int v = 0; v < panel.vectors; v++)
            transpose_strip(b.at(k0, start(v)), b.col, minimum(LANES<T>, panel.columns), K, to + v * LANES<T>, width, true);
    } else {
        for (long k = 0; k < K; k++)
            for (int v = 0; v < panel.vectors; v++)
                for (long lane = 0; lane < LANES<T>; lane++)
                    to[k * width + v * LANES<T> + lane] = lane < panel.columns ? *b.at(k0 + k, start(v) + lane) : T(0);
    }
}

/* Cuts rows k0... of B, columns n0... (`columns` of them), into panels; they are copied to `to` unless B is read directly. */
template <typename T>
static void make_block(Block<T> &block, const Operand<T> &b, long k0, long K, long n0, long columns, bool direct, T *to) {
    const Parts parts((columns + LANES<T> - 1) / LANES<T>, PANEL_VECTORS);
    block.count = (int)parts.count;
    block.vectors = (int)parts.size(0);
    for (int p = 0; p < block.count; p++) {
        Panel<T> &panel = block.panels[p];
        panel.vectors = (int)parts.size(p);
        panel.first = parts.first(p) * LANES<T>;
        panel.columns = minimum(columns - panel.first, panel.vectors * LANES<T>);
        const bool partial = panel.columns < panel.vectors * LANES<T>;
        panel.b_last = (panel.vectors - 1) * LANES<T>;
        panel.last = partial && panel.vectors > 1 ? panel.columns - LANES<T> : panel.b_last;
        if (direct && !(partial && panel.vectors == 1)) {
            panel.b = b.at(k0, n0 + panel.first);
            panel.b_k = b.row;
            panel.b_last = panel.last;
        } else {
            T *packed = to + K * panel.first;
            pack_panel(b, k0, K, panel, n0 + panel.first, packed);
            panel.b = packed;
            panel.b_k = panel.vectors * LANES<T>;
        }
    }
}

/* Room that a packed tile of A has beyond its rows, for vectors that are stored whole. */
template <typename T> static long tile_room(long rows, long K) {
    return rows * K + LANES<T>;
}

/* Copies rows of A, tile after tile, each as [K][rows of the tile]. */
template <typename T> static void pack_rows(const Operand<T> &a, long m0, long k0, long K, const Parts &tiles, T *to) {
    constexpr long STEP = 8; // rows of a transposed A that are read together, as far as they are needed
    for (long k = 0; k < K; k += STEP) {
        T *tile = to;
        for (long t = 0; t < tiles.count; t++) {
            const long rows = tiles.size(t);
            const T *from = a.at(m0 + tiles.first(t), k0);
            for (long i = k; i < minimum(K, k + STEP); i++)
                if (a.row == 1)
                    for (long r = 0; r < rows; r += LANES<T>)
                        store(tile + i * rows + r, load(from + i * a.col + r, rows - r));
                else
                    for (long r = 0; r < rows; r++)
                        tile[i * rows + r] = from[i * a.col + r * a.row];
            tile += tile_room<T>(rows, K);
        }
    }
}

} // namespace TINYRNN_ISA
