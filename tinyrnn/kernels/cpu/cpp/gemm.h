/* Products of matrices, C = init + A B.

   Three ways to the same result; `choose` estimates which is the fastest. All of them compute every element in one order.

   tiles     tiles of C in registers: rows of A broadcast, vectors of columns of B (tile.h), copied where B does not have
             them in a row (gemm_pack.h)
   swapped   tiles of C^T = B^T A^T, transposed when they are done: where A is much smaller than B or C has few columns
   dots      dot products over k (gemm_dot.h): where A or B has few rows, and both are contiguous along k */
#pragma once

#include "gemm_dot.h"
#include "memory.h"
#include "table.h"
#include "team.h"

namespace TINYRNN_ISA {

/* C (M, N) = init + A (M, K) B (K, N). init: nullptr is 0; an init_row of 0 gives all rows the same start. */
template <typename T> struct Product {
    long M, N, K;
    Operand<T> a, b;
    const T *init;
    long init_row;
    T *c;
    long c_row;
};

/* A part of C. */
struct Part {
    long m0, m1, n0, n1;
    long rows() const { return m1 - m0; }
    long columns() const { return n1 - n0; }
};

constexpr long BLOCK_BYTES = 512 << 10; // of B: half of a core's second cache
constexpr long BLOCK_K = 256;
constexpr long BLOCK_ROWS = 96; // of A, if it is copied
constexpr long SWAPPED_ROWS = 48;
constexpr double THREAD_WORK = 30000; // multiply-adds that are worth a thread: a few microseconds

INLINE Scratch &gemm_scratch() {
    static thread_local Scratch scratch;
    return scratch;
}

template <typename T> constexpr T no_start[PANEL_VECTORS * LANES<T>] = {};

/* Some rows of A times a block of B. The rows are copied to `packed`, if given, where they are read more than once. */
template <typename T>
static void multiply_rows(const Block<T> &block, const Operand<T> &a, long m0, long rows, long k0, long K, const T *init,
                          long init_row, T *c, long c_row, T *packed) {
    const long most = tile_rows(block.vectors);
    const long step = packed ? BLOCK_ROWS : rows;
    for (long m = 0; m < rows; m += step) {
        const Parts tiles(minimum(step, rows - m), most);
        if (packed)
            pack_rows(a, m0 + m, k0, K, tiles, packed);
        const T *tile = packed;
        for (long t = 0; t < tiles.count; t++) {
            const long count = tiles.size(t), row = m + tiles.first(t);
            Rows<T> of{a.at(m0 + row, k0), a.row, a.col, nullptr, init_row, nullptr, c_row};
            if (packed) {
                of.a = tile;
                of.a_row = 1;
                of.a_k = count;
                tile += tile_room<T>(count, K);
            }
            for (int p = 0; p < block.count; p++) {
                const Panel<T> &panel = block.panels[p];
                of.init = init ? init + row * init_row + panel.first : no_start<T>;
                of.init_row = init ? init_row : 0;
                of.out = c + row * c_row + panel.first;
                multiply_tiles<T>.of[count][panel.vectors](K, of, panel);
            }
        }
    }
}

template <typename T> static bool read_directly(const Product<T> &p, long rows) {
    return p.b.col == 1 && !p.b.rows && (rows <= 24 || p.K * p.N * (long)sizeof(T) <= 32 << 10);
}

/* Where there is no memory to copy anything to. */
template <typename T> static void multiply_plainly(const Product<T> &p, const Part &part) {
    for (long m = part.m0; m < part.m1; m++)
        for (long n = part.n0; n < part.n1; n++) {
            T sum = p.init ? p.init[m * p.init_row + n] : T(0);
            for (long k = 0; k < p.K; k++)
                sum += *p.a.at(m, k) * *p.b.at(k, n);
            p.c[m * p.c_row + n] = sum;
        }
}

template <typename T> static void multiply_in_tiles(const Product<T> &p, const Part &part) {
    const bool direct = read_directly(p, part.rows());
    const Parts blocks_k(maximum(p.K, 1), BLOCK_K);
    const long vectors = (part.columns() + LANES<T> - 1) / LANES<T>;
    const long most = maximum(1, minimum(BLOCK_VECTORS, BLOCK_BYTES / ((blocks_k.small + 1) * VECTOR_BYTES)));
    const Parts blocks_n(vectors, most);
    const bool copy_a = p.a.col != 1 && part.columns() > 2 * LANES<T> && part.rows() > 6;
    const long room = block_room<T>(blocks_k.small + 1, most * LANES<T>);
    T *packed = gemm_scratch().get<T>(room + (copy_a ? BLOCK_ROWS * (BLOCK_K + 2 + LANES<T>) : 0));
    if (!packed)
        return multiply_plainly(p, part);
    Block<T> block;
    for (long j = 0; j < blocks_n.count; j++) {
        const long n = part.n0 + blocks_n.first(j) * LANES<T>;
        const long columns = minimum(blocks_n.size(j) * LANES<T>, part.n1 - n);
        for (long i = 0; i < blocks_k.count; i++) {
            const long k = blocks_k.first(i), K = p.K ? blocks_k.size(i) : 0;
            make_block(block, p.b, k, K, n, columns, direct, packed);
            T *c = p.c + part.m0 * p.c_row + n;
            const T *init = i ? c : p.init ? p.init + part.m0 * p.init_row + n : nullptr;
            multiply_rows(block, p.a, part.m0, part.rows(), k, K, init, i ? p.c_row : p.init_row, c, p.c_row,
                          copy_a ? packed + room : nullptr);
        }
    }
}

template <typename T> static void multiply_swapped(const Product<T> &p, const Part &part) {
    const Operand<T> a{p.b.data, p.b.col, p.b.row}, b{p.a.data, p.a.col, p.a.row};
    const bool direct = b.col == 1;
    const long lanes = LANES<T>;
    const long most = maximum(1, minimum(BLOCK_VECTORS, BLOCK_BYTES / (maximum(p.K, 1) * VECTOR_BYTES)));
    const Parts blocks((part.rows() + lanes - 1) / lanes, most);
    const long room = block_room<T>(p.K, most * lanes), row = most * lanes;
    T *packed = gemm_scratch().get<T>(room + SWAPPED_ROWS * row);
    if (!packed)
        return multiply_plainly(p, part);
    T *turned = packed + room;
    Block<T> block;
    for (long i = 0; i < blocks.count; i++) {
        const long m = part.m0 + blocks.first(i) * lanes, rows = minimum(blocks.size(i) * lanes, part.m1 - m);
        make_block(block, b, 0, p.K, m, rows, direct, packed);
        for (long n = part.n0; n < part.n1; n += SWAPPED_ROWS) {
            const long columns = minimum(SWAPPED_ROWS, part.n1 - n);
            if (p.init && p.init_row)
                transpose_block(p.init + m * p.init_row + n, p.init_row, rows, columns, turned, row);
            else if (p.init)
                for (long r = 0; r < columns; r++)
                    for (long x = 0; x < rows; x++)
                        turned[r * row + x] = p.init[n + r];
            multiply_rows<T>(block, a, n, columns, 0, p.K, p.init ? turned : nullptr, row, turned, row, nullptr);
            transpose_block(turned, row, columns, rows, p.c + m * p.c_row + n, p.c_row);
        }
    }
}

template <typename T> static void multiply_as_dots(const Product<T> &p, const Part &part) {
    const T *init = p.init ? p.init + part.m0 * p.init_row + part.n0 : nullptr;
    T *c = p.c + part.m0 * p.c_row + part.n0;
    const T *a = p.a.at(part.m0, 0), *b = p.b.at(0, part.n0);
    if (p.M <= p.N)
        dot_products<T>({p.K, a, p.a.row, b, p.b.col, init, p.init_row, 1, c, p.c_row, 1}, part.rows(), 0, part.columns());
    else
        dot_products<T>({p.K, b, p.b.col, a, p.a.row, init, 1, p.init_row, c, 1, p.c_row}, part.columns(), 0, part.rows());
}

enum Way { TILES, SWAPPED, DOTS };

/* Estimates in vector instructions, of the whole product, so that the team's size has no say. */
template <typename T> static Way choose(const Product<T> &p) {
    const double M = p.M, N = p.N, K = p.K, lanes = LANES<T>;
    const bool b_in_rows = p.b.col == 1 || p.b.rows;
    const double vectors_n = (p.N + LANES<T> - 1) / LANES<T>, vectors_m = (p.M + LANES<T> - 1) / LANES<T>;
    const double tiles = M * vectors_n * K + (b_in_rows ? 0.1 : 0.35) * N * K;
    const double swapped = N * vectors_m * K + (p.a.row == 1 ? 0.1 : 0.35) * M * K + (p.init && p.init_row ? 0.8 : 0.4) * M * N;
    const double dots = M * N * (K / lanes + 2.5) * 1.05;
    if (p.a.col == 1 && p.b.row == 1 && !p.b.rows && dots < tiles && dots < swapped)
        return DOTS;
    // Swapped, B is the side that is read as it lies, and all of A is copied at once.
    const bool swappable = !p.b.rows && (p.b.row == 1 || p.N <= 2 * LANES<T>) &&
                           p.K * VECTOR_BYTES * minimum(PANEL_VECTORS, (long)vectors_m) <= BLOCK_BYTES;
    return swappable && swapped < tiles ? SWAPPED : TILES;
}

/* The part of one of `members`: the grid of parts that is done first, with what each member has to copy. */
template <typename T> static Part part_of(const Product<T> &p, int member, int members) {
    long best = 1;
    double least = 1e300;
    const long vectors = (p.N + LANES<T> - 1) / LANES<T>;
    const double copy_a = p.a.col == 1 ? 0.05 : 0.6, copy_b = p.b.col == 1 ? 1.5 : 0.35 * LANES<T>;
    for (long down = 1; down <= members; down++)
        if (members % down == 0) {
            const long across = members / down;
            const double rows = (p.M + down - 1) / down, columns = (vectors + across - 1) / across;
            const double cost = rows * columns + copy_a * rows + copy_b * columns;
            if (cost < least) {
                least = cost;
                best = down;
            }
        }
    const Share rows(p.M, 1, member % best, best), columns(p.N, LANES<T>, member / best, members / best);
    return {rows.first, rows.last, columns.first, columns.last};
}

/* One member's share of C (M, N) = init + A (M, K) B (K, N); all members of the team call it with the same arguments.
   There is no barrier in it. init: nullptr is 0, C adds to what is there; an init_row of 0 gives all rows the same start.
   Only B may have `rows`. */
template <typename T>
static void gemm_share(int member, int members, long M, long N, long K, Operand<T> a, Operand<T> b, const T *init,
                       long init_row, T *c, long c_row) {
    const Product<T> p{M, N, K, a, b, init, init_row, c, c_row};
    const Part part = part_of(p, member, members);
    if (part.rows() <= 0 || part.columns() <= 0)
        return;
    const Way way = choose(p);
    if (way == DOTS)
        multiply_as_dots(p, part);
    else if (way == SWAPPED)
        multiply_swapped(p, part);
    else
        multiply_in_tiles(p, part);
}

/* Products of a batch go to the members whole, as far as they come out even; the others are shared. */
template <typename T> static void gemm(const GemmProblem *problem, int threads) {
    GemmProblem p = *problem;
    if (p.M == 1) { // whatever the strides of a single row
        p.a_row = p.a_batch;
        p.c_row = p.c_batch;
    }
    const bool one_product = p.b_batch == 0 && p.a_batch == p.M * p.a_row && p.c_batch == p.M * p.c_row &&
                             (!p.init || (p.init_row == 0 && p.init_batch == 0));
    if (p.batch > 1 && one_product) {
        p.M *= p.batch;
        p.batch = 1;
    }
    const double work = (double)p.batch * p.M * p.N * (p.K + 8);
    const int useful = work < THREAD_WORK * threads ? maximum(1, (long)(work / THREAD_WORK)) : threads;
    run_team(useful, [&](int member, int members) {
        const long whole = p.batch / members * members;
        for (long i = 0; i < p.batch; i++) {
            const bool mine = i < whole;
            if (mine && i % members != member)
                continue;
            gemm_share<T>(mine ? 0 : member, mine ? 1 : members, p.M, p.N, p.K,
                          {(const T *)p.a + i * p.a_batch, p.a_row, p.a_col},
                          {(const T *)p.b + i * p.b_batch, p.b_row, p.b_col},
                          p.init ? (const T *)p.init + i * p.init_batch : nullptr, p.init_row,
                          (T *)p.c + i * p.c_batch, p.c_row);
        }
    });
}

} // namespace TINYRNN_ISA
