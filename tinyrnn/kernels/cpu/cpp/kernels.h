/* All kernels for one instruction set, and their table. Included by the .cpp file of each, after it defined TINYRNN_ISA. */
#pragma once

#include "ctc.h"
#include "dropout.h"
#include "embedding.h"
#include "gemm.h"
#include "normalization.h"
#include "optimizers.h"
#include "peak.h"
#include "recurrent_backward.h"
#include "recurrent_cells.h"
#include "recurrent_forward.h"
#include "softmax.h"
#include "sums.h"
#include "table.h"

#define BOTH(kernel) {kernel<float>, kernel<double>}
#define BOTH_OF(kernel, function) {kernel<float, function>, kernel<double, function>}

namespace TINYRNN_ISA {

extern const Table table;
const Table table = {
    TINYRNN_ISA_NAME,
    VECTOR_BYTES,
    BOTH(peak_rate),
    BOTH(gemm),
    {BOTH_OF(unary, Neg), BOTH_OF(unary, Exponential), BOTH_OF(unary, TanhForward), BOTH_OF(unary, SigmoidForward),
     BOTH_OF(unary, ReluForward), BOTH_OF(unary, SiluForward)},
    {BOTH_OF(binary, Add), BOTH_OF(binary, Sub), BOTH_OF(binary, Mul), BOTH_OF(binary, Div), BOTH_OF(binary, TanhBackward),
     BOTH_OF(binary, SigmoidBackward), BOTH_OF(binary, ReluBackward), BOTH_OF(binary, SiluBackward)},
    BOTH(add_scaled),
    BOTH(clamp),
    BOTH(sum_rows),
    BOTH(softmax_forward),
    BOTH(softmax_backward),
    BOTH(log_softmax_forward),
    BOTH(log_softmax_backward),
    BOTH(cross_entropy_forward),
    BOTH(cross_entropy_backward),
    BOTH(ctc_forward),
    BOTH(ctc_backward),
    BOTH(layer_norm_forward),
    BOTH(layer_norm_backward),
    embedding_forward,
    BOTH(embedding_backward),
    BOTH(dropout),
    BOTH(square_sums),
    BOTH(scale_inplace),
    BOTH(sgd_step),
    BOTH(adam_step),
    {BOTH_OF(cell_step, RnnTanhForward), BOTH_OF(cell_step, RnnTanhBackward), BOTH_OF(cell_step, RnnReluForward),
     BOTH_OF(cell_step, RnnReluBackward), BOTH_OF(cell_step, LstmForward), BOTH_OF(cell_step, LstmBackward),
     BOTH_OF(cell_step, GruForward), BOTH_OF(cell_step, GruBackward)},
    BOTH(recurrent_forward),
    BOTH(recurrent_backward),
};

} // namespace TINYRNN_ISA
