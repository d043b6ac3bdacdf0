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
    {arithmetic<REAL, Add>, arithmetic<REAL, Sub>, arithmetic<REAL, Mul>, arithmetic<REAL, Div>},
    {elementwise<REAL, AddScaled>, elementwise<REAL, Lerp>, elementwise<REAL, Clamp>, elementwise<REAL, TanhBackward>,
     elementwise<REAL, SigmoidBackward>, elementwise<REAL, LogSigmoidBackward>, elementwise<REAL, ReluBackward>,
     elementwise<REAL, LeakyReluForward>, elementwise<REAL, LeakyReluBackward>, elementwise<REAL, EluForward>,
     elementwise<REAL, EluBackward>, elementwise<REAL, SoftplusForward>, elementwise<REAL, SoftplusBackward>,
     elementwise<REAL, SiluBackward>, elementwise<REAL, GeluBackward>, elementwise<REAL, GeluTanhBackward>},
    where<REAL>,
    sum_rows<REAL>,
    sum_columns<REAL>,
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
