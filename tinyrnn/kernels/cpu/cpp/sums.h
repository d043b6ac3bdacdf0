/* Sums of lines. Each line is cut into parts of one size, whoever adds them, so that the sums never depend on the threads. */
#pragma once

#include "rows.h"
#include "table.h"
#include "team.h"

namespace TINYRNN_ISA {

/* The sum of each row of x (rows, n); `parts` has room for the parts of all rows. */
template <typename T> static void sum_rows(const void *from, void *to, double *parts, long rows, long n, int threads) {
    const T *x = (const T *)from;
    T *out = (T *)to;
    const long parts_each = (n + SUM_PART - 1) / SUM_PART;
    run_team(members_for(rows * n, 32768, threads), [=](int member, int members) {
        const Share share(rows * parts_each, 1, member, members);
        for (long part = share.first; part < share.last; part++) {
            const long row = part / parts_each, first = part % parts_each * SUM_PART;
            const T *line = x + row * n + first;
            parts[part] = sum_row<T>(minimum(long(SUM_PART), n - first),
                                     [=](long i, long count) INLINE_BODY { return load(line + i, count); });
        }
    });
    for (long row = 0; row < rows; row++) {
        double total = 0;
        for (long part = 0; part < parts_each; part++)
            total += parts[row * parts_each + part];
        out[row] = (T)total;
    }
}

/* The sum of each column of x (rows, n). Blocks of rows are added up on their own, and so are blocks of blocks, which rounds
   less than one long sum. */
template <typename T> static void sum_columns(const void *from, void *to, long rows, long n, int threads) {
    constexpr long block = 64, together = 4; // vectors of columns
    const T *x = (const T *)from;
    T *out = (T *)to;
    run_team(members_for(rows * n, 32768, threads), [=](int member, int members) {
        const Share share(n, LANES<T> * together, member, members);
        for (long j = share.first; j < share.last; j += LANES<T> * together) {
            vec<T> total[together] = {}, of_blocks[together] = {};
            for (long first = 0; first < rows; first += block) {
                vec<T> sum[together] = {};
                for (long i = first; i < minimum(first + block, rows); i++) {
                    UNROLL
                    for (int k = 0; k < together; k++)
                        sum[k] += load(x + i * n + j + k * LANES<T>, maximum(share.last - j - k * LANES<T>, 0));
                }
                const bool is_full = first % (block * block) == block * (block - 1);
                for (int k = 0; k < together; k++) {
                    of_blocks[k] += sum[k];
                    if (is_full) {
                        total[k] += of_blocks[k];
                        of_blocks[k] = vec<T>{};
                    }
                }
            }
            for (int k = 0; k < together; k++)
                store(out + j + k * LANES<T>, total[k] + of_blocks[k], maximum(share.last - j - k * LANES<T>, 0));
        }
    });
}

} // namespace TINYRNN_ISA
