/* Products of few rows with many, both contiguous along k: dot products, vectorised over k, of the factors as they lie. */
#pragma once

#include "gemm_pack.h"

namespace TINYRNN_ISA {

/* The result where either factor may be the one with few rows: element (x, y) is at c + x * c_x + y * c_y. */
template <typename T> struct Dots {
    long K;
    const T *x;
    long x_row;
    const T *y;
    long y_row;
    const T *init;
    long init_x, init_y;
    T *c;
    long c_x, c_y;
};

template <typename T, int X, int Y> static void dot_tile(const Dots<T> &dots, long x0, long y0) {
    constexpr int COUNT = X * Y, GROUP = COUNT < LANES<T> ? COUNT : LANES<T>;
    vec<T> sum[COUNT] = {};
    const T *x = dots.x + x0 * dots.x_row, *y = dots.y + y0 * dots.y_row;
    long x_row = dots.x_row, y_row = dots.y_row, whole = dots.K / LANES<T> * LANES<T>;
    const long rest = dots.K - whole;
    T last[X + Y][LANES<T>];
    // The rest takes the same loop, filled up with zeros: another one might fuse multiplications and additions differently,
    // and an element's rounding would depend on its tile.
    for (bool done = false;; done = true) {
        for (long k = 0; k < whole; k += LANES<T>) {
            vec<T> a[X];
            UNROLL
            for (int i = 0; i < X; i++)
                a[i] = load(x + i * x_row + k);
            UNROLL
            for (int j = 0; j < Y; j++) {
                const vec<T> b = load(y + j * y_row + k);
                UNROLL
                for (int i = 0; i < X; i++)
                    sum[i * Y + j] += a[i] * b;
            }
        }
        if (done || !rest)
            break;
        for (int i = 0; i < X; i++)
            store(last[i], load(x + i * x_row + whole, rest));
        for (int j = 0; j < Y; j++)
            store(last[X + j], load(y + j * y_row + whole, rest));
        x = last[0];
        y = last[X];
        x_row = y_row = whole = LANES<T>;
    }
    T total[COUNT + LANES<T>];
    UNROLL
    for (int i = 0; i < COUNT; i += GROUP) {
        sum_each<T, GROUP>(sum + i);
        store(total + i, sum[i]);
    }
    for (int i = 0; i < X; i++)
        for (int j = 0; j < Y; j++) {
            const T *init = dots.init + (x0 + i) * dots.init_x + (y0 + j) * dots.init_y;
            dots.c[(x0 + i) * dots.c_x + (y0 + j) * dots.c_y] = (dots.init ? *init : T(0)) + total[i * Y + j];
        }
}

/* All of `x_count` rows with those y0 to y1 of the other factor, whose rows stay in the nearest cache meanwhile. */
template <typename T> static void dot_products(const Dots<T> &dots, long x_count, long y0, long y1) {
    constexpr int Y = REGISTERS == 32 || LANES<T> > 4 ? 4 : 2;
    const auto column = [&](auto single, auto pair, auto four, long y) {
        long x = 0;
        for (; four && x + 4 <= x_count; x += 4)
            four(dots, x, y);
        for (; x + 2 <= x_count; x += 2)
            pair(dots, x, y);
        for (; x < x_count; x++)
            single(dots, x, y);
    };
    constexpr void (*four)(const Dots<T> &, long, long) = REGISTERS == 32 ? dot_tile<T, 4, Y> : nullptr;
    long y = y0;
    if (x_count == 1)
        for (; y + 8 <= y1; y += 8)
            dot_tile<T, 1, 8>(dots, 0, y);
    for (; y + Y <= y1; y += Y)
        column(dot_tile<T, 1, Y>, dot_tile<T, 2, Y>, four, y);
    for (; y < y1; y++)
        column(dot_tile<T, 1, 1>, dot_tile<T, 2, 1>, dot_tile<T, 4, 1>, y);
}

} // namespace TINYRNN_ISA
