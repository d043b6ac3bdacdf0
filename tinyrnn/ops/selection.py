"""Choosing between elements: where, clamp, maximum, minimum; and the gradients of piecewise linear functions."""

from __future__ import annotations

import functools

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import TensorBase, as_array, wrap
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.broadcasting import broadcast_shape, expand_to, has_shape, of_dtype, operands
from tinyrnn.ops.casting import array, convert_number, quiet, quiet_in_16_bits, without_gradient
from tinyrnn.ops.masking import nonzero
from tinyrnn.ops.transfer import on_one_device


def step(x, values):
    """The array `values`, a piecewise constant function of `x`, on the tape with gradient zero.

    As in PyTorch, the second derivative of such a function is a tensor of zeros, not a missing one.
    """
    return record(step_backward, (x,), values)


def step_backward(node, g):
    return zeros_like(g)


def zeros_like(g):
    """Zeros of the shape and dtype of a tensor or array, as what it is."""
    return without_gradient(np.zeros_like(array(g)), g)


@quiet
def weighted(g, weight, x):
    """The gradient `g` times the array `weight`, piecewise constant in `x`; where `weight` is 0, so is the result."""
    if isinstance(g, TensorBase):
        return g * step(x, weight.astype(g.array.dtype))
    return backend(g).where_forward(weight != 0, g * weight.astype(g.dtype), 0, g.dtype)


def keep_where(mask, x):
    """`x` where the array `mask` is True, else 0."""
    data = array(x)
    return record(keep_where_backward, (x,), backend(mask).where_forward(mask, data, data.dtype.type(0), data.dtype), (mask,))


def keep_where_backward(node, g, mask):
    return keep_where(mask, g)


def _align(*values):
    """All `values` (tensors, arrays, numbers or None) in one dtype, those with a shape broadcast to one another."""
    dtype = dtypes.result_type(*[value for value in values if value is not None]).numpy
    shaped = [has_shape(array(value)) for value in values]
    shape = functools.reduce(broadcast_shape, [array(value).shape for value, has in zip(values, shaped) if has])
    cast = [value if value is None else of_dtype(value, dtype) for value in values]
    return tuple([expand_to(value, shape) if has else value for value, has in zip(cast, shaped)])


def where(condition, input=None, other=None):
    """Elements of `input` where `condition` is true, else of `other`; without both, where `condition` is not 0.

    Parameters
    ----------
    condition : bool tensor.
    input, other : tensors or numbers; all three are broadcast together. Without them the result is a tuple of index
        tensors, one per dimension of `condition`, like ``nonzero(condition, as_tuple=True)``.

    Raises
    ------
    RuntimeError
        If `condition` is not a bool tensor, or the shapes cannot be broadcast together.
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    mask = array(condition)
    if not has_shape(mask) or mask.dtype.kind != "b":
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got {getattr(mask, 'dtype', type(mask).__name__)}; "
            f"compare it first, e.g. condition != 0"
        )
    x, y = array(input), array(other)
    fits = type(x) is type(y) is type(mask) and x.dtype is y.dtype and x.shape == y.shape == mask.shape
    if fits and (isinstance(input, TensorBase) or isinstance(other, TensorBase)):
        return record(where_backward, (input, other), backend(mask).where_forward(mask, x, y, x.dtype), (condition,))
    dtype = dtypes.result_type(input, other).numpy
    shape = functools.reduce(broadcast_shape, [array(x).shape for x in (mask, input, other) if has_shape(array(x))])
    a, b = [_chosen_from(x, dtype, shape, mask) for x in (input, other)]
    result = backend(mask).where_forward(mask, array(a), array(b), dtype)
    if isinstance(condition, TensorBase) and not (isinstance(a, TensorBase) or isinstance(b, TensorBase)):
        return wrap(result)
    return record(where_backward, (a, b), result, (condition,))


def _chosen_from(x, dtype, shape, mask):
    """A number in `dtype`, or a tensor or array in `dtype` and `shape`, on the device of the mask."""
    if has_shape(array(x)):
        return expand_to(of_dtype(on_one_device(x, mask)[0], dtype), shape)
    return convert_number(x, dtype)[()]


def where_backward(node, g, condition):
    condition = array(condition)
    return (
        where(condition, g, 0) if node.needs(0) else None,
        where(condition, 0, g) if node.needs(1) else None,
    )


@quiet_in_16_bits
def maximum(input, other):
    """The larger of two elements, NaN if one of them is NaN. Where they are equal, each gets half of the gradient."""
    a, b = operands(input, other)
    return record(maximum_backward, (a, b), np.maximum(array(a), array(b)), (a, b))


@quiet_in_16_bits
def maximum_backward(node, g, a, b):
    x, y = array(a), array(b)
    half = np.where(x == y, 0.5, 1.0)
    return (
        weighted(g, np.where(x < y, 0.0, half), a) if node.needs(0) else None,
        weighted(g, np.where(x > y, 0.0, half), b) if node.needs(1) else None,
    )


@quiet_in_16_bits
def minimum(input, other):
    """The smaller of two elements, NaN if one of them is NaN. Where they are equal, each gets half of the gradient."""
    a, b = operands(input, other)
    return record(minimum_backward, (a, b), np.minimum(array(a), array(b)), (a, b))


@quiet_in_16_bits
def minimum_backward(node, g, a, b):
    x, y = array(a), array(b)
    half = np.where(x == y, 0.5, 1.0)
    return (
        weighted(g, np.where(x > y, 0.0, half), a) if node.needs(0) else None,
        weighted(g, np.where(x < y, 0.0, half), b) if node.needs(1) else None,
    )


def clamp(input, min=None, max=None):
    """Every element, but no less than `min` and no more than `max`; `max` where `min` is larger than `max`.

    The gradient is 1 from `min` to `max`, both included, and 0 outside, where it belongs to the bound.

    Parameters
    ----------
    input : tensor.
    min, max : tensors that broadcast with `input`, numbers, or None.

    Raises
    ------
    RuntimeError
        If both bounds are None, or a number is out of range for an integer tensor.
    """
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of 'min' or 'max' must not be None")
    y = array(input)
    if y.dtype.kind == "f" and all([bound is None or type(bound) in (int, float) for bound in (min, max)]):
        return record(clamp_backward, (input, min, max), backend(y).clamp_forward(y, min, max), (input, min, max))
    x, low, high = _align(input, min, max)
    y = array(x)
    if y.dtype.kind == "b":
        raise NotImplementedError("clamp is not implemented for bool tensors; convert with x.int() first")
    if y.dtype.kind not in dtypes.FLOATS:
        _check_range(y.dtype, min, max)
    return record(clamp_backward, (x, low, high), backend(y).clamp_forward(y, array(low), array(high)), (x, low, high))


def _check_range(dtype, *bounds):
    limits = np.iinfo(dtype)
    for bound in bounds:
        if bound is not None and not has_shape(array(bound)) and not limits.min <= bound <= limits.max:
            raise RuntimeError(f"clamp: bound {bound} is out of range for a tensor of {dtype}")


@quiet_in_16_bits
def clamp_backward(node, g, x, low, high):
    data = array(x)
    least = -np.inf if low is None else array(low)
    most = np.inf if high is None else array(high)
    return (
        weighted(g, as_array((data >= least) & (data <= most)), x),
        weighted(g, as_array((data < least) & (least < most)), x) if node.needs(1) else None,
        weighted(g, as_array((data > most) | (most < least)), x) if node.needs(2) else None,
    )


clip = clamp


def nan_to_num(input, nan=0.0, posinf=None, neginf=None):
    """NaN and infinities replaced: by `nan`, and by `posinf` and `neginf` or else the largest and smallest number there is."""
    x = array(input)
    if x.dtype.kind not in dtypes.FLOATS:
        return input
    limits = dtypes.numpy_finfo(x.dtype)
    for mask, number in (
        (np.isnan(x), 0.0 if nan is None else nan),
        (x == np.inf, float(limits.max) if posinf is None else posinf),
        (x == -np.inf, float(limits.min) if neginf is None else neginf),
    ):
        input = where(mask, number, input) if mask.any() else input
    return input


def clamp_min(input, min):
    """`clamp` with a lower bound only."""
    return clamp(input, min=min)


def clamp_max(input, max):
    """`clamp` with an upper bound only."""
    return clamp(input, max=max)
