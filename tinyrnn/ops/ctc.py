"""Connectionist temporal classification (Graves et al. 2006): the loss of a labelling whose alignment is not known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinyrnn.devices import in_main_memory
from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops import autocasting
from tinyrnn.ops.arithmetic import div
from tinyrnn.ops.casting import array, require_kind
from tinyrnn.ops.ctc_composed import composed_gradient
from tinyrnn.ops.embedding import check_ids
from tinyrnn.ops.losses import check_reduction, reduce
from tinyrnn.ops.selection import keep_where
from tinyrnn.ops.shaping import reshape


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """-log of the probability that the steps spell the target: the sum over all paths that do.

    A path takes a class at each step. It spells what is left after merging repeated classes and then dropping the blanks.

    Parameters
    ----------
    log_probs : (T, B, C), or (T, C) for one sequence: log-probabilities, as ``log_softmax`` gives them.
    targets : (B, S), padded with anything, or (sum(target_lengths),), one after the other: integers from 0 to C - 1 without
        the blank.
    input_lengths, target_lengths : (B,), tensors or tuples of integers; for one sequence also 0-d. Zero is allowed.
    blank : the class that spells nothing.
    reduction : "mean" (each loss divided by its target's length, or 1, and then the mean over the batch), "sum", or "none".
    zero_infinity : give 0, with no gradient, where no path spells the target because there are too few steps for it. Else
        such a loss is inf, and its gradient NaN.

    What stands behind the lengths is not looked at, and has gradient 0. Sums are taken in float64.

    The gradient is the derivative: minus the probability that a path that spells the target takes a class at a step. PyTorch
    adds ``exp(log_probs)`` to that, which only makes sense if ``log_softmax`` comes before; after it both are the same.

    Source: Graves et al. 2006, "Connectionist temporal classification", eq. 6-15; "mean" is PyTorch's.

    Raises
    ------
    RuntimeError, NotImplementedError
        If shapes, dtypes or lengths do not fit together, or `blank` is not a class.
    IndexError
        If a target is not a class.
    ValueError
        If a target is the blank, or the reduction is unknown.
    """
    check_reduction(reduction)
    if autocasting.regions:
        log_probs = autocasting.prepared("ctc_loss", log_probs)
    x = require_kind("ctc_loss", log_probs, FLOATS)
    if x.ndim not in (2, 3):
        raise RuntimeError(
            f"ctc_loss: expected log_probs of shape (T, B, C) = (time, batch, classes), or (T, C) for one sequence, got shape "
            f"{x.shape}; add the missing dimension with unsqueeze"
        )
    batch = log_probs if x.ndim == 3 else reshape(log_probs, (x.shape[0], 1, x.shape[1]))
    problem = _problem(array(batch), x.ndim == 2, targets, input_lengths, target_lengths, blank)
    losses = backend(x).ctc_forward(array(batch), *problem)
    impossible = np.isposinf(losses) if zero_infinity else None
    losses = record(ctc_backward, (batch,), losses, (batch, problem, impossible))
    if impossible is not None:
        losses = keep_where(~impossible, losses)
    if reduction == "mean":
        losses = div(losses, np.maximum(problem.target_lengths, 1).astype(x.dtype))
    return reduce(losses if x.ndim == 3 else reshape(losses, ()), reduction)


def ctc_backward(node, g, log_probs, problem, impossible):
    if isinstance(g, TensorBase):
        gradient = composed_gradient(g, log_probs, *problem)
    else:
        gradient = backend(log_probs).ctc_backward(g, log_probs, *problem)
    return gradient if impossible is None else keep_where(~impossible[:, None], gradient)


# ---- what is given, checked ----------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """The other arguments of the kernels: `targets` (B, S) has the blank where it is padding; all are int64."""

    targets: np.ndarray
    input_lengths: np.ndarray
    target_lengths: np.ndarray
    blank: int


def _problem(x, single, targets, input_lengths, target_lengths, blank):
    T, _, C = x.shape
    if not 0 <= blank < C:
        raise RuntimeError(f"ctc_loss: blank must be in label range, 0 to {C - 1} for {C} classes, got {blank}")
    input_lengths = _lengths("input_lengths", input_lengths, x, single)
    target_lengths = _lengths("target_lengths", target_lengths, x, single)
    if len(input_lengths) and input_lengths.max() > T:
        longest = int(input_lengths.argmax())
        raise RuntimeError(
            f"ctc_loss: input_lengths[{longest}] is {input_lengths[longest]}, expected at most {T}, the steps of log_probs "
            f"{x.shape}; time is its first dimension, so transpose it if the batch is"
        )
    labels = in_main_memory(array(targets))
    if labels.dtype.kind not in "iu":
        raise RuntimeError(f"ctc_loss: targets are {labels.dtype}, expected integers; convert them with .long()")
    padded = _padded(labels, target_lengths, blank)
    _check_labels(padded, target_lengths, C, blank)
    beside = [np.asarray(each, like=x) for each in (padded, input_lengths, target_lengths)]
    return Problem(beside[0], beside[1], beside[2], blank)


def _lengths(name, given, x, single):
    """The lengths as (B,) int64, in an array that is ours: the caller's may change before backward."""
    lengths = in_main_memory(array(given))
    if single and lengths.ndim == 0:
        lengths = lengths[None]
    B = x.shape[1]
    if lengths.shape != (B,):
        raise RuntimeError(f"ctc_loss: {name} must be of size batch_size, ({B},), one for each sequence, got {lengths.shape}")
    if B and lengths.dtype.kind not in "iu":
        raise RuntimeError(f"ctc_loss: {name} must be integral, got {lengths.dtype}; convert them with .long()")
    if B and lengths.min() < 0:
        raise RuntimeError(f"ctc_loss: {name}[{lengths.argmin()}] is {lengths.min()}, expected a length of at least 0")
    return np.array(lengths, np.int64)


def _padded(labels, lengths, blank):
    """(B, S), S the greatest length, from padded targets or from those that stand one after the other."""
    B, S = len(lengths), int(lengths.max(initial=0))
    valid = np.arange(S) < lengths[:, None]
    padded = np.full_like(labels, blank, dtype=np.int64, shape=(B, S))
    if labels.ndim == 2 and labels.shape[0] == B and labels.shape[1] >= S:
        padded[valid] = labels[:, :S][valid]
    elif labels.ndim == 1 and len(labels) == lengths.sum():
        padded[valid] = labels
    else:
        raise RuntimeError(
            f"ctc_loss: expected targets padded to ({B}, S) with S of at least {S}, the greatest of target_lengths, or one "
            f"after the other, ({lengths.sum()},), the sum of target_lengths, got shape {labels.shape}"
        )
    return padded


def _check_labels(padded, lengths, classes, blank):
    check_ids("ctc_loss: target", padded, classes, "classes")
    is_blank = (padded == blank) & (np.arange(padded.shape[1]) < lengths[:, None])
    if is_blank.any():
        b, s = np.argwhere(is_blank)[0]
        raise ValueError(
            f"ctc_loss: target {s} of sequence {b} is {blank}, the blank, which stands between labels and is none; pass "
            f"another blank=, or the length without padding as target_lengths[{b}], which is {lengths[b]}"
        )
