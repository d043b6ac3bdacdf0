/* Sums and maxima of rows, in an order that depends on nothing but the length of the row. */
#pragma once

#include "elementwise.h"

namespace TINYRNN_ISA {

/* The first `count` elements, and `fill` in the lanes behind them. */
template <typename T> INLINE vec<T> load_or(const T *from, long count, T fill) {
    if (count >= LANES<T>)
        return load(from);
    bits<T> lane;
    UNROLL
    for (int i = 0; i < LANES<T>; i++)
        lane[i] = i;
    return lane < (bits<T>{} + (int)count) ? load(from, count) : broadcast<T>(fill);
}

/* Combine term(i, count) of all vectors of [first, last): four results in turn, so that none waits for the one before. */
template <typename T, typename Term, typename Combine>
INLINE vec<T> reduce(long first, long last, vec<T> start, const Term &term, const Combine &combine) {
    vec<T> partial[4] = {start, start, start, start};
    long i = first;
    for (; i + 4 * LANES<T> <= last; i += 4 * LANES<T>) {
        UNROLL
        for (int k = 0; k < 4; k++)
            partial[k] = combine(partial[k], term(i + k * LANES<T>, LANES<T>));
    }
    each_vector<T>(i, last, [&](long j, long count) INLINE_BODY { partial[0] = combine(partial[0], term(j, count)); });
    return combine(combine(partial[0], partial[1]), combine(partial[2], partial[3]));
}

/* The sum of term(i, count), vectors with 0 in the lanes from `count` on; sums of 4096 elements are added in double. */
template <typename T, typename Term> INLINE double sum_row(long size, const Term &term) {
    double total = 0;
    for (long first = 0; first < size; first += 4096) {
        const auto add = [](vec<T> a, vec<T> b) INLINE_BODY { return a + b; };
        total += sum_lanes<T>(reduce<T>(first, minimum(first + 4096, size), vec<T>{}, term, add));
    }
    return total;
}

/* The largest element, -inf of none; NaN is passed over. */
template <typename T> INLINE T max_row(const T *x, long size) {
    const T lowest = T(-__builtin_inf());
    const auto larger = [](vec<T> a, vec<T> b) INLINE_BODY { return a > b ? a : b; };
    const vec<T> largest = reduce<T>(
        0, size, broadcast<T>(lowest), [=](long i, long count) INLINE_BODY { return load_or(x + i, count, lowest); },
        [=](vec<T> a, vec<T> b) INLINE_BODY { return larger(b, a); });
    return max_lanes<T>(largest);
}

} // namespace TINYRNN_ISA
