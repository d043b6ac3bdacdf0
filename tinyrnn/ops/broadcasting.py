"""Repeating a tensor along new or unit dimensions, its adjoint, and bringing operands to one dtype and shape."""

from __future__ import annotations

try:
    import cython
except ImportError:
    from tinyrnn import _uncompiled as cython

from functools import partial

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import TensorBase, version_of
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.transfer import on_one_device
from tinyrnn.ops.views import record_view

if not cython.compiled:  # else it comes from elementwise.pxd
    from tinyrnn._uncompiled import stretched


def expand_to(x, shape):
    """`x` broadcast to `shape`, without copying."""
    data = array(x)
    if data.shape == shape:
        return x
    return record_view(expand_backward, x, stretch(data, shape), partial(expand_to, shape=shape), (data.shape,))


def stretch(data, shape):
    """NumPy's broadcast_to, in C for its own arrays."""
    return stretched(data, shape) if type(data) is np.ndarray else np.broadcast_to(data, shape)


def expand_backward(node, g, shape):
    return sum_to(g, shape)


def sum_to(x, shape):
    """`x` summed over the dimensions along which `shape` would be broadcast to the shape of `x`."""
    data = array(x)
    if data.shape == shape:
        return x
    added = data.ndim - len(shape)
    axes = tuple([i for i in range(data.ndim) if i < added or (shape[i - added] == 1 and data.shape[i] != 1)])
    summed = backend(data).sum_forward(data, axes).reshape(shape)
    return record(sum_to_backward, (x,), summed, (data.shape,))


def sum_to_backward(node, g, shape):
    return expand_to(g, shape)


def operands(a, b, as_floats=False, unrounded=False):
    """Bring the operands of an elementwise op to one dtype (PyTorch's promotion) and one shape, as recorded ops.

    A Python number stays one where NumPy treats it as PyTorch does; if `unrounded`, beside bfloat16 too, as the kernels of
    `mul` and `div` want it. With `as_floats`, integers go straight to the default floating-point dtype: a number need not fit
    into the integers of the other operand.
    """
    x, y = array(a), array(b)
    of_one_dtype = (
        type(x) is type(y) and has_shape(x) and x.dtype is y.dtype and (not as_floats or x.dtype.kind in dtypes.FLOATS)
    )
    if of_one_dtype:
        if x.shape == y.shape:
            return a, b
    elif stays_a_number(y, x, unrounded) or stays_a_number(x, y, unrounded):
        return a, b
    else:
        a, b = _of_one_dtype(a, b, as_floats)
    if has_shape(x) and has_shape(y):
        shape = broadcast_shape(x.shape, y.shape)
        a, b = _operand(a, shape), _operand(b, shape)
    return a, b


def stays_a_number(x, data, unrounded):
    """Whether `x` is a Python number beside an array of NumPy's own floats, which keep their dtype then; or of any floats."""
    if not (type(x) is float or type(x) is int) or not has_shape(data):
        return False
    return data.dtype.kind == "f" or (unrounded and data.dtype.kind in dtypes.FLOATS)


def _of_one_dtype(a, b, as_floats):
    dtype = dtypes.result_type(a, b).numpy
    if as_floats and dtype.kind not in dtypes.FLOATS:
        dtype = dtypes.get_default_dtype().numpy
    if has_shape(array(a)) and has_shape(array(b)) and type(array(a)) is not type(array(b)):
        a, b = on_one_device(a, b)
    return of_dtype(a, dtype), of_dtype(b, dtype)


def _operand(x, shape):
    """`expand_to` for what nobody will see: a view in no other respect than that writes to `x` are noticed."""
    data = array(x)
    if data.shape == shape:
        return x
    expanded = record(expand_backward, (x,), stretch(data, shape), (data.shape,))
    if isinstance(expanded, TensorBase):
        expanded.version = version_of(x)
    return expanded


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
    if first == second:
        return first
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    sizes = list(longer)
    added = len(longer) - len(shorter)
    for dim, size in enumerate(shorter, added):
        if sizes[dim] == 1:
            sizes[dim] = size
        elif size != 1 and size != sizes[dim]:
            raise RuntimeError(
                f"shapes {first} and {second} cannot be broadcast together: aligned at the last dimension, sizes must be equal "
                f"or 1"
            )
    return tuple(sizes)
