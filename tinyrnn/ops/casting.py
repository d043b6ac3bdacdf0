"""Changing the dtype of a tensor."""

from __future__ import annotations

import functools
import math

import numpy as np

from tinyrnn.dtypes import FLOATS, get_default_dtype, numpy_finfo
from tinyrnn.engine.base import TensorBase, as_array, wrap
from tinyrnn.engine.tape import record


def quiet(function):
    """A decorator: overflow gives inf, inf - inf NaN, and no warning, as in PyTorch."""

    @functools.wraps(function)
    def run(*args, **kwargs):  # not NumPy's own, whose frame would be taken for the user's line
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return run


def quiet_in_16_bits(function):
    """`quiet` for arrays of 16-bit numbers: NumPy warns of NaN compared in ml_dtypes' bfloat16, unlike in its own dtypes."""
    without_warning = quiet(function)

    @functools.wraps(function)
    def run(*args, **kwargs):
        for x in args:
            if getattr(array(x), "itemsize", 0) == 2:
                return without_warning(*args, **kwargs)
        return function(*args, **kwargs)

    return run


def array(x):
    """The array behind `x`, which is a tensor, or already an array or a number."""
    if isinstance(x, TensorBase):
        tensor = x  # typed in casting.pxd, so that the attribute is read without a look-up
        return tensor.array
    return x


def cast(x, dtype):
    """`x` with elements of the NumPy `dtype`; `x` itself if it has them already. The gradient is cast back."""
    data = array(x)
    if data.dtype == dtype:
        return x
    with np.errstate(all="ignore"):
        converted = data.astype(dtype)
    if dtype.kind not in FLOATS and isinstance(x, TensorBase):
        return wrap(converted)  # no gradient flows through integers
    return record(cast_backward, (x,), converted, (data.dtype,))


def cast_backward(node, g, dtype):
    return cast(g, dtype)


def floating(x):
    """`x` with floating-point elements: bools and integers become the default dtype."""
    data = array(x)
    if not hasattr(data, "dtype"):
        raise TypeError(f"expected a tensor, got {type(data).__name__}; convert it with tinyrnn.tensor(...)")
    return x if data.dtype.kind in FLOATS else cast(x, get_default_dtype().numpy)


def without_gradient(result, *inputs):
    """A result that has no gradient, as a tensor if one of the inputs is one."""
    result = as_array(result)
    return wrap(result) if any([isinstance(x, TensorBase) for x in inputs]) else result


def require_kind(name, input, kinds):
    """The array of `input`, which must be a tensor whose dtype is of one of the NumPy `kinds`, e.g. "iuf"."""
    x = array(input)
    if not hasattr(x, "dtype"):
        raise TypeError(f"{name}: expected a tensor, got {type(x).__name__}; convert it with tinyrnn.tensor(...)")
    if x.dtype.kind not in kinds:
        raise NotImplementedError(f"{name} is not implemented for {x.dtype} tensors; convert with x.float() first")
    return x


def convert_number(value, dtype):
    """The number `value` as a 0-d array of the NumPy `dtype`, for what is stored and not computed with.

    As in PyTorch, whole numbers cut off fractions, and unsigned ones take -1 for their largest.

    Raises
    ------
    RuntimeError
        If the number is too large for `dtype`.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low = -limits.max if dtype.kind == "u" and isinstance(value, int) else limits.min
        fits = low <= value <= limits.max
        return np.asarray(int(value)).astype(dtype) if fits else _refuse_number(value, dtype)
    if dtype.kind in FLOATS:
        fits = not math.isfinite(value) or abs(value) <= float(numpy_finfo(dtype).max)
        return np.asarray(value, dtype) if fits else _refuse_number(value, dtype)
    return np.asarray(bool(value))


def _refuse_number(value, dtype):
    raise RuntimeError(f"value {value} cannot be converted to type {dtype} without overflow")
