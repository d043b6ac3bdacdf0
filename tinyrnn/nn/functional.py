"""The ops that layers are made of, under the names of ``torch.nn.functional``.

``inplace=True`` writes the result over the input, which keeps PyTorch's meaning but saves no memory here.
"""

from __future__ import annotations

from typing import Any

from tinyrnn import _lazy
from tinyrnn.ops import activations, elementary
from tinyrnn.ops import dropout as dropout_ops
from tinyrnn.ops.activations import gelu, logsigmoid, sigmoid, softplus, tanh
from tinyrnn.ops.attention import scaled_dot_product_attention
from tinyrnn.ops.ctc import ctc_loss
from tinyrnn.ops.embedding import embedding, one_hot
from tinyrnn.ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from tinyrnn.ops.normalization import layer_norm
from tinyrnn.ops.padding import pad
from tinyrnn.ops.products import linear
from tinyrnn.ops.selection import where
from tinyrnn.ops.shaping import clone
from tinyrnn.ops.softmax import log_softmax, softmax

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "hardtanh",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "tanh",
]

__getattr__ = _lazy.answering(__name__)


def _apply(op: Any, input: Any, inplace: bool, *options: Any) -> Any:
    """``op(input, *options)``, written over `input` if `inplace`: the op then saves a copy for its backward."""
    if not inplace:
        return op(input, *options)
    return input.copy_(op(clone(input), *options))


def relu(input: Any, inplace: bool = False) -> Any:
    """max(x, 0), element by element."""
    return _apply(activations.relu, input, inplace)


def silu(input: Any, inplace: bool = False) -> Any:
    """x sigmoid(x), element by element."""
    return _apply(activations.silu, input, inplace)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """x where x > 0, else negative_slope x."""
    return _apply(activations.leaky_relu, input, inplace, negative_slope)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where x > 0, else alpha (exp(x) - 1)."""
    return _apply(activations.elu, input, inplace, alpha)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """x clamped to [min_val, max_val]."""
    return _apply(activations.hardtanh, input, inplace, min_val, max_val)


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """In training, zero each element with probability `p` and multiply the others by 1 / (1 - p); else the input.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
    """
    if inplace and not training:
        return input
    return _apply(dropout_ops.dropout, input, inplace, p, training)


def kl_div(input: Any, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Any:
    """Kullback-Leibler divergence, element by element: target (log target - input).

    Parameters
    ----------
    input : log-probabilities, any shape.
    target : probabilities, or with `log_target` their logarithms; a probability of 0 contributes 0.
    reduction : "batchmean" (the sum over the size of the first dimension), "mean", "sum" or "none"
        Only "batchmean" is the divergence of its definition.
    """
    if reduction not in ("batchmean", "mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction; expected 'batchmean', 'mean', 'sum' or 'none'")
    if log_target:
        each = elementary.exp(target) * (target - input)
    else:
        # the inner where keeps the logarithm's gradient at 0 from becoming NaN
        positive = target > 0
        each = where(positive, target * elementary.log(where(positive, target, 1.0)), 0.0) - target * input
    if reduction == "none":
        return each
    if reduction == "mean":
        return each.mean()
    return each.sum() if reduction == "sum" else each.sum() / input.shape[0]
