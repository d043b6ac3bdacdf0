"""Powers and roots, element by element."""

from __future__ import annotations

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops import autocasting
from tinyrnn.ops.arithmetic import div, if_wanted, kernels_of, mul, neg, sub
from tinyrnn.ops.broadcasting import has_shape, operands, stays_a_number
from tinyrnn.ops.casting import array, cast, floating, quiet_in_16_bits
from tinyrnn.ops.elementary import log
from tinyrnn.ops.selection import where, zeros_like


def pow(input, exponent):
    """input ** exponent.

    The gradient of the base is 0 where the exponent is 0; that of the exponent is 0 where the base is 0 and the
    exponent is not negative.

    Raises
    ------
    RuntimeError
        If an integer tensor is raised to a negative whole number.
    """
    if autocasting.regions:
        input, exponent = autocasting.prepared("pow", (input, exponent))
    if isinstance(exponent, np.generic):
        exponent = exponent.item()
    if has_shape(array(exponent)) or stays_a_number(exponent, array(input), False):
        a, b = operands(input, exponent)
    else:
        a, b = cast(input, dtypes.result_type(input, exponent).numpy), exponent
    x, y = array(a), array(b)
    dtype = (x if has_shape(x) else y).dtype
    if dtype.kind == "b" and isinstance(exponent, bool):
        power = x | np.logical_not(y)
    elif dtype.kind == "b":
        raise NotImplementedError("pow is not implemented for two bool tensors; convert one of them with x.int() first")
    elif dtype.kind in dtypes.FLOATS:
        power = as_array(kernels_of(x, y).pow_forward(x, y)).astype(dtype, copy=False)
    else:
        power = _integer_power(x, y)
    return record(pow_backward, (a, b), power, (a, b, if_wanted(power, b)))


def pow_backward(node, g, a, b, y):
    return (
        _pow_base_gradient(g, a, b) if node.needs(0) else None,
        _pow_exponent_gradient(g, a, b, y) if node.needs(1) else None,
    )


def _pow_base_gradient(g, a, b):
    if has_shape(array(b)):
        return where(array(b) == 0, 0, mul(g, mul(pow(a, sub(b, 1)), b)))
    if b == 0:
        return zeros_like(g)
    return mul(g, mul(a if b == 2 else pow(a, b - 1), b))


@quiet_in_16_bits
def _pow_exponent_gradient(g, a, b, y):
    if has_shape(array(a)):
        return where((array(a) == 0) & (array(b) >= 0), 0, mul(g, mul(y, log(a))))
    with np.errstate(all="ignore"):
        gradient = mul(g, mul(y, float(np.log(float(a)))))
    return where(array(b) >= 0, 0, gradient) if a == 0 else gradient


def _integer_power(x, y):
    if not has_shape(y):
        if y < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed; use x.float() ** exponent")
        return np.power(x, y)
    power = np.power(x, np.maximum(y, 0))
    if y.dtype.kind == "i" and (y < 0).any():  # only 1 and -1 have a whole inverse; the others are rounded to 0
        odd_sign = np.where(y % 2 == 0, 1, x)
        power = np.where(y >= 0, power, np.where(np.abs(x) == 1, odd_sign, 0)).astype(power.dtype)
    return power


def reciprocal(input):
    """1 / input."""
    if autocasting.regions:
        input = autocasting.prepared("reciprocal", input)
    x = floating(input)
    data = array(x)
    y = as_array(backend(data).div_forward(1.0, data)).astype(data.dtype, copy=False)
    return record(reciprocal_backward, (x,), y, (y,))


def reciprocal_backward(node, g, y):
    return neg(mul(g, mul(y, y)))


def square(input):
    """input ** 2."""
    return pow(input, 2)


def sqrt(input):
    """The square root; NaN below 0. Its gradient at 0 is inf."""
    x = floating(input)
    with np.errstate(all="ignore"):
        y = as_array(np.sqrt(array(x)))
    return record(sqrt_backward, (x,), y, (y,))


def sqrt_backward(node, g, y):
    return div(g, mul(y, 2))


def rsqrt(input):
    """1 / sqrt(x)."""
    if autocasting.regions:
        input = autocasting.prepared("rsqrt", input)
    x = floating(input)
    with np.errstate(all="ignore"):
        y = as_array(1 / np.sqrt(array(x)))
    return record(rsqrt_backward, (x,), y, (y,))


def rsqrt_backward(node, g, y):
    return mul(mul(g, -0.5), mul(y, mul(y, y)))


def rpow(input, other):
    """other ** input."""
    return pow(other, input)
