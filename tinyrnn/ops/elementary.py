"""Functions of one variable, element by element: exponentials, logarithms, trigonometry, rounding.

Integers and bools become the default floating-point dtype, except where the result is a whole number.
"""

from __future__ import annotations

import math

import numpy as np

from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops import autocasting
from tinyrnn.ops.arithmetic import div, mul, neg
from tinyrnn.ops.casting import array, floating, quiet, quiet_in_16_bits, require_kind
from tinyrnn.ops.selection import step


@quiet
def _apply(function, x):
    return as_array(function(array(x)))


def exp(input):
    """e to the power of each element."""
    if autocasting.regions:
        input = autocasting.prepared("exp", input)
    x = floating(input)
    data = array(x)
    y = as_array(backend(data).exp_forward(data))
    return record(exp_backward, (x,), y, (y,))


def exp_backward(node, g, y):
    return mul(g, y)


def expm1(input):
    """exp(x) - 1, exact for small x."""
    if autocasting.regions:
        input = autocasting.prepared("expm1", input)
    x = floating(input)
    y = _apply(np.expm1, x)
    return record(expm1_backward, (x,), y, (y,))


def expm1_backward(node, g, y):
    return mul(g, y + 1)


def log(input):
    """The natural logarithm; -inf at 0, NaN below."""
    if autocasting.regions:
        input = autocasting.prepared("log", input)
    x = floating(input)
    data = array(x)
    return record(log_backward, (x,), as_array(backend(data).log_forward(data)), (x,))


def log_backward(node, g, x):
    return div(g, x)


def log2(input):
    """The logarithm to base 2."""
    if autocasting.regions:
        input = autocasting.prepared("log2", input)
    x = floating(input)
    return record(log2_backward, (x,), _apply(np.log2, x), (x,))


def log2_backward(node, g, x):
    return div(g, mul(x, math.log(2)))


def log10(input):
    """The logarithm to base 10."""
    if autocasting.regions:
        input = autocasting.prepared("log10", input)
    x = floating(input)
    return record(log10_backward, (x,), _apply(np.log10, x), (x,))


def log10_backward(node, g, x):
    return div(g, mul(x, math.log(10)))


def log1p(input):
    """log(1 + x), exact for small x."""
    if autocasting.regions:
        input = autocasting.prepared("log1p", input)
    x = floating(input)
    return record(log1p_backward, (x,), _apply(np.log1p, x), (x,))


def log1p_backward(node, g, x):
    return div(g, x + 1)


def sin(input):
    """The sine of each element, in radians."""
    x = floating(input)
    return record(sin_backward, (x,), _apply(np.sin, x), (x,))


def sin_backward(node, g, x):
    return mul(g, cos(x))


def cos(input):
    """The cosine of each element, in radians."""
    x = floating(input)
    return record(cos_backward, (x,), _apply(np.cos, x), (x,))


def cos_backward(node, g, x):
    return neg(mul(g, sin(x)))


def erf(input):
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    x = floating(input)
    data = array(x)
    return record(erf_backward, (x,), as_array(backend(data).erf_forward(data)), (x,))


def erf_backward(node, g, x):
    return mul(g, mul(exp(neg(mul(x, x))), 2 / math.sqrt(math.pi)))


def abs(input):
    """The absolute value. The gradient is the sign, 0 at 0."""
    x = require_kind("abs", input, "iu" + FLOATS)
    return record(abs_backward, (input,), np.abs(x), (input,))


def abs_backward(node, g, x):
    return mul(g, sign(x))


absolute = abs


@quiet_in_16_bits
def sign(input):
    """-1, 0 or 1, and 0 for NaN. The gradient is 0."""
    x = array(input)
    if x.dtype.kind == "b":
        return step(input, x.copy())
    return step(input, as_array((x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)))


def floor(input):
    """The largest whole number that is no larger. The gradient is 0."""
    return _rounded("floor", np.floor, input)


def ceil(input):
    """The smallest whole number that is no smaller. The gradient is 0."""
    return _rounded("ceil", np.ceil, input)


def trunc(input):
    """The whole number next to it towards 0. The gradient is 0."""
    return _rounded("trunc", np.trunc, input)


def round(input, *, decimals=0):
    """The nearest number of so many `decimals`; halves go to the even one. The gradient is 0."""
    return _rounded("round", lambda x: np.round(x, decimals).astype(x.dtype, copy=False), input)


def _rounded(name, function, input):
    x = require_kind(name, input, "iu" + FLOATS)
    return step(input, _apply(function, x) if x.dtype.kind in FLOATS else x.copy())
