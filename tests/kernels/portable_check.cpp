/* Compares the kernels for arm64 with plain loops; test_portable.py builds it for arm64 and runs it in an emulator. */
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double buffer[9][40000];

static double number(long i) {
    return ((i * 7919) % 2003) / 1001.0 - 1;
}

template <typename T> static T *filled(int which, long count, double scale) {
    T *array = (T *)buffer[which];
    for (long i = 0; i < count; i++)
        array[i] = (T)(scale * number(i + 31 * which));
    return array;
}

template <typename T> static bool near(T got, double expected) {
    return fabs(got - expected) <= (sizeof(T) == 4 ? 3e-5 : 1e-12) * (1 + fabs(expected));
}

static int failures = 0;

static void expect(bool right, const char *what, long a, long b, long c) {
    if (!right)
        failures++, printf("%s of %ld, %ld, %ld is wrong\n", what, a, b, c);
}

template <typename T> static void check_gemm(const Table *table, long M, long N, long K, bool transposed) {
    const T *a = filled<T>(0, M * K, 1), *b = filled<T>(1, K * N, 1), *init = filled<T>(2, N, 1);
    T *c = filled<T>(3, M * N, 1);
    GemmProblem problem = {};
    problem.batch = 1, problem.M = M, problem.N = N, problem.K = K;
    problem.a = a, problem.a_row = transposed ? 1 : K, problem.a_col = transposed ? M : 1;
    problem.b = b, problem.b_row = transposed ? 1 : N, problem.b_col = transposed ? K : 1;
    problem.init = init, problem.c = c, problem.c_row = N;
    table->of[sizeof(T) == 8]->gemm(&problem, 2);
    bool right = true;
    for (long m = 0; m < M; m++)
        for (long n = 0; n < N; n++) {
            double sum = init[n];
            for (long k = 0; k < K; k++)
                sum += (double)a[m * problem.a_row + k * problem.a_col] * b[k * problem.b_row + n * problem.b_col];
            right = right && near(c[m * N + n], sum);
        }
    expect(right, "gemm", M, N, K);
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* An LSTM over T steps of B sequences. */
template <typename T> static void check_lstm(const Table *table, long steps, long B, long I, long H) {
    const T *x = filled<T>(0, steps * B * I, 1), *weight_ih = filled<T>(1, 4 * H * I, 0.5), *bias = filled<T>(3, 4 * H, 1);
    const T *weight_hh = filled<T>(2, 4 * H * H, 0.5), *h_0 = filled<T>(4, B * H, 1), *c_0 = filled<T>(5, B * H, 1);
    long batch_sizes[64];
    for (long t = 0; t < steps; t++)
        batch_sizes[t] = B;
    LayerProblem layer = {};
    layer.mode = LSTM, layer.T = steps, layer.B = B, layer.I = I, layer.H = layer.P = H;
    layer.batch_sizes = batch_sizes, layer.x = x, layer.x_row = I, layer.directions = 1;
    SweepProblem &sweep = layer.sweep[0];
    sweep.weight_ih = weight_ih, sweep.weight_hh = weight_hh, sweep.bias_ih = bias, sweep.bias_hh = bias;
    sweep.h_0 = h_0, sweep.c_0 = c_0;
    T *output = (T *)buffer[6], *h_n = (T *)buffer[7], *c_n = (T *)buffer[8];
    sweep.output = output, sweep.output_row = H, sweep.h_n = h_n, sweep.c_n = c_n;
    bool right = table->of[sizeof(T) == 8]->recurrent_forward(&layer, 2) == 0;
    for (long b = 0; b < B; b++) {
        double h[64], c[64], gates[256];
        for (long j = 0; j < H; j++)
            h[j] = h_0[b * H + j], c[j] = c_0[b * H + j];
        for (long t = 0; t < steps; t++) {
            for (long g = 0; g < 4 * H; g++) {
                gates[g] = 2.0 * bias[g];
                for (long i = 0; i < I; i++)
                    gates[g] += (double)weight_ih[g * I + i] * x[(t * B + b) * I + i];
                for (long j = 0; j < H; j++)
                    gates[g] += (double)weight_hh[g * H + j] * h[j];
            }
            for (long j = 0; j < H; j++) {
                c[j] = sigmoid(gates[H + j]) * c[j] + sigmoid(gates[j]) * tanh(gates[2 * H + j]);
                h[j] = sigmoid(gates[3 * H + j]) * tanh(c[j]);
                right = right && near(output[(t * B + b) * H + j], h[j]);
            }
        }
        for (long j = 0; j < H; j++)
            right = right && near(h_n[b * H + j], h[j]) && near(c_n[b * H + j], c[j]);
    }
    expect(right, "lstm", B, I, H);
}

template <typename T> static void check_tanh(const Table *table, long n) {
    const T *x = filled<T>(0, n, 12);
    T *y = filled<T>(1, n, 1);
    table->of[sizeof(T) == 8]->unary[TANH](x, y, n, 2);
    bool right = true;
    for (long i = 0; i < n; i++)
        right = right && near(y[i], tanh((double)x[i]));
    expect(right, "tanh", n, 0, 0);
}

template <typename T> static void check_all(const Table *table) {
    const long sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {13, 17, 9}, {64, 48, 33}, {1, 100, 64}, {37, 1, 20}, {96, 70, 65}};
    for (const long *size : sizes)
        for (int transposed = 0; transposed < 2; transposed++)
            check_gemm<T>(table, size[0], size[1], size[2], transposed);
    const long layers[][4] = {{1, 1, 1, 1}, {5, 1, 7, 13}, {4, 3, 5, 32}, {6, 9, 12, 50}};
    for (const long *layer : layers)
        check_lstm<T>(table, layer[0], layer[1], layer[2], layer[3]);
    for (long n = 1; n < 20; n += 3)
        check_tanh<T>(table, n);
    check_tanh<T>(table, 40000);
}

int main() {
    const Table *table = available_tables()[0];
    check_all<float>(table);
    check_all<double>(table);
    printf("%s: %d failures\n", table->name, failures);
    return failures != 0;
}
