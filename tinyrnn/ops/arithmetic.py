"""Arithmetic, element by element: forward and backward side by side.

Operands are tensors, arrays or numbers; PyTorch's promotion and broadcasting happen in `operands`, as recorded ops of
their own, so that a backward function here sees operands of one dtype and shape.
"""

from __future__ import annotations

try:
    import cython
except ImportError:
    from tinyrnn import _uncompiled as cython

import numpy as np

from tinyrnn.engine.base import TensorBase, as_array
from tinyrnn.engine.tape import record, requires_grad
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.broadcasting import has_shape, of_dtype, operands
from tinyrnn.ops.casting import array, convert_number
from tinyrnn.ops.selection import zeros_like

if not cython.compiled:  # else they come from elementwise.pxd
    from tinyrnn._uncompiled import small_add, small_add_into, small_mul, small_neg, small_sub

_BOOL = np.dtype(bool)


def add(input, other, *, alpha=1):
    """input + alpha * other."""
    if alpha == 1:
        total = small_add(array(input), array(other))
        if total is not None:
            return record(add_backward, (input, other), total, ())
    a, b = operands(input, other)
    if alpha != 1:
        b = _scaled(a, b, alpha)
    x, y = array(a), array(b)
    return record(add_backward, (a, b), kernels_of(x, y).add_forward(x, y), ())


def add_backward(node, g):
    return g, g


def add_into(total, x):
    """``total += x`` for arrays of one shape: how the engine sums gradients."""
    if not small_add_into(total, x):
        with np.errstate(all="ignore"):
            total += x


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
    return record(neg_backward, (input,), -x, ())


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
    a, b = operands(input, other)
    x, y = array(a), array(b)
    return record(mul_backward, (a, b), kernels_of(x, y).mul_forward(x, y), (if_wanted(a, b), if_wanted(b, a)))


def mul_backward(node, g, a, b):
    return mul(g, b) if node.needs(0) else None, mul(g, a) if node.needs(1) else None


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
    if rounding_mode is not None:
        return _div_rounded(input, other, rounding_mode)
    a, b = operands(input, other, as_floats=True)
    x, y = array(a), array(b)
    return record(div_backward, (a, b), kernels_of(x, y).div_forward(x, y), (if_wanted(a, b), b))


def div_backward(node, g, a, b):
    quotient = div(g, b)
    return quotient, neg(mul(quotient, div(a, b))) if node.needs(1) else None


def _div_rounded(input, other, rounding_mode):
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(f"div expected rounding_mode to be None, 'trunc' or 'floor' but found {rounding_mode!r}")
    a, b = operands(input, other)
    x, y = array(a), array(b)
    _check_integer_divisor("div", x, y)
    with np.errstate(all="ignore"):
        if rounding_mode == "floor":
            quotient = np.floor_divide(x, y)
        elif as_array(x if has_shape(x) else y).dtype.kind == "f":
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


def lerp(input, end, weight):
    """input + weight * (end - input), `weight` being a number or a tensor of the same dtype."""
    for name, x in (("end", end), ("weight", weight)):
        if has_shape(array(x)) and array(x).dtype != array(input).dtype:
            raise RuntimeError(f"lerp: expected {name} of {array(input).dtype}, got {array(x).dtype}; cast it first")
    if array(input).dtype.kind != "f":
        raise NotImplementedError(f"lerp is not implemented for {array(input).dtype} tensors; use x.float()")
    return add(input, mul(sub(end, input), weight))


def addcmul(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 * tensor2."""
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 / tensor2."""
    return add(input, div(tensor1, tensor2), alpha=value)


def rdiv(input, other):
    """other / input."""
    return div(other, input)


def rfloordiv(input, other):
    """other // input."""
    return floor_divide(other, input)


def rmod(input, other):
    """other % input."""
    return remainder(other, input)


subtract = sub
multiply = mul
divide = true_divide = div
negative = neg


def kernels_of(x, y):
    """The kernels of the operand that is an array: the other one may be a number."""
    return backend(x if has_shape(x) and not isinstance(x, np.generic) else y)


def if_wanted(saved, other):
    """`saved` if the gradient of `other` will need it: an operand that nobody needs is not kept alive."""
    if isinstance(other, TensorBase) and requires_grad(other):
        return saved
    return None


def _scaled(a, b, alpha):
    """alpha * b in the dtype of the result."""
    dtype = (array(a) if has_shape(array(a)) else array(b)).dtype
    if dtype.kind != "f" and isinstance(alpha, float):
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


def _check_integer_divisor(name, x, y):
    kind = (x if has_shape(x) else y).dtype.kind
    if kind == "b":
        raise NotImplementedError(f"{name} is not implemented for two bool tensors; convert with x.int() first")
    if kind != "f" and (y == 0 if not has_shape(y) else (y == 0).any()):
        raise RuntimeError(f"{name}: ZeroDivisionError: an integer divided by 0; use x.float() for inf and nan")
