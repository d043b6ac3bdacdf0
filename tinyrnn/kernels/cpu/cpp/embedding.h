/* Rows of a table by their numbers, and the sums of rows that have the same number. */
#pragma once

#include "elementwise.h"

namespace TINYRNN_ISA {

static void embedding_forward(const void *table, const int64_t *ids, void *out, long count, long row_bytes, int threads) {
    run_team(members_for(count * row_bytes, 262144, threads), [=](int member, int members) {
        const Share share(count, 1, member, members);
        for (long i = share.first; i < share.last; i++)
            memcpy((char *)out + i * row_bytes, (const char *)table + ids[i] * row_bytes, row_bytes);
    });
}

/* out (V, E): each member sets some rows to 0; then each adds its own columns of all rows of `grad`, in their order. */
template <typename T> static void embedding_backward(const EmbeddingProblem *p, int threads) {
    const long E = p->E;
    Barrier barrier;
    run_team(members_for(p->count * E + p->V * E / 4, 32768, threads), [=, &barrier](int member, int members) {
        const Share rows(p->V, 1, member, members);
        memset((T *)p->out + rows.first * E, 0, (rows.last - rows.first) * E * sizeof(T));
        barrier.wait(members);
        const Share columns(E, 64 / sizeof(T), member, members);
        if (columns.first == columns.last)
            return;
        for (long i = 0; i < p->count; i++) {
            if (p->ids[i] == p->padding_idx)
                continue;
            const T *grad = (const T *)p->grad + i * E;
            T *out = (T *)p->out + p->ids[i] * E;
            each_vector<T>(columns.first, columns.last, [=](long j, long count) INLINE_BODY {
                store(out + j, load(out + j, count) + load(grad + j, count), count);
            });
        }
    });
}

} // namespace TINYRNN_ISA
