"""Losses: cross-entropy, negative log-likelihood, squared, absolute and smooth absolute error, binary cross-entropy.

PyTorch's deprecated `size_average` and `reduce` are taken by name, as is what stands after them.
"""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import TensorBase, as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.kernels.narrow import widened
from tinyrnn.ops import arithmetic, autocasting, elementary, rectifiers
from tinyrnn.ops.arithmetic import add, mul, neg, sub
from tinyrnn.ops.broadcasting import operands
from tinyrnn.ops.casting import array, quiet_in_16_bits
from tinyrnn.ops.embedding import check_ids
from tinyrnn.ops.extremes import pick
from tinyrnn.ops.reductions import mean, spread
from tinyrnn.ops.reductions import sum as sum_along
from tinyrnn.ops.selection import keep_where
from tinyrnn.ops.shaping import movedim, reshape
from tinyrnn.ops.softmax import log_softmax, log_softmax_backward
from tinyrnn.ops.transfer import beside, require_one_device

# ---- reduction -----------------------------------------------------------------------------------------------------


def check_reduction(reduction):
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction; expected 'mean', 'sum' or 'none'")


def old_reductions(loss):
    """Let a loss, or the constructor of one, take `size_average` and `reduce` for `reduction`, as old programs do."""

    @functools.wraps(loss)
    def call(*args, size_average=None, reduce=None, **kwargs):
        if size_average is not None or reduce is not None:
            meant = "none" if reduce is False else "sum" if size_average is False else "mean"
            warnings.warn(
                f"size_average and reduce args will be deprecated, please use reduction='{meant}' instead.", stacklevel=2
            )
            kwargs["reduction"] = meant
        if autocasting.regions:
            args, kwargs = autocasting.prepared(loss.__name__, (args, kwargs))
        return loss(*args, **kwargs)

    return call


def reduce(losses, reduction, total=None):
    """The mean (over `total`, by default the number of losses), the sum, or the losses themselves."""
    check_reduction(reduction)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return sum_along(losses)
    if total is None:
        return mean(losses)
    return arithmetic.div(sum_along(losses), total)  # 0 / 0 if every target is ignored


# ---- classification ------------------------------------------------------------------------------------------------


@old_reductions
def cross_entropy(input, target, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """The negative log-probability, under ``softmax(input)``, of the target class.

    Parameters
    ----------
    input : unnormalized scores (C,), (N, C) or (N, C, d1, ...), C the number of classes.
    target : class indices of shape (), (N,) or (N, d1, ...), or class probabilities (float) of the shape of `input`.
    weight : (C,), a factor for each class, or None.
    ignore_index : a target for which loss and gradient are zero, and which does not count in the mean.
    reduction : "mean" (over the weights of the targets), "sum" or "none" (the shape of the index targets).
    label_smoothing : the share, 0 to 1, of the target probability that is spread evenly over all classes.

    The mean is NaN if every target is ignored.

    Raises
    ------
    IndexError
        If a target is not a class.
    ValueError, RuntimeError
        If shapes or dtypes do not fit together.
    """
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    x = array(input)
    axis = _class_axis("cross_entropy", x)
    weight = _class_weight(weight, x, axis)
    if array(target).dtype.kind in dtypes.FLOATS:
        return _cross_entropy_of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing, axis)
    goal = _class_indices("cross_entropy", x, target, axis, ignore_index)
    rows = input if x.ndim == 2 else reshape(movedim(input, axis, -1), (goal.size, x.shape[axis]))
    options = (goal.flatten(), weight, ignore_index, label_smoothing)  # a copy: the caller's may change before backward
    results = backend(x).cross_entropy_forward(_contiguous(array(rows)), *options)
    losses, _ = record(cross_entropy_backward, (rows,), results, (results[1], *options))
    losses = losses if goal.ndim == 1 else reshape(losses, goal.shape)
    return reduce(losses, reduction, _weight_of(goal, weight, ignore_index))


def cross_entropy_backward(node, g, g_log_probabilities, log_probabilities, goal, weight, ignore_index, smoothing):
    """Of the losses, and of the log-probabilities, which only a backward through this backward makes use of."""
    result = None
    if g is not None and not isinstance(g, TensorBase):
        options = (goal, weight, ignore_index, smoothing)
        result = backend(g).cross_entropy_backward(_contiguous(g), log_probabilities, *options)
    elif g is not None:
        aims = _aims(array(log_probabilities), goal, weight, ignore_index, smoothing)
        shape = aims.shape
        slope = sub(mul(elementary.exp(log_probabilities), sum_along(aims, 1, keepdim=True)), aims)
        result = mul(spread(g, shape, (1,)), keep_where(np.broadcast_to((goal != ignore_index)[:, None], shape), slope))
    if g_log_probabilities is None:
        return result
    other = log_softmax_backward(node, g_log_probabilities, log_probabilities, 1)
    return other if result is None else add(result, other)


def _contiguous(data):
    """The array with its elements side by side, as compiled kernels want it; a mean's gradient is one number, repeated."""
    return data if data.flags.c_contiguous else data.copy()


def _aims(like, goal, weight, ignore_index, label_smoothing):
    """What each log-probability counts for in its row's loss: the smoothed, weighted one-hot target."""
    kept = goal != ignore_index
    one_hot = np.zeros_like(like)
    np.put_along_axis(one_hot, np.where(kept, goal, 0)[:, None], 1, 1)
    aims = (1 - label_smoothing) * one_hot + like.dtype.type(label_smoothing / like.shape[1])
    return ((aims if weight is None else aims * weight) * kept[:, None]).astype(like.dtype, copy=False)


def _cross_entropy_of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing, axis):
    shape = array(input).shape
    if array(target).shape != shape:
        raise RuntimeError(
            f"cross_entropy: float targets are class probabilities and need the shape of the input {shape}, got "
            f"{array(target).shape}; for class indices convert them with .long()"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    if label_smoothing:
        target = add(mul(target, 1 - label_smoothing), label_smoothing / shape[axis])
    if weight is not None:
        target = mul(target, weight.reshape([-1 if i == axis else 1 for i in range(len(shape))]))
    losses = neg(sum_along(mul(log_softmax(input, axis), target), axis))
    return reduce(losses, reduction, array(losses).size)


@old_reductions
def nll_loss(input, target, weight=None, *, ignore_index=-100, reduction="mean"):
    """The negative of the log-probabilities `input` at the target classes; `cross_entropy` after its log_softmax.

    Shapes, parameters and errors are those of `cross_entropy` with class indices.
    """
    check_reduction(reduction)
    x = array(input)
    axis = _class_axis("nll_loss", x)
    weight = _class_weight(weight, x, axis)
    goal = _class_indices("nll_loss", x, target, axis, ignore_index)
    kept = goal != ignore_index
    safe = np.where(kept, goal, 0)
    losses = neg(keep_where(kept, pick(input, np.expand_dims(safe, axis), axis, goal.shape)))
    if weight is not None:
        losses = mul(losses, weight[safe])
    return reduce(losses, reduction, _weight_of(goal, weight, ignore_index))


def _class_axis(name, x):
    if x.ndim == 0 or x.dtype.kind not in dtypes.FLOATS:
        raise RuntimeError(
            f"{name}: expected a floating-point input of shape (C,), (N, C) or (N, C, d1, ...), got shape {x.shape} of "
            f"{dtypes.of_array(x)}"
        )
    return 0 if x.ndim == 1 else 1


def _class_indices(name, x, target, axis, ignore_index):
    """The targets as an array, checked."""
    goal = beside(array(target), x)
    if goal.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: expected integer class indices, got {goal.dtype}; convert them with .long()")
    expected = x.shape[:axis] + x.shape[axis + 1 :]
    if goal.shape != expected:
        raise ValueError(f"{name}: an input of shape {x.shape} needs targets of shape {expected}, got {goal.shape}")
    check_ids(f"{name}: target", goal, x.shape[axis], "classes", ignore_index)
    return goal


def _class_weight(weight, x, axis):
    weight = array(weight)
    require_one_device(x, weight)
    if weight is not None and weight.shape != (x.shape[axis],):
        raise RuntimeError(
            f"weight tensor should be defined either for all {x.shape[axis]} classes or no classes but got weight "
            f"tensor of shape {weight.shape}"
        )
    return weight if weight is None else weight.astype(x.dtype, copy=False)


def _weight_of(goal, weight, ignore_index):
    """What the sum of the losses is divided by for their mean."""
    kept = goal != ignore_index
    if weight is None:
        return int(np.count_nonzero(kept))
    with np.errstate(all="ignore"):
        return float(widened(weight[goal[kept]]).sum())


# ---- regression ----------------------------------------------------------------------------------------------------


def _difference(input, target):
    given, wanted = _shape("input", input), _shape("target", target)
    if given != wanted:
        warnings.warn(
            f"Using a target size ({wanted}) that is different to the input size ({given}). "
            f"This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )
    return sub(input, target)


@old_reductions
def mse_loss(input, target, *, reduction="mean"):
    """The squared difference ``(input - target)**2``; different shapes are broadcast, with a warning."""
    check_reduction(reduction)
    difference = _difference(input, target)
    return reduce(mul(difference, difference), reduction)


@old_reductions
def l1_loss(input, target, *, reduction="mean"):
    """The absolute difference; different shapes are broadcast, with a warning."""
    check_reduction(reduction)
    return reduce(elementary.abs(_difference(input, target)), reduction)


@old_reductions
def smooth_l1_loss(input, target, *, reduction="mean", beta=1.0):
    """``d**2 / (2 beta)`` where the difference d is smaller than `beta`, else ``abs(d) - beta / 2`` (Girshick 2015).

    Different shapes are broadcast, with a warning.

    Raises
    ------
    RuntimeError
        If `beta` is negative.
    """
    check_reduction(reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    difference = _difference(input, target)
    if beta == 0:
        return reduce(elementary.abs(difference), reduction)
    d = array(difference)
    size = np.abs(d)
    with np.errstate(all="ignore"):
        y = np.where(size < beta, d * d * (0.5 / beta), size - 0.5 * beta).astype(d.dtype, copy=False)
    return reduce(record(smooth_l1_backward, (difference,), y, (difference, beta)), reduction)


def smooth_l1_backward(node, g, difference, beta):
    return mul(g, _clip_slope(difference, beta))


def _clip_slope(x, beta):
    """``clip(x / beta, -1, 1)``."""
    data = array(x)
    y = (np.clip(data, -beta, beta) * data.dtype.type(1 / beta)).astype(data.dtype, copy=False)
    return record(clip_slope_backward, (x,), y, (np.abs(data) < beta, beta))


def clip_slope_backward(node, g, inside, beta):
    return mul(keep_where(inside, g), 1 / beta)


def huber_loss(input, target, reduction="mean", delta=1.0):
    """``d**2 / 2`` where the difference d is smaller than `delta`, else ``delta (abs(d) - delta / 2)`` (Huber 1964).

    Different shapes are broadcast, with a warning.

    Raises
    ------
    ValueError
        If `delta` is not positive.
    """
    check_reduction(reduction)
    if autocasting.regions:
        input, target = autocasting.prepared("huber_loss", (input, target))
    if delta <= 0:
        raise ValueError(f"huber_loss does not support non-positive values for delta, got {delta}")
    return reduce(mul(smooth_l1_loss(input, target, reduction="none", beta=delta), delta), reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """``(log(var) + (input - target)**2 / var) / 2``: the negative log-likelihood of `target` under N(input, var).

    Parameters
    ----------
    input : predicted means.
    var : predicted variances: a number, or a tensor of the shape of `input`; its last size may be 1 or left out.
    full : also add the constant ``log(2 pi) / 2``.
    eps : what smaller variances count as; their gradient is that of `eps`.

    Raises
    ------
    ValueError
        If a variance is negative, or their shape does not fit.
    """
    check_reduction(reduction)
    shape = array(input).shape
    var = var if isinstance(var, TensorBase) else np.asarray(var, array(input).dtype)
    v = array(var)
    if (v < 0).any():
        raise ValueError("gaussian_nll_loss: var has negative entry/entries")
    if v.ndim and v.shape == shape[:-1]:
        var = reshape(var, (*v.shape, 1))
    elif v.ndim and v.shape not in (shape, (*shape[:-1], 1)):
        raise ValueError(f"gaussian_nll_loss: var is of incorrect size {v.shape} for an input of shape {shape}")
    var = add(var, np.maximum(eps - array(var), 0).astype(v.dtype))
    difference = sub(input, target)
    losses = mul(add(elementary.log(var), arithmetic.div(mul(difference, difference), var)), 0.5)
    return reduce(add(losses, 0.5 * math.log(2 * math.pi)) if full else losses, reduction)


# ---- binary classification -----------------------------------------------------------------------------------------


@old_reductions
@quiet_in_16_bits
def binary_cross_entropy(input, target, weight=None, *, reduction="mean"):
    """``-(target log(input) + (1 - target) log(1 - input))``, times `weight`, of probabilities `input`.

    Logarithms are held at -100 or more, so that no loss is infinite.

    Raises
    ------
    ValueError
        If `input` and `target` differ in shape.
    RuntimeError
        If an input is not between 0 and 1.
    """
    check_reduction(reduction)
    _check_same_shape("binary_cross_entropy", input, target)
    x = array(input)
    if x.size and (x.min() < 0 or x.max() > 1):
        raise RuntimeError(
            "binary_cross_entropy: all elements of input should be between 0 and 1; for scores of any size use "
            "binary_cross_entropy_with_logits"
        )
    input, target = operands(input, target)
    x, t = array(input), array(target)
    losses = (t - 1) * _clamped_log(1 - x) - t * _clamped_log(x)
    losses = record(binary_cross_entropy_backward, (input, target), losses, (input, target))
    return reduce(losses if weight is None else mul(losses, weight), reduction)


def binary_cross_entropy_backward(node, g, x, t):
    rest = sub(1, x)
    grad_x = mul(mul(g, sub(x, t)), _bounded_inverse(mul(x, rest))) if node.needs(0) else None
    grad_t = mul(g, sub(clamped_log(rest), clamped_log(x))) if node.needs(1) else None
    return grad_x, grad_t


def _clamped_log(data):
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(data), data.dtype.type(-100))


def clamped_log(x):
    """``max(log(x), -100)``."""
    return record(clamped_log_backward, (x,), _clamped_log(array(x)), (x,))


def clamped_log_backward(node, g, x):
    return mul(g, _bounded_inverse(x))


def _bounded_inverse(x):
    """``1 / max(x, 1e-12)``."""
    data = array(x)
    y = as_array(1 / np.maximum(data, data.dtype.type(1e-12)))
    return record(bounded_inverse_backward, (x,), y, (y, data > 1e-12))


def bounded_inverse_backward(node, g, y, inside):
    return neg(mul(keep_where(inside, g), mul(y, y)))


@old_reductions
def binary_cross_entropy_with_logits(input, target, weight=None, *, reduction="mean", pos_weight=None):
    """`binary_cross_entropy` of ``sigmoid(input)``, without its loss of precision.

    Parameters
    ----------
    weight : a factor for each element, or None; broadcast.
    pos_weight : a factor for the positive part ``target log(sigmoid(input))``, e.g. one per class; broadcast.

    Raises
    ------
    ValueError
        If `input` and `target` differ in shape.
    """
    check_reduction(reduction)
    _check_same_shape("binary_cross_entropy_with_logits", input, target)
    log_probability = rectifiers.logsigmoid(input)
    if pos_weight is not None:
        log_probability = mul(log_probability, add(mul(sub(pos_weight, 1), target), 1))
    losses = sub(mul(sub(1, target), input), log_probability)
    return reduce(losses if weight is None else mul(losses, weight), reduction)


def _check_same_shape(name, input, target):
    given, wanted = _shape("input", input), _shape("target", target)
    if given != wanted:
        raise ValueError(f"{name}: target size ({wanted}) must be the same as input size ({given})")


def _shape(name, value):
    if not hasattr(array(value), "shape"):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a tensor; convert it with tinyrnn.tensor(...)")
    return array(value).shape
