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

/* Copies rows of A, tile after tile, each as [K][rows of the tile]. Where A is transposed, a step over k jumps from line to line
   of memory, which the processor does not foresee: what the next steps read is asked for beforehand. */
template <typename T> static void pack_rows(const Operand<T> &a, long m0, long k0, long K, const Parts &tiles, T *to) {
    constexpr long STEP = 8; // rows of a transposed A that are read together, as far as they are needed
    const long all = tiles.first(tiles.count);
    for (long k = 0; k < K; k += STEP) {
        if (a.row == 1)
            for (long i = k + STEP; i < minimum(K, k + 2 * STEP); i++)
                for (long r = 0; r < all; r += 64 / (long)sizeof(T))
                    __builtin_prefetch(a.at(m0 + r, k0 + i));
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
