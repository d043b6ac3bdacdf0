"""Arithmetic, element by element: forward and backward side by side. Rounded division is in division.py.

Operands are tensors, arrays or numbers; PyTorch's promotion and broadcasting happen in `operands`, as recorded ops of
their own, so that a backward function here sees operands of one dtype and shape.
"""

from __future__ import annotations

try:
    import cython
except ImportError:
    from tinyrnn import _uncompiled as cython

import numpy as np

from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import record, requires_grad
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops import autocasting
from tinyrnn.ops.broadcasting import has_shape, of_dtype, operands
from tinyrnn.ops.casting import array, convert_number

if not cython.compiled:  # else they come from elementwise.pxd
    from tinyrnn._uncompiled import small_add, small_add_into, small_div, small_mul, small_neg, small_sub

_BOOL = np.dtype(bool)


def add(input, other, *, alpha=1):
    """input + alpha * other."""
    if alpha == 1:
        total = small_add(array(input), array(other))
        if total is not None:
            return record(add_backward, (input, other), total, ())
    a, b = operands(input, other)
    x, y = array(a), array(b)
    if alpha != 1:
        if _are_floats(x, y) and isinstance(alpha, (int, float)):
            return record(add_scaled_backward, (a, b), backend(x).add_scaled_forward(x, y, alpha), (alpha,))
        b = _scaled(a, b, alpha)
        y = array(b)
    return record(add_backward, (a, b), kernels_of(x, y).add_forward(x, y), ())


def add_backward(node, g):
    return g, g


def add_scaled_backward(node, g, alpha):
    return g, mul(g, alpha) if node.needs(1) else None


def add_into(total, x):
    """``total += x`` for arrays of one shape: how the engine sums gradients."""
    if not small_add_into(total, x):
        backend(total).add_into(total, x, 1)


def sub(input, other, *, alpha=1):
    """input - alpha * other. Bool tensors are refused: use ``^`` or ``~``."""
    if alpha == 1:
        difference = small_sub(array(input), array(other))
        if difference is not None:
            return record(sub_backward, (input, other), difference, ())
    a, b = operands(input, other)
    x, y = array(a), array(b)
    if a is not input or b is not other or getattr(x, "dtype", _BOOL) is _BOOL or type(y) is bool:
        _refuse_bool_operands(input, other)
    if alpha != 1:
        if _are_floats(x, y) and isinstance(alpha, (int, float)):
            return record(add_scaled_backward, (a, b), backend(x).add_scaled_forward(x, y, -alpha), (-alpha,))
        b = _scaled(a, b, alpha)
        y = array(b)
    return record(sub_backward, (a, b), kernels_of(x, y).sub_forward(x, y), ())


def sub_backward(node, g):
    return g, neg(g) if node.needs(1) else None


def rsub(input, other, *, alpha=1):
    """other - alpha * input."""
    return sub(other, input, alpha=alpha)


def neg(input):
    """-input."""
    x = array(input)
    negative = small_neg(x)
    if negative is not None:
        return record(neg_backward, (input,), negative, ())
    if x.dtype is _BOOL:
        raise RuntimeError("Negation, the `-` operator, on a bool tensor is not supported; use the `~` operator")
    return record(neg_backward, (input,), backend(x).mul_forward(x, -1.0) if x.dtype.kind == "f" else -x, ())


def neg_backward(node, g):
    return neg(g)


def positive(input):
    """`input` itself, as PyTorch returns it."""
    return input


def mul(input, other):
    """input * other."""
    product = small_mul(array(input), array(other))
    if product is not None:
        return record(mul_backward, (input, other), product, (if_wanted(input, other), if_wanted(other, input)))
    a, b = operands(input, other, False, True)
    x, y = array(a), array(b)
    return record(mul_backward, (a, b), kernels_of(x, y).mul_forward(x, y), (if_wanted(a, b), if_wanted(b, a)))


def mul_backward(node, g, a, b):
    return mul(g, b) if node.needs(0) else None, mul(g, a) if node.needs(1) else None


def div(input, other):
    """input / other; of integers, the quotient has the default floating-point dtype."""
    quotient = small_div(array(input), array(other))
    if quotient is not None:
        return record(div_backward, (input, other), quotient, (if_wanted(input, other), other))
    a, b = operands(input, other, True, True)
    x, y = array(a), array(b)
    return record(div_backward, (a, b), kernels_of(x, y).div_forward(x, y), (if_wanted(a, b), b))


def div_backward(node, g, a, b):
    quotient = div(g, b)
    return quotient, neg(mul(quotient, div(a, b))) if node.needs(1) else None


def rdiv(input, other):
    """other / input."""
    if autocasting.regions:
        input = autocasting.prepared("rdiv", input)
    return div(other, input)


subtract = sub
multiply = mul
negative = neg


def kernels_of(x, y):
    """The kernels of the operand that is an array: the other one may be a number."""
    return backend(x if has_shape(x) and not isinstance(x, np.generic) else y)


def if_wanted(saved, other):
    """`saved` if the gradient of `other` will need it: an operand that nobody needs is not kept alive."""
    if isinstance(other, TensorBase) and requires_grad(other):
        return saved
    return None


def _are_floats(x, y):
    """Whether two operands of one dtype are arrays of floats, neither of them a number."""
    return has_shape(x) and has_shape(y) and x.dtype.kind in FLOATS


def _scaled(a, b, alpha):
    """alpha * b in the dtype of the result."""
    dtype = (array(a) if has_shape(array(a)) else array(b)).dtype
    if dtype.kind not in FLOATS and isinstance(alpha, float):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if not has_shape(array(alpha)):
        convert_number(alpha, dtype)  # or an error if it does not fit
    return of_dtype(mul(b, alpha), dtype) if has_shape(array(b)) else b * alpha


def _refuse_bool_operands(*values):
    for value in values:
        x = array(value)
        if isinstance(x, bool) or getattr(x, "dtype", None) == _BOOL:
            raise RuntimeError(
                "Subtraction, the `-` operator, with a bool tensor is not supported. To invert a mask, use the `~` "
                "operator or logical_not() instead."
            )
