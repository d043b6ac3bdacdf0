"""Softmax and its logarithm, and a softmax over some of the elements."""

from __future__ import annotations

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops import autocasting, elementary
from tinyrnn.ops.arithmetic import mul, sub
from tinyrnn.ops.broadcasting import broadcast_shape, expand_to
from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.reductions import numpy_names, require_float
from tinyrnn.ops.reductions import sum as sum_along
from tinyrnn.ops.selection import keep_where
from tinyrnn.ops.slicing import wrap_dim
from tinyrnn.ops.transfer import beside


@numpy_names
def softmax(input, dim, dtype=None):
    """``exp(input) / sum(exp(input))`` along `dim`, computed after a cast to `dtype` if one is given.

    Large values do not overflow. A line of nothing but -inf gives NaN; see `masked_softmax`.

    Raises
    ------
    RuntimeError
        If the elements are not floating-point.
    IndexError
        If there is no dimension `dim`.
    """
    input, axis = _prepare("softmax", input, dim, dtype)
    x = array(input)
    y = _along(backend(x).softmax_forward, x, axis)
    return record(softmax_backward, (input,), y, (y, axis))


def softmax_backward(node, g, y, axis):
    if isinstance(g, TensorBase):
        return mul(y, sub(g, sum_along(mul(g, y), axis, keepdim=True)))
    return _along(backend(g).softmax_backward, g, y, axis)


@numpy_names
def log_softmax(input, dim, dtype=None):
    """``log(softmax(input, dim))``, without the underflow of taking the logarithm afterwards.

    Raises
    ------
    RuntimeError
        If the elements are not floating-point.
    IndexError
        If there is no dimension `dim`.
    """
    input, axis = _prepare("log_softmax", input, dim, dtype)
    x = array(input)
    y = _along(backend(x).log_softmax_forward, x, axis)
    return record(log_softmax_backward, (input,), y, (y, axis))


def log_softmax_backward(node, g, y, axis):
    if isinstance(g, TensorBase):
        return sub(g, mul(elementary.exp(y), sum_along(g, axis, keepdim=True)))
    return _along(backend(g).log_softmax_backward, g, y, axis)


def _prepare(name, input, dim, dtype):
    if dtype is not None:
        input = cast(input, dtypes.as_dtype(dtype).numpy)
    x = require_float(input, name)
    if dim is None:
        raise TypeError(f"{name}(): dim is None, expected the dimension to normalize over; pass dim=-1 for the last")
    return input, wrap_dim(dim, x.ndim)


def _along(kernel, *arguments):
    """Call a kernel with an axis; a 0-d array goes in with one dimension."""
    *arrays, axis = arguments
    if arrays[0].ndim:
        return kernel(*arrays, axis)
    return kernel(*[each.reshape(1) for each in arrays], axis).reshape(())


def masked_softmax(scores, mask, dim=-1):
    """The softmax along `dim` over the elements where `mask` is True; zero elsewhere.

    Parameters
    ----------
    scores : float tensor. What stands in masked places (NaN, too) reaches neither values nor gradients.
    mask : bool tensor or array that broadcasts to the shape of `scores`; True means keep.

    A line in which nothing is kept gives zeros, and passes on zero gradients.

    Raises
    ------
    TypeError
        If the mask is not boolean.
    """
    if autocasting.regions:
        scores = autocasting.prepared("masked_softmax", scores)
    scores, axis = _prepare("masked_softmax", scores, dim, None)
    x, mask = array(scores), beside(array(mask), array(scores))
    if mask.dtype != bool:
        raise TypeError(f"masked_softmax: expected a bool mask (True = keep), got {mask.dtype}; compare it with != 0")
    if broadcast_shape(x.shape, mask.shape) != x.shape:
        raise RuntimeError(f"masked_softmax: mask of shape {mask.shape} does not broadcast to scores of shape {x.shape}")
    mask = expand_to(mask, x.shape)
    y = _along(backend(x).softmax_forward, backend(mask).where_forward(mask, x, x.dtype.type(-np.inf), x.dtype), axis)
    y = backend(mask).where_forward(mask, y, x.dtype.type(0), x.dtype)
    return record(masked_softmax_backward, (scores,), y, (y, mask, axis))


def masked_softmax_backward(node, g, y, mask, axis):
    return softmax_backward(node, keep_where(mask, g), y, axis)
