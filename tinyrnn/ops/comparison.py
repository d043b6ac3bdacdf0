"""Comparison, logic and bits, element by element. Nothing here has a gradient; except for bits, results are bools."""

from __future__ import annotations

import numbers

import numpy as np

from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.base import TensorBase
from tinyrnn.ops.broadcasting import has_shape, operands
from tinyrnn.ops.casting import array, floating, quiet, without_gradient


def _compare(function, input, other):
    x, y = operands(array(input), array(other))
    if (x if has_shape(x) else y).dtype.kind == "V":  # NumPy warns of NaN in bfloat16
        function = quiet(function)
    return without_gradient(function(x, y), input, other)


def equals(input, other):
    """The operator ==: like `eq`, but False for what is neither a tensor, nor an array, nor a number."""
    return eq(input, other) if _is_comparable(other) else NotImplemented


def differs(input, other):
    """The operator !=: like `ne`, but True for what is neither a tensor, nor an array, nor a number."""
    return ne(input, other) if _is_comparable(other) else NotImplemented


def _is_comparable(value):
    return isinstance(value, (TensorBase, numbers.Real)) or hasattr(value, "dtype")


def eq(input, other):
    """input == other."""
    return _compare(np.equal, input, other)


def ne(input, other):
    """input != other."""
    return _compare(np.not_equal, input, other)


def lt(input, other):
    """input < other."""
    return _compare(np.less, input, other)


def le(input, other):
    """input <= other."""
    return _compare(np.less_equal, input, other)


def gt(input, other):
    """input > other."""
    return _compare(np.greater, input, other)


def ge(input, other):
    """input >= other."""
    return _compare(np.greater_equal, input, other)


def isnan(input):
    """Whether an element is NaN."""
    return without_gradient(np.isnan(array(input)), input)


def isinf(input):
    """Whether an element is inf or -inf."""
    return without_gradient(np.isinf(array(input)), input)


def isfinite(input):
    """Whether an element is neither infinite nor NaN."""
    return without_gradient(np.isfinite(array(input)), input)


def logical_not(input):
    """Whether an element is 0."""
    return without_gradient(np.logical_not(array(input)), input)


def logical_and(input, other):
    """Whether neither element is 0."""
    return _compare(np.logical_and, input, other)


def logical_or(input, other):
    """Whether one element at least is not 0."""
    return _compare(np.logical_or, input, other)


def logical_xor(input, other):
    """Whether exactly one of the elements is 0."""
    return _compare(np.logical_xor, input, other)


def bitwise_and(input, other):
    """input & other, of bools or integers."""
    return _bitwise("bitwise_and", np.bitwise_and, input, other)


def bitwise_or(input, other):
    """input | other, of bools or integers."""
    return _bitwise("bitwise_or", np.bitwise_or, input, other)


def bitwise_xor(input, other):
    """input ^ other, of bools or integers."""
    return _bitwise("bitwise_xor", np.bitwise_xor, input, other)


def bitwise_not(input):
    """~input: the opposite of a bool, the flipped bits of an integer."""
    x = array(input)
    _refuse_float("bitwise_not", x)
    return without_gradient(np.invert(x), input)


def _bitwise(name, function, input, other):
    x, y = operands(array(input), array(other))
    _refuse_float(name, x if has_shape(x) else y)
    return without_gradient(function(x, y), input, other)


def _refuse_float(name, x):
    if x.dtype.kind in FLOATS:
        raise NotImplementedError(f"{name} is not implemented for {x.dtype} tensors: bits belong to bools and integers")


def equal(input, other) -> bool:
    """Whether two tensors have the same shape and the same elements; NaN equals nothing."""
    x, y = array(input), array(other)
    return x.shape == y.shape and bool(np.equal(*operands(x, y)).all())


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether ``|input - other| <= atol + rtol * |other|``, element by element.

    Parameters
    ----------
    input, other : tensors of one dtype that broadcast with each other.
    rtol, atol : relative and absolute tolerance.
    equal_nan : whether NaN is close to NaN.

    Raises
    ------
    RuntimeError
        If the dtypes differ.
    TypeError
        If one is a number.
    """
    x, y = array(input), array(other)
    if not has_shape(x) or not has_shape(y):
        raise TypeError(
            f"isclose(): expected two tensors, got {type(x).__name__} and {type(y).__name__}; compare with < instead"
        )
    if x.dtype != y.dtype:
        raise RuntimeError(f"isclose: dtypes must be the same, got {x.dtype} and {y.dtype}; cast one with .to(dtype)")
    x, y = operands(x, y)
    close = np.equal(x, y)
    x, y = floating(x), floating(y)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(x - y)
        close = close | (np.isfinite(y) & (distance <= atol + np.abs(rtol * y)))
    if equal_nan:
        close = close | (np.isnan(x) & np.isnan(y))
    return without_gradient(close, input, other)


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """Whether `isclose` holds for all elements."""
    return bool(array(isclose(input, other, rtol, atol, equal_nan)).all())


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge
