/* One row (one sequence of the batch) of one step of the recurrent cells, for float and for double: this file includes itself
   once for each type, REAL, with its TANH and SIGMOID, and NAME to name the functions after it.

   H is the number of hidden units; gates lie side by side, H of each. Every gate is loaded, used and stored once. No output
   overlaps an input (restrict), so that the compiler makes vector code of the loops. */
#ifndef REAL
#ifndef TINYRNN_RECURRENT_CELLS_H
#define TINYRNN_RECURRENT_CELLS_H

#include <math.h>

#include "vector_math.h"

#define REAL float
#define NAME(name) tinyrnn_##name##_float
#define TANH tinyrnn_tanhf
#define SIGMOID tinyrnn_sigmoidf
#include "recurrent_cells.h"
#undef REAL
#undef NAME
#undef TANH
#undef SIGMOID

#define REAL double
#define NAME(name) tinyrnn_##name##_double
#define TANH tanh
#define SIGMOID tinyrnn_sigmoid
#include "recurrent_cells.h"
#undef REAL
#undef NAME
#undef TANH
#undef SIGMOID

#endif
#else

TINYRNN_CLONES static void NAME(rnn_tanh_forward)(const REAL *restrict gates_x, const REAL *restrict gates_h,
                                                  REAL *restrict new_h, intptr_t H) {
    for (intptr_t j = 0; j < H; j++) new_h[j] = TANH(gates_x[j] + gates_h[j]);
}

TINYRNN_CLONES static void NAME(rnn_relu_forward)(const REAL *restrict gates_x, const REAL *restrict gates_h,
                                                  REAL *restrict new_h, intptr_t H) {
    for (intptr_t j = 0; j < H; j++) {
        REAL a = gates_x[j] + gates_h[j];
        new_h[j] = a <= 0 ? 0 : a; /* NaN stays */
    }
}

TINYRNN_CLONES static void NAME(rnn_tanh_backward)(const REAL *restrict grad_h, const REAL *restrict h,
                                                   REAL *restrict grad_gates, intptr_t H) {
    for (intptr_t j = 0; j < H; j++) grad_gates[j] = grad_h[j] * (1 - h[j] * h[j]);
}

TINYRNN_CLONES static void NAME(rnn_relu_backward)(const REAL *restrict grad_h, const REAL *restrict h,
                                                   REAL *restrict grad_gates, intptr_t H) {
    for (intptr_t j = 0; j < H; j++) grad_gates[j] = grad_h[j] * (REAL)(h[j] > 0 ? 1 : 0);
}

TINYRNN_CLONES static void NAME(lstm_forward)(const REAL *restrict gates_x, const REAL *restrict gates_h,
                                              const REAL *restrict c, REAL *restrict new_h, REAL *restrict new_c,
                                              REAL *restrict gates, intptr_t H) {
    for (intptr_t j = 0; j < H; j++) {
        REAL i = SIGMOID(gates_x[j] + gates_h[j]);
        REAL f = SIGMOID(gates_x[H + j] + gates_h[H + j]);
        REAL g = TANH(gates_x[2 * H + j] + gates_h[2 * H + j]);
        REAL o = SIGMOID(gates_x[3 * H + j] + gates_h[3 * H + j]);
        REAL cell = f * c[j] + i * g;
        gates[j] = i;
        gates[H + j] = f;
        gates[2 * H + j] = g;
        gates[3 * H + j] = o;
        new_c[j] = cell;
        new_h[j] = o * TANH(cell);
    }
}

TINYRNN_CLONES static void NAME(lstm_backward)(const REAL *restrict grad_h, const REAL *restrict grad_c,
                                               const REAL *restrict c, const REAL *restrict new_c,
                                               const REAL *restrict gates, REAL *restrict grad_gates,
                                               REAL *restrict grad_before, intptr_t H) {
    for (intptr_t j = 0; j < H; j++) {
        REAL i = gates[j], f = gates[H + j], g = gates[2 * H + j], o = gates[3 * H + j];
        REAL tanh_c = TANH(new_c[j]);
        REAL grad = grad_c[j] + grad_h[j] * o * (1 - tanh_c * tanh_c);
        grad_gates[j] = grad * g * i * (1 - i);
        grad_gates[H + j] = grad * c[j] * f * (1 - f);
        grad_gates[2 * H + j] = grad * i * (1 - g * g);
        grad_gates[3 * H + j] = grad_h[j] * tanh_c * o * (1 - o);
        grad_before[j] = grad * f;
    }
}

TINYRNN_CLONES static void NAME(gru_forward)(const REAL *restrict gates_x, const REAL *restrict gates_h,
                                             const REAL *restrict h, REAL *restrict new_h, REAL *restrict gates,
                                             intptr_t H) {
    for (intptr_t j = 0; j < H; j++) {
        REAL hn = gates_h[2 * H + j];
        REAL r = SIGMOID(gates_x[j] + gates_h[j]);
        REAL z = SIGMOID(gates_x[H + j] + gates_h[H + j]);
        REAL n = TANH(gates_x[2 * H + j] + r * hn);
        gates[j] = r;
        gates[H + j] = z;
        gates[2 * H + j] = n;
        gates[3 * H + j] = hn;
        new_h[j] = (1 - z) * n + z * h[j];
    }
}

TINYRNN_CLONES static void NAME(gru_backward)(const REAL *restrict grad_h, const REAL *restrict h,
                                              const REAL *restrict gates, REAL *restrict grad_gates_x,
                                              REAL *restrict grad_gates_h, REAL *restrict grad_before, intptr_t H) {
    for (intptr_t j = 0; j < H; j++) {
        REAL r = gates[j], z = gates[H + j], n = gates[2 * H + j], hn = gates[3 * H + j];
        REAL grad_n = grad_h[j] * (1 - z) * (1 - n * n);
        REAL grad_z = grad_h[j] * (h[j] - n) * z * (1 - z);
        REAL grad_r = grad_n * hn * r * (1 - r);
        grad_gates_x[j] = grad_gates_h[j] = grad_r;
        grad_gates_x[H + j] = grad_gates_h[H + j] = grad_z;
        grad_gates_x[2 * H + j] = grad_n;
        grad_gates_h[2 * H + j] = grad_n * r;
        grad_before[j] = grad_h[j] * z;
    }
}

#endif
