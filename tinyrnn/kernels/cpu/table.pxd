"""cpp/table.h, for Cython: the C++ kernels, which come in tables, for each instruction set one per type of number."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from "table.h" nogil:
    enum:
        LAYER_NORM_PARTS, PARAMETER_CHUNK, SUM_PART
        NEG, EXP, LOG, ERF, TANH, SIGMOID, LOG_SIGMOID, RELU, SILU, GELU, GELU_TANH, UNARY_FUNCTIONS
        ADD, SUB, MUL, DIV, ARITHMETIC_FUNCTIONS
        ADD_SCALED, LERP, CLAMP, TANH_BACKWARD, SIGMOID_BACKWARD, LOG_SIGMOID_BACKWARD, RELU_BACKWARD, LEAKY_RELU
        LEAKY_RELU_BACKWARD, ELU, ELU_BACKWARD, SOFTPLUS, SOFTPLUS_BACKWARD, SILU_BACKWARD, GELU_BACKWARD, GELU_TANH_BACKWARD
        ELEMENTWISE_FUNCTIONS
        RNN_TANH_FORWARD, RNN_TANH_BACKWARD, RNN_RELU_FORWARD, RNN_RELU_BACKWARD
        LSTM_FORWARD, LSTM_BACKWARD, GRU_FORWARD, GRU_BACKWARD, CELL_STEPS

    struct Operand:
        const void* data
        long row, step

    struct CellProblem:
        long B, H
        const void* in_ "in"[5]
        long in_row[5]
        void* out[3]
        long out_row[3]

    struct RowsProblem:
        long rows, size
        const void* a
        const void* b
        void* out

    struct CrossEntropyProblem:
        long rows, classes
        const int64_t* target
        const void* weight
        int64_t ignore_index
        double smoothing
        const void* x
        void* losses
        void* log_probabilities
        const void* grad
        void* grad_x

    struct CtcProblem:
        long T, B, C, S
        const int64_t* targets
        const int64_t* input_lengths
        const int64_t* target_lengths
        long blank
        const void* log_probs
        void* losses
        const void* grad
        void* grad_log_probs
        long row
        double* memory
        long memory_each

    struct LayerNormProblem:
        long rows, size
        const void* x
        const void* weight
        const void* bias
        double eps
        void* y
        void* mean
        void* rstd
        const void* grad
        void* grad_x
        void* grad_weight
        void* grad_bias
        void* parts

    struct EmbeddingProblem:
        long count, V, E
        const int64_t* ids
        int64_t padding_idx
        const void* grad
        void* out

    struct DropoutProblem:
        long size
        const void* x
        void* y
        double p, scale
        uint64_t seed, call

    struct Parameter:
        long size
        void* param
        const void* grad
        void* state[3]

    struct SgdOptions:
        double lr, momentum, undamped, weight_decay
        int nesterov, maximize

    struct AdamOptions:
        double step_size, rest1, beta2, rest2, root_correction2, eps, weight_decay, shrink
        int maximize

    struct GemmProblem:
        long batch, M, N, K
        const void* a
        long a_batch, a_row, a_col
        const void* b
        long b_batch, b_row, b_col
        const void* init
        long init_batch, init_row
        void* c
        long c_batch, c_row

    enum RecurrentMode:
        RNN_TANH, RNN_RELU, LSTM, GRU, GRU_RESET_BEFORE

    struct SweepProblem:
        const void* weight_ih
        const void* weight_hh
        const void* bias_ih
        const void* bias_hh
        const void* weight_hr
        const void* peephole
        const void* norm_h_weight
        const void* norm_h_bias
        const void* norm_c_weight
        const void* norm_c_bias
        const void* recurrent_mask
        const void* zoneout_h
        const void* zoneout_c
        double zoneout_h_rate, zoneout_c_rate
        const void* h_0
        const void* c_0
        int reverse
        void* output
        long output_row
        void* h_n
        void* c_n
        void* cells
        void* gates
        void* hidden
        void* norm_h
        void* norm_h_scale
        void* norm_c
        void* norm_c_scale
        const void* grad_output
        long grad_output_row
        const void* grad_h_n
        const void* grad_c_n
        const void* grad_cells
        void* grad_h_0
        void* grad_c_0
        void* grad_weight_ih
        void* grad_weight_hh
        void* grad_bias_ih
        void* grad_bias_hh
        void* grad_weight_hr
        void* grad_peephole
        void* grad_norm_h_weight
        void* grad_norm_h_bias
        void* grad_norm_c_weight
        void* grad_norm_c_bias

    struct LayerProblem:
        RecurrentMode mode
        long T, B, I, H, P
        const long* batch_sizes
        const void* x
        long x_row
        void* grad_x
        int directions
        SweepProblem[2] sweep

    struct Kernels:
        double (*peak_rate)(double seconds, int threads) noexcept nogil
        void (*gemm)(const GemmProblem* problem, int threads) noexcept nogil
        int (*recurrent_forward)(const LayerProblem* layer, int threads) noexcept nogil
        int (*recurrent_backward)(const LayerProblem* layer, int threads) noexcept nogil
        void (*unary[UNARY_FUNCTIONS])(const void* x, void* y, long n, int threads) noexcept nogil
        void (*arithmetic[ARITHMETIC_FUNCTIONS])(
            const Operand* a, const Operand* b, void* y, long rows, long n, int threads
        ) noexcept nogil
        void (*elementwise[ELEMENTWISE_FUNCTIONS])(
            const void* a, const void* b, double p, double q, void* y, long n, int threads
        ) noexcept nogil
        void (*where)(
            const uint8_t* mask, const Operand* a, const Operand* b, void* y, long n, int threads
        ) noexcept nogil
        void (*sum_rows)(const void* x, void* out, double* parts, long rows, long n, int threads) noexcept nogil
        void (*sum_columns)(const void* x, void* out, long rows, long n, int threads) noexcept nogil
        void (*softmax_forward)(const RowsProblem* problem, int threads) noexcept nogil
        void (*softmax_backward)(const RowsProblem* problem, int threads) noexcept nogil
        void (*log_softmax_forward)(const RowsProblem* problem, int threads) noexcept nogil
        void (*log_softmax_backward)(const RowsProblem* problem, int threads) noexcept nogil
        void (*cross_entropy_forward)(const CrossEntropyProblem* problem, int threads) noexcept nogil
        void (*cross_entropy_backward)(const CrossEntropyProblem* problem, int threads) noexcept nogil
        void (*ctc_forward)(const CtcProblem* problem, int threads) noexcept nogil
        void (*ctc_backward)(const CtcProblem* problem, int threads) noexcept nogil
        void (*layer_norm_forward)(const LayerNormProblem* problem, int threads) noexcept nogil
        void (*layer_norm_backward)(const LayerNormProblem* problem, int threads) noexcept nogil
        void (*embedding_forward)(
            const void* table, const int64_t* ids, void* out, long count, long row_bytes, int threads
        ) noexcept nogil
        void (*embedding_backward)(const EmbeddingProblem* problem, int threads) noexcept nogil
        void (*dropout)(const DropoutProblem* problem, int threads) noexcept nogil
        void (*square_sums)(const Parameter* parameters, long count, double* sums, int threads) noexcept nogil
        void (*scale_inplace)(const Parameter* parameters, long count, double factor, int threads) noexcept nogil
        void (*sgd_step)(const Parameter* parameters, long count, const SgdOptions* options, int threads) noexcept nogil
        void (*adam_step)(const Parameter* parameters, long count, const AdamOptions* options, int threads) noexcept nogil
        void (*cell_step[CELL_STEPS])(const CellProblem* problem, int threads) noexcept nogil

    struct Table:
        const char* name
        const Kernels* of[2]

    const Table* const* available_tables()
    bint is_forked_child()
    bint built_with_openmp()
