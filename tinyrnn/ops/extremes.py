"""Extremes: the largest and smallest elements, and where they are."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops import selection
from tinyrnn.ops.arithmetic import mul
from tinyrnn.ops.casting import array, without_gradient
from tinyrnn.ops.indexing import along
from tinyrnn.ops.reductions import axes_of, numpy_names, reduced_shape, spread
from tinyrnn.ops.shaping import at_least_1d
from tinyrnn.ops.slicing import wrap_dim

max_result = namedtuple("max", ["values", "indices"])  # type: ignore[name-match]  # PyTorch's name
min_result = namedtuple("min", ["values", "indices"])  # type: ignore[name-match]


@numpy_names
def amax(input, dim=(), keepdim=False):
    """The largest values over `dim` (one or several dimensions; all by default); equal ones share the gradient."""
    return _extreme("amax", input, dim, keepdim, amax_backward)


@numpy_names
def amin(input, dim=(), keepdim=False):
    """The smallest values over `dim` (one or several dimensions; all by default); equal ones share the gradient."""
    return _extreme("amin", input, dim, keepdim, amin_backward)


def _extreme(name, input, dim, keepdim, op):
    data = array(input)
    axes = axes_of(dim, data.ndim)
    _check_not_empty(name, data.shape, axes)
    y = backend(data).extreme(data, axes, name == "amax").reshape(reduced_shape(data.shape, axes, keepdim))
    return record(op, (input,), y, (input, y, axes))


def _check_not_empty(name, shape, axes):
    for axis in axes:
        if shape[axis] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


def amax_backward(node, g, x, y, axes):
    x, y = array(x), array(y)
    y = spread(y, x.shape, axes)
    tied = np.where(np.isnan(y), np.isnan(x), x == y)
    share = tied / tied.sum(axis=axes, keepdims=True)
    return mul(spread(g, x.shape, axes), share.astype(x.dtype, copy=False))


def amin_backward(node, g, x, y, axes):
    return amax_backward(node, g, x, y, axes)


@numpy_names
def max(input, dim=None, keepdim=False, *, other=None):
    """The largest value; with `dim`, a namedtuple ``(values, indices)``; of two tensors, the elementwise maximum.

    Without `dim`, equal largest values share the gradient; with it, the first one gets it all.
    """
    other = dim if hasattr(dim, "shape") else other
    if other is not None:
        return selection.maximum(input, other)
    if dim is None:
        return _extreme_of_all("max", input, amax_backward)
    return max_result(*_extreme_along("max", input, dim, keepdim))


@numpy_names
def min(input, dim=None, keepdim=False, *, other=None):
    """The smallest value; with `dim`, a namedtuple ``(values, indices)``; of two tensors, the elementwise minimum.

    Without `dim`, equal smallest values share the gradient; with it, the first one gets it all.
    """
    other = dim if hasattr(dim, "shape") else other
    if other is not None:
        return selection.minimum(input, other)
    if dim is None:
        return _extreme_of_all("min", input, amin_backward)
    return min_result(*_extreme_along("min", input, dim, keepdim))


def _extreme_of_all(name, input, op):
    if array(input).size == 0:
        raise RuntimeError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0; pass dim=")
    return _extreme("a" + name, input, None, False, op)


def _extreme_along(name, input, dim, keepdim):
    data = array(input)
    axis = wrap_dim(dim, data.ndim)
    lines = at_least_1d(data)
    _check_not_empty(name, lines.shape, (axis,))
    indices = getattr(lines, "arg" + name)(axis=axis).reshape(reduced_shape(lines.shape, (axis,), True))
    shape = reduced_shape(data.shape, axes_of(axis, data.ndim), keepdim)
    y = backend(lines).extreme(lines, (axis,), name == "max").reshape(shape)
    return record(pick_backward, (input,), y, (indices, axis, data.shape)), without_gradient(indices.reshape(shape), input)


def pick(x, indices, axis, shape):
    """The elements of `x` at `indices` along `axis` (an array of the sizes of `x` beside it), as an array of `shape`."""
    data = array(x)
    y = at_least_1d(data)[along(indices, axis)].reshape(shape)
    return record(pick_backward, (x,), y, (indices, axis, data.shape))


def pick_backward(node, g, indices, axis, shape):
    return place(g, indices, axis, shape)


def place(x, indices, axis, shape):
    """Zeros of `shape`, with the elements of `x` at `indices` along `axis`; the adjoint of `pick`."""
    data = array(x)
    y = np.zeros_like(data, shape=shape)
    at_least_1d(y)[along(indices, axis)] = data.reshape(indices.shape)
    return record(place_backward, (x,), y, (indices, axis, data.shape))


def place_backward(node, g, indices, axis, shape):
    return pick(g, indices, axis, shape)


@numpy_names
def argmax(input, dim=None, keepdim=False):
    """The index (int64) of the first largest value along `dim`, or in the flattened tensor."""
    return _arg_extreme("argmax", input, dim, keepdim)


@numpy_names
def argmin(input, dim=None, keepdim=False):
    """The index (int64) of the first smallest value along `dim`, or in the flattened tensor."""
    return _arg_extreme("argmin", input, dim, keepdim)


def _arg_extreme(name, input, dim, keepdim):
    data = array(input)
    if dim is None:
        if data.size == 0:
            raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0; pass dim=")
        index = as_array(getattr(data.reshape(-1), name)())
        return without_gradient(index.reshape((1,) * data.ndim) if keepdim else index, input)
    axis = wrap_dim(dim, data.ndim)
    _check_not_empty(name, at_least_1d(data).shape, (axis,))
    index = as_array(getattr(at_least_1d(data), name)(axis=axis))
    return without_gradient(index.reshape(reduced_shape(data.shape, axes_of(axis, data.ndim), keepdim)), input)
