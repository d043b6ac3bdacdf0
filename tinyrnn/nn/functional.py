"""The ops that layers are made of, under the names of ``torch.nn.functional``.

``inplace=True`` writes the result over the input, which keeps PyTorch's meaning but saves no memory here.
"""

from __future__ import annotations

import warnings
from typing import Any

from tinyrnn import _lazy
from tinyrnn.grad_modes import no_grad
from tinyrnn.ops import activations, autocasting, elementary, rectifiers
from tinyrnn.ops import dropout as dropout_ops
from tinyrnn.ops import softmax as softmaxes
from tinyrnn.ops.activations import sigmoid, tanh
from tinyrnn.ops.attention import scaled_dot_product_attention
from tinyrnn.ops.ctc import ctc_loss
from tinyrnn.ops.embedding import embedding, one_hot
from tinyrnn.ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    gaussian_nll_loss,
    huber_loss,
    l1_loss,
    mse_loss,
    nll_loss,
    old_reductions,
    smooth_l1_loss,
)
from tinyrnn.ops.normalization import layer_norm
from tinyrnn.ops.padding import pad
from tinyrnn.ops.products import linear
from tinyrnn.ops.rectifiers import gelu, logsigmoid, softplus
from tinyrnn.ops.selection import where
from tinyrnn.ops.shaping import clone
from tinyrnn.ops.similarity import (
    cosine_embedding_loss,
    cosine_similarity,
    margin_ranking_loss,
    normalize,
    pairwise_distance,
    triplet_margin_loss,
)

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "elu",
    "embedding",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hardsigmoid",
    "hardtanh",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "margin_ranking_loss",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "prelu",
    "relu",
    "scaled_dot_product_attention",
    "relu6",
    "relu_",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "triplet_margin_loss",
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


def relu_(input: Any) -> Any:
    """`relu`, written over the input."""
    return input.relu_()


def silu(input: Any, inplace: bool = False) -> Any:
    """x sigmoid(x), element by element."""
    return _apply(rectifiers.silu, input, inplace)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """x where x > 0, else negative_slope x."""
    return _apply(rectifiers.leaky_relu, input, inplace, negative_slope)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where x > 0, else alpha (exp(x) - 1)."""
    return _apply(rectifiers.elu, input, inplace, alpha)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """x clamped to [min_val, max_val]."""
    return _apply(rectifiers.hardtanh, input, inplace, min_val, max_val)


def relu6(input: Any, inplace: bool = False) -> Any:
    """x clamped to [0, 6]."""
    return hardtanh(input, 0.0, 6.0, inplace)


def selu(input: Any, inplace: bool = False) -> Any:
    """1.0507 x where x > 0, else 1.7581 (exp(x) - 1): keeps mean 0 and variance 1 (Klambauer et al. 2017)."""
    return _apply(lambda x: rectifiers.elu(x, 1.6732632423543772) * 1.0507009873554805, input, inplace)


def prelu(input: Any, weight: Any) -> Any:
    """x where x > 0, else weight x; `weight` has one element, or one per size of dimension 1 (He et al. 2015)."""
    if autocasting.regions:
        input, weight = autocasting.prepared("prelu", (input, weight))
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() not in (1, channels):
        raise RuntimeError(f"prelu: expected a weight of 1 or {channels} elements, got {weight.numel()}")
    shape = [weight.numel() if axis == 1 else 1 for axis in range(input.ndim)]
    return where(input > 0, input, weight.reshape(shape) * input)


def glu(input: Any, dim: int = -1) -> Any:
    """The first half along `dim` times the sigmoid of the second: a gated linear unit (Dauphin et al. 2017)."""
    if input.shape[dim] % 2:
        raise RuntimeError(f"glu: halving dimension must be even, but dimension {dim} is size {input.shape[dim]}")
    values, gates = input.chunk(2, dim)
    return values * sigmoid(gates)


def softsign(input: Any) -> Any:
    """x / (1 + abs(x)), element by element."""
    return input / (1 + elementary.abs(input))


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """x / 6 + 1/2, clamped to [0, 1]."""
    return _apply(lambda x: rectifiers.hardtanh(x + 3, 0.0, 6.0) / 6, input, inplace)


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """``exp(input) / sum(exp(input))`` along `dim`; see `tinyrnn.softmax`.

    Without `dim`, as in old programs, PyTorch's guess with its warning: dimension 0 of 0, 1 or 3, else 1.
    """
    return softmaxes.softmax(input, _chosen("softmax", input, dim, _stacklevel), dtype)


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """``log(softmax(input, dim))``; `dim` as there."""
    return softmaxes.log_softmax(input, _chosen("log_softmax", input, dim, _stacklevel), dtype)


def _chosen(name: str, input: Any, dim: int | None, stacklevel: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return implicit_dim(input.ndim)


def implicit_dim(ndim: int) -> int:
    """The dimension that PyTorch guesses where none was given."""
    return 0 if ndim in (0, 1, 3) else 1


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, *, dim: int = -1) -> Any:
    """A sample from the categorical distribution of `logits` over `dim`, relaxed so that it has a gradient (Jang et al. 2017).

    Parameters
    ----------
    tau : the temperature of the softmax: the smaller, the closer to one-hot vectors.
    hard : return one-hot vectors, with the gradient of the relaxed ones.
    """
    with no_grad():
        noise = -logits.new_empty(logits.shape).exponential_().log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    with no_grad():
        chosen = logits.new_zeros(logits.shape).scatter_(dim, soft.argmax(dim, True), 1.0)
    return chosen - soft.detach() + soft


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """In training, zero each element with probability `p` and multiply the others by 1 / (1 - p); else the input.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
    """
    if inplace and not training:
        return input
    return _apply(dropout_ops.dropout, input, inplace, p, training)


@old_reductions
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
