/* Copies of parts of the factors of a product, in the order in which the innermost loop reads them. */
#pragma once

#include "tile.h"
#include "transpose.h"

namespace TINYRNN_ISA {

constexpr int PANEL_VECTORS = REGISTERS == 32 ? 4 : 2;

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

/* Rows of a tile of A^T: from `from` on, so many of them in a row of memory, `steps` of which are `step` apart. */
template <typename T> static void pack_transposed(const T *from, long step, long steps, long rows, T *to) {
    for (long i = 0; i < steps; i++, from += step, to += rows) {
        store(to, load(from, rows));
        for (long r = LANES<T>; r < rows; r += LANES<T>)
            store(to + r, load(from + r, rows - r));
    }
}

/* Copies rows of A, tile after tile, each as [K][rows of the tile]. Where A is transposed, a step over k jumps from line to line
   of memory, which the processor does not foresee: what the next steps read is asked for beforehand. */
template <typename T> static void pack_rows(const Operand<T> &a, long m0, long k0, long K, const Parts &tiles, T *to) {
    constexpr long STEP = 8; // of k, which tile after tile copies, so that lines of memory are used as a whole
    const long all = tiles.first(tiles.count);
    for (long k = 0; k < K; k += STEP) {
        const long steps = minimum(STEP, K - k);
        if (a.row == 1)
            for (long i = k + STEP; i < minimum(K, k + 2 * STEP); i++)
                for (long r = 0; r < all; r += 64 / (long)sizeof(T))
                    __builtin_prefetch(a.at(m0 + r, k0 + i));
        T *tile = to;
        for (long t = 0; t < tiles.count; t++) {
            const long rows = tiles.size(t);
            const T *from = a.at(m0 + tiles.first(t), k0 + k);
            T *out = tile + k * rows;
            if (a.row == 1)
                pack_transposed(from, a.col, steps, rows, out);
            else
                for (long i = 0; i < steps; i++)
                    for (long r = 0; r < rows; r++)
                        out[i * rows + r] = from[i * a.col + r * a.row];
            tile += tile_room<T>(rows, K);
        }
    }
}

} // namespace TINYRNN_ISA
