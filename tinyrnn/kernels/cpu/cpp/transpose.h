/* Matrices turned by vectors: squares of as many rows as a vector has lanes, in registers. */
#pragma once

#include "simd.h"

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

/* Sums over the lanes of COUNT vectors, a power of 2: that of x[i] is in lane i of x[0]. The tree is the same for all. */
template <typename T, int COUNT, int S = 1> INLINE void sum_each(vec<T> *x) {
    if constexpr (S < LANES<T>) {
        constexpr typename LanesUpTo<LANES<T>>::type lanes;
        UNROLL
        for (int i = 0; i < COUNT; i += 2 * S) {
            const vec<T> other = i + S < COUNT ? x[i + S] : x[i];
            x[i] = without_bit<S>(x[i], other, lanes) + with_bit<S>(x[i], other, lanes);
        }
        sum_each<T, COUNT, 2 * S>(x);
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

} // namespace TINYRNN_ISA
