/* What the C++ kernels offer to Cython: tables of function pointers, for each instruction set one for float and one for double.

   void* are arrays of that type. Sizes and strides are in elements. `threads` is the most threads that may be used. table.pxd
   says the same to Cython. */
#pragma once

#include <stdint.h>

#undef I /* complex.h's, which Cython's C files include */

/* C (M, N) = init + A (M, K) B (K, N), `batch` times. Strides are free, but the columns of init and C are contiguous.
   init: C itself to add to what is there; another matrix, or one row for all with init_row 0; nullptr is 0. */
struct GemmProblem {
    long batch, M, N, K;
    const void *a;
    long a_batch, a_row, a_col;
    const void *b;
    long b_batch, b_row, b_col;
    const void *init;
    long init_batch, init_row;
    void *c;
    long c_batch, c_row;
};

/* Functions of every element, in the order of the tables of kernels.h: of one array; of two operands; of one or two arrays and
   up to two numbers. */
enum Unary { NEG, EXP, LOG, ERF, TANH, SIGMOID, LOG_SIGMOID, RELU, SILU, GELU, GELU_TANH, UNARY_FUNCTIONS };
enum Arithmetic { ADD, SUB, MUL, DIV, ARITHMETIC_FUNCTIONS };
enum Elementwise {
    ADD_SCALED, LERP, CLAMP, TANH_BACKWARD, SIGMOID_BACKWARD, LOG_SIGMOID_BACKWARD, RELU_BACKWARD, LEAKY_RELU,
    LEAKY_RELU_BACKWARD, ELU, ELU_BACKWARD, SOFTPLUS, SOFTPLUS_BACKWARD, SILU_BACKWARD, GELU_BACKWARD, GELU_TANH_BACKWARD,
    ELEMENTWISE_FUNCTIONS
};

/* Rows of numbers, `row` elements from one to the next. step 1: of as many as the result has; 0: of one, for the whole row. */
struct Operand {
    const void *data;
    long row, step;
};

enum { SUM_PART = 4096 };

/* (rows, size) matrices. forward: a is x; backward: a is the gradient and b the output. */
struct RowsProblem {
    long rows, size;
    const void *a, *b;
    void *out;
};

struct CrossEntropyProblem {
    long rows, classes;
    const int64_t *target; /* (rows) */
    const void *weight;    /* (classes), or nullptr */
    int64_t ignore_index;
    double smoothing;
    const void *x;                   /* (rows, classes): forward reads it, and writes */
    void *losses, *log_probabilities; /* (rows), (rows, classes) */
    const void *grad;                /* (rows): backward reads it, and writes */
    void *grad_x;                    /* (rows, classes) */
};

struct CtcProblem {
    long T, B, C, S;
    const int64_t *targets;                        /* (B, S) */
    const int64_t *input_lengths, *target_lengths; /* (B) */
    long blank;
    const void *log_probs; /* (T, B, C) */
    void *losses;          /* (B): forward writes them */
    const void *grad;      /* (B): backward reads it, and writes */
    void *grad_log_probs;  /* (T, B, C) */
    long row;              /* 2 S + 3 doubles: of every state, and two more */
    double *memory;        /* of every thread, memory_each doubles: 7 rows forward, T + 6 backward */
    long memory_each;
};

/* The most parts in which the gradients of weight and bias are summed. */
enum { LAYER_NORM_PARTS = 64 };

struct LayerNormProblem {
    long rows, size;
    const void *x, *weight, *bias; /* (rows, size), and (size) or nullptr */
    double eps;
    void *y, *mean, *rstd; /* (rows, size), (rows), (rows): forward writes them, and backward reads the latter two */
    const void *grad;      /* (rows, size) */
    void *grad_x, *grad_weight, *grad_bias, *parts; /* (rows, size), (size), (size), and room for 2 LAYER_NORM_PARTS rows */
};

struct EmbeddingProblem {
    long count, V, E;
    const int64_t *ids; /* (count) */
    int64_t padding_idx; /* -1: none */
    const void *grad;   /* (count, E) */
    void *out;          /* (V, E) */
};

/* y = x times `scale` with probability 1 - p, else times 0; x may be nullptr, for ones. */
struct DropoutProblem {
    long size;
    const void *x;
    void *y;
    double p, scale;
    uint64_t seed, call;
};

/* Sums over parameters are taken in chunks of so many elements, whatever the number of threads. */
enum { PARAMETER_CHUNK = 4096 };

/* state: SGD's momentum buffer; Adam's means of the gradient, of its square, and the largest of the latter; or nullptr. */
struct Parameter {
    long size;
    void *param;
    const void *grad;
    void *state[3];
};

struct SgdOptions {
    double lr, momentum, undamped, weight_decay;
    int nesterov, maximize;
};

/* step_size and root_correction2 hold the corrections of the bias; rest is 1 - beta; shrink: the decoupled weight decay. */
struct AdamOptions {
    double step_size, rest1, beta2, rest2, root_correction2, eps, weight_decay, shrink;
    int maximize;
};

/* One step of a recurrent cell, pointwise. */
enum CellStep {
    RNN_TANH_FORWARD, RNN_TANH_BACKWARD, RNN_RELU_FORWARD, RNN_RELU_BACKWARD,
    LSTM_FORWARD, LSTM_BACKWARD, GRU_FORWARD, GRU_BACKWARD, CELL_STEPS
};

/* Arguments and results as in interface.py; *_row: bytes from row to row. */
struct CellProblem {
    long B, H;
    const void *in[5];
    long in_row[5];
    void *out[3];
    long out_row[3];
};

enum RecurrentMode { RNN_TANH, RNN_RELU, LSTM, GRU, GRU_RESET_BEFORE };

/* One direction of a recurrent layer: kernels/sweeps.py says what everything is. Matrices are contiguous but for those that
   come with a *_row, from row to row. G gates: 1, 4 (i f g o) or 3 (r z n). P = H without a projection. A pointer to what is
   not there is nullptr. N rows are packed: those of step t are the first batch_sizes[t] sequences. */
struct SweepProblem {
    const void *weight_ih;               /* (G H, I); nullptr: x has the projections, (N, G H) */
    const void *weight_hh;               /* (G H, P) */
    const void *bias_ih, *bias_hh;       /* (G H) */
    const void *weight_hr;               /* (P, H) */
    const void *peephole;                /* (3, H) */
    const void *norm_h_weight, *norm_h_bias, *norm_c_weight, *norm_c_bias; /* (G H) twice, (H) twice */
    const void *recurrent_mask;          /* (B, P) */
    const void *zoneout_h, *zoneout_c;   /* (N, P), (N, H); nullptr: the same for all, */
    double zoneout_h_rate, zoneout_c_rate; /* these */
    const void *h_0, *c_0;               /* (B, P), (B, H) */
    int reverse;

    void *output; /* (N, P); forward writes from here on */
    long output_row;
    void *h_n, *c_n;
    /* what backward needs; nullptr: nothing is saved */
    void *cells;  /* (N, H) */
    void *gates;  /* (N, 4 H), GRU: r z n hn; GRU_RESET_BEFORE: (N, 3 H) */
    void *hidden; /* (N, H): o tanh(c), with a projection; h before zoneout, of an RNN with it */
    void *norm_h, *norm_h_scale; /* (N, G H), (N, 1 or 2): normalised products with W_hh, and 1 / their deviation */
    void *norm_c, *norm_c_scale; /* (N, H), (N) */

    const void *grad_output; /* (N, P) */
    long grad_output_row;
    const void *grad_h_n, *grad_c_n, *grad_cells;
    void *grad_h_0, *grad_c_0; /* backward writes from here on */
    void *grad_weight_ih, *grad_weight_hh, *grad_bias_ih, *grad_bias_hh, *grad_weight_hr, *grad_peephole;
    void *grad_norm_h_weight, *grad_norm_h_bias, *grad_norm_c_weight, *grad_norm_c_bias;
};

struct LayerProblem {
    enum RecurrentMode mode;
    long T, B, I, H, P;
    const long *batch_sizes; /* (T), falling, none 0 */
    const void *x;           /* (N, I), or (N, G H) */
    long x_row;
    void *grad_x; /* like x, contiguous; nullptr: not wanted */
    int directions;
    struct SweepProblem sweep[2];
};

/* The kernels for one type of number. */
struct Kernels {
    /* Runs independent fused multiply-adds for about `seconds` and returns floating-point operations per second. */
    double (*peak_rate)(double seconds, int threads);
    void (*gemm)(const struct GemmProblem *problem, int threads);
    void (*unary[UNARY_FUNCTIONS])(const void *x, void *y, long n, int threads);
    /* y: (rows, n) */
    void (*arithmetic[ARITHMETIC_FUNCTIONS])(const struct Operand *a, const struct Operand *b, void *y, long rows, long n, int threads);
    void (*elementwise[ELEMENTWISE_FUNCTIONS])(const void *a, const void *b, double p, double q, void *y, long n, int threads);
    /* rows of operands are not looked at */
    void (*where)(const uint8_t *mask, const struct Operand *a, const struct Operand *b, void *y, long n, int threads);
    /* parts: rows times the parts of SUM_PART elements in n */
    void (*sum_rows)(const void *x, void *out, double *parts, long rows, long n, int threads);
    void (*sum_columns)(const void *x, void *out, long rows, long n, int threads);
    void (*softmax_forward)(const struct RowsProblem *problem, int threads);
    void (*softmax_backward)(const struct RowsProblem *problem, int threads);
    void (*log_softmax_forward)(const struct RowsProblem *problem, int threads);
    void (*log_softmax_backward)(const struct RowsProblem *problem, int threads);
    void (*cross_entropy_forward)(const struct CrossEntropyProblem *problem, int threads);
    void (*cross_entropy_backward)(const struct CrossEntropyProblem *problem, int threads);
    void (*ctc_forward)(const struct CtcProblem *problem, int threads);
    void (*ctc_backward)(const struct CtcProblem *problem, int threads);
    void (*layer_norm_forward)(const struct LayerNormProblem *problem, int threads);
    void (*layer_norm_backward)(const struct LayerNormProblem *problem, int threads);
    void (*embedding_forward)(const void *table, const int64_t *ids, void *out, long count, long row_bytes, int threads);
    void (*embedding_backward)(const struct EmbeddingProblem *problem, int threads);
    void (*dropout)(const struct DropoutProblem *problem, int threads);
    /* sums: one number for each chunk of every parameter */
    void (*square_sums)(const struct Parameter *parameters, long count, double *sums, int threads);
    void (*scale_inplace)(const struct Parameter *parameters, long count, double factor, int threads);
    void (*sgd_step)(const struct Parameter *parameters, long count, const struct SgdOptions *options, int threads);
    void (*adam_step)(const struct Parameter *parameters, long count, const struct AdamOptions *options, int threads);
    void (*cell_step[CELL_STEPS])(const struct CellProblem *problem, int threads);
    /* 0, or 1 if there is no memory. */
    int (*recurrent_forward)(const struct LayerProblem *layer, int threads);
    int (*recurrent_backward)(const struct LayerProblem *layer, int threads);
};

/* Those of one instruction set: x86-64-v4, ... */
struct Table {
    const char *name;
    const struct Kernels *of[2]; /* for float, and for double */
};

/* The tables of this build that this processor can run, the best first; the list ends with nullptr. */
const struct Table *const *available_tables();

/* 1 in a process that was forked from one that had asked for its tables: OpenMP's threads do not survive a fork. */
int is_forked_child();

/* 1 if the kernels were built with OpenMP; without it they run on one thread. */
int built_with_openmp();
