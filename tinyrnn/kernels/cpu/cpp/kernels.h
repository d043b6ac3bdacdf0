/* All kernels for one instruction set and type of number, and their table. Included by the .cpp file of each, after it defined
   TINYRNN_ISA and REAL. */
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

namespace TINYRNN_ISA {

extern const Kernels kernels;
const Kernels kernels = {
    peak_rate<REAL>,
    gemm<REAL>,
    {unary<REAL, Neg>, unary<REAL, Exponential>, unary<REAL, Logarithm>, unary<REAL, ErrorFunction>,
     unary<REAL, TanhForward>, unary<REAL, SigmoidForward>, unary<REAL, LogSigmoidForward>, unary<REAL, ReluForward>,
     unary<REAL, SiluForward>, unary<REAL, GeluForward>, unary<REAL, GeluTanhForward>},
    {binary<REAL, Add>, binary<REAL, Sub>, binary<REAL, Mul>, binary<REAL, Div>, binary<REAL, TanhBackward>,
     binary<REAL, SigmoidBackward>, binary<REAL, LogSigmoidBackward>, binary<REAL, ReluBackward>,
     binary<REAL, LeakyReluForward>, binary<REAL, EluForward>, binary<REAL, SiluBackward>, binary<REAL, GeluBackward>,
     binary<REAL, GeluTanhBackward>},
    {with_numbers<REAL, AddScaled>, with_numbers<REAL, Lerp>, with_numbers<REAL, Clamp>,
     with_numbers<REAL, LeakyReluBackward>, with_numbers<REAL, EluBackward>, with_numbers<REAL, SoftplusForward>,
     with_numbers<REAL, SoftplusBackward>},
    sum_rows<REAL>,
    softmax_forward<REAL>,
    softmax_backward<REAL>,
    log_softmax_forward<REAL>,
    log_softmax_backward<REAL>,
    cross_entropy_forward<REAL>,
    cross_entropy_backward<REAL>,
    ctc_forward<REAL>,
    ctc_backward<REAL>,
    layer_norm_forward<REAL>,
    layer_norm_backward<REAL>,
    embedding_forward,
    embedding_backward<REAL>,
    dropout<REAL>,
    square_sums<REAL>,
    scale_inplace<REAL>,
    sgd_step<REAL>,
    adam_step<REAL>,
    {cell_step<REAL, RnnTanhForward>, cell_step<REAL, RnnTanhBackward>, cell_step<REAL, RnnReluForward>,
     cell_step<REAL, RnnReluBackward>, cell_step<REAL, LstmForward>, cell_step<REAL, LstmBackward>,
     cell_step<REAL, GruForward>, cell_step<REAL, GruBackward>},
    recurrent_forward<REAL>,
    recurrent_backward<REAL>,
};

} // namespace TINYRNN_ISA
