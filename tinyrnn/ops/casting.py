"""Changing the dtype of a tensor."""

from __future__ import annotations

from tinyrnn.dtypes import get_default_dtype
from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.engine.tape import record


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
    converted = data.astype(dtype)
    if dtype.kind != "f" and isinstance(x, TensorBase):
        return wrap(converted)  # no gradient flows through integers
    return record(cast_backward, (x,), converted, (data.dtype,))


def cast_backward(node, g, dtype):
    return cast(g, dtype)


def floating(x):
    """`x` with floating-point elements: bools and integers become the default dtype."""
    data = array(x)
    if not hasattr(data, "dtype"):
        raise TypeError(f"expected a tensor, got {type(data).__name__}; convert it with tinyrnn.tensor(...)")
    return x if data.dtype.kind == "f" else cast(x, get_default_dtype().numpy)
