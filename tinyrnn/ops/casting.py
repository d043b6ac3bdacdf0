"""Changing the dtype of a tensor."""

from __future__ import annotations

from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import record


def array(x):
    """The array behind `x`, which is a tensor, or already an array or a number."""
    return x.array if isinstance(x, TensorBase) else x


def cast(x, dtype):
    """`x` with elements of the NumPy `dtype`; `x` itself if it has them already. The gradient is cast back."""
    data = array(x)
    if data.dtype == dtype:
        return x
    return record(cast_backward, (x,), data.astype(dtype), (data.dtype,))


def cast_backward(node, g, dtype):
    return cast(g, dtype)
