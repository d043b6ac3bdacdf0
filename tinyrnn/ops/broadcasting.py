"""Repeating a tensor along new or unit dimensions, its adjoint, and bringing operands to one dtype and shape."""

from __future__ import annotations

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.narrow import widened
from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.transfer import on_one_device
from tinyrnn.ops.views import record_view


def expand_to(x, shape):
    """`x` broadcast to `shape`, without copying."""
    data = array(x)
    if data.shape == shape:
        return x
    return record_view(expand_backward, x, np.broadcast_to(data, shape), lambda base: expand_to(base, shape), (data.shape,))


def expand_backward(node, g, shape):
    return sum_to(g, shape)


def sum_to(x, shape):
    """`x` summed over the dimensions along which `shape` would be broadcast to the shape of `x`."""
    data = array(x)
    if data.shape == shape:
        return x
    added = data.ndim - len(shape)
    axes = tuple([i for i in range(data.ndim) if i < added or (shape[i - added] == 1 and data.shape[i] != 1)])
    with np.errstate(all="ignore"):
        if data.itemsize == 2:
            summed = widened(data).sum(axis=axes, keepdims=True).astype(data.dtype, copy=False).reshape(shape)
        else:
            summed = as_array(data.sum(axis=axes, keepdims=True)).reshape(shape)
    return record(sum_to_backward, (x,), summed, (data.shape,))


def sum_to_backward(node, g, shape):
    return expand_to(g, shape)


def operands(a, b, as_floats=False):
    """Bring the operands of an elementwise op to one dtype (PyTorch's promotion) and one shape, as recorded ops.

    A Python number stays one where NumPy treats it as PyTorch does. With `as_floats`, integers go straight to the default
    floating-point dtype: a number need not fit into the integers of the other operand.
    """
    x, y = array(a), array(b)
    alike = type(x) is type(y) and x.dtype is y.dtype and x.shape == y.shape
    if alike and (not as_floats or x.dtype.kind in dtypes.FLOATS):
        return a, b
    dtype = dtypes.result_type(a, b).numpy
    if as_floats and dtype.kind not in dtypes.FLOATS:
        dtype = dtypes.get_default_dtype().numpy
    if has_shape(x) and has_shape(y) and type(x) is not type(y):
        a, b = on_one_device(a, b)
    a, b = of_dtype(a, dtype), of_dtype(b, dtype)
    if has_shape(x) and has_shape(y):
        shape = broadcast_shape(array(a).shape, array(b).shape)
        a, b = expand_to(a, shape), expand_to(b, shape)
    return a, b


def has_shape(x):
    return hasattr(x, "shape")


def of_dtype(x, dtype):
    """A tensor or array cast to `dtype`; a number as a scalar of it, with PyTorch's wrap-around for integers.

    Next to NumPy's own floats a number may stay one: they keep their dtype, which bfloat16 does not.
    """
    if has_shape(x):
        return cast(x, dtype)
    return x if dtype.kind == "f" else np.asarray(x).astype(dtype)[()]


def broadcast_shape(first, second):
    """The common shape; an error that names both if there is none."""
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        raise RuntimeError(
            f"shapes {first} and {second} cannot be broadcast together: aligned at the last dimension, sizes must be equal or 1"
        ) from None
