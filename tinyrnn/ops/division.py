"""Division that may round, and what remains: forward and backward side by side."""

from __future__ import annotations

import numpy as np

from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.ops import arithmetic
from tinyrnn.ops.arithmetic import if_wanted, mul, neg
from tinyrnn.ops.broadcasting import has_shape, operands
from tinyrnn.ops.casting import array
from tinyrnn.ops.selection import zeros_like


def div(input, other, *, rounding_mode=None):
    """input / other; of integers, the quotient has the default floating-point dtype.

    Parameters
    ----------
    input, other : tensors or numbers.
    rounding_mode : None, 'trunc' (towards 0) or 'floor' (down). A rounded quotient of integers is an integer, and the
        gradient of a rounded quotient is 0.

    Raises
    ------
    RuntimeError
        If `rounding_mode` is none of these, or a rounded division of integers is by 0.
    """
    if rounding_mode is None:
        return arithmetic.div(input, other)
    return _div_rounded(input, other, rounding_mode)


divide = true_divide = div


def _div_rounded(input, other, rounding_mode):
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(f"div expected rounding_mode to be None, 'trunc' or 'floor' but found {rounding_mode!r}")
    a, b = operands(input, other)
    x, y = array(a), array(b)
    _check_integer_divisor("div", x, y)
    with np.errstate(all="ignore"):
        if rounding_mode == "floor":
            quotient = np.floor_divide(x, y)
        elif as_array(x if has_shape(x) else y).dtype.kind in FLOATS:
            quotient = np.trunc(np.true_divide(x, y))
        else:
            quotient = np.floor_divide(x, y)
            quotient = quotient + ((quotient * y != x) & ((x < 0) != (y < 0)))
    return record(div_rounded_backward, (a, b), quotient)


def div_rounded_backward(node, g):
    return zeros_like(g), zeros_like(g)


def floor_divide(input, other):
    """input // other: the quotient, rounded down."""
    return _div_rounded(input, other, "floor")


def remainder(input, other):
    """input % other, with the sign of `other`, as in Python: input - other * floor(input / other)."""
    a, b = operands(input, other)
    x, y = array(a), array(b)
    _check_integer_divisor("remainder", x, y)
    with np.errstate(all="ignore"):
        rest = np.remainder(x, y)
    return record(remainder_backward, (a, b), rest, (if_wanted(a, b), if_wanted(b, b)))


def remainder_backward(node, g, a, b):
    return g, neg(mul(g, floor_divide(a, b))) if node.needs(1) else None


def rfloordiv(input, other):
    """other // input."""
    return floor_divide(other, input)


def rmod(input, other):
    """other % input."""
    return remainder(other, input)


def _check_integer_divisor(name, x, y):
    kind = (x if has_shape(x) else y).dtype.kind
    if kind == "b":
        raise NotImplementedError(f"{name} is not implemented for two bool tensors; convert with x.int() first")
    if kind not in FLOATS and (y == 0 if not has_shape(y) else (y == 0).any()):
        raise RuntimeError(f"{name}: ZeroDivisionError: an integer divided by 0; use x.float() for inf and nan")
