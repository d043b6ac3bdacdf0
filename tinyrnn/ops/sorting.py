"""Sorting: sort, argsort, topk, median. The values carry gradients, the indices do not."""

from __future__ import annotations

import operator
from collections import namedtuple

import numpy as np

from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.casting import array, without_gradient
from tinyrnn.ops.extremes import amax_backward, pick
from tinyrnn.ops.reductions import axes_of, numpy_names, reduced_shape
from tinyrnn.ops.shaping import at_least_1d
from tinyrnn.ops.slicing import wrap_dim

sort_result = namedtuple("sort", ["values", "indices"])  # type: ignore[name-match]  # PyTorch's name
topk_result = namedtuple("topk", ["values", "indices"])  # type: ignore[name-match]
median_result = namedtuple("median", ["values", "indices"])  # type: ignore[name-match]


@numpy_names
def sort(input, dim=-1, descending=False, stable=False):
    """The elements in order along `dim`, and where they came from.

    Equal elements keep their order always, so `stable` changes nothing. NaN counts as larger than all numbers.

    Returns
    -------
    namedtuple (values, indices)
    """
    x = array(input)
    dim = wrap_dim(dim, x.ndim)
    indices = backend(x).argsort(at_least_1d(x), dim, descending)
    return sort_result(pick(input, indices, dim, x.shape), without_gradient(indices.reshape(x.shape), input))


@numpy_names
def argsort(input, dim=-1, descending=False, stable=False):
    """The indices that would put the elements in order along `dim`; equal elements keep their order."""
    x = array(input)
    return without_gradient(backend(x).argsort(at_least_1d(x), wrap_dim(dim, x.ndim), descending).reshape(x.shape), input)


def topk(input, k, dim=-1, largest=True, sorted=True):
    """The `k` largest (or smallest) elements along `dim`, best first, and where they are.

    Of equal elements the earlier ones are found first. They always come in order, so `sorted` changes nothing.

    Returns
    -------
    namedtuple (values, indices)

    Raises
    ------
    RuntimeError
        If there are fewer than `k` elements.
    """
    x = array(input)
    dim = wrap_dim(dim, x.ndim)
    size = x.shape[dim] if x.ndim else 1
    k = operator.index(k)
    if not 0 <= k <= size:
        raise RuntimeError(f"selected index k out of range: topk of k={k} along dimension {dim} of size {size}")
    indices = backend(x).topk(at_least_1d(x), k, dim, largest)
    shape = indices.shape if x.ndim or k == 0 else ()
    return topk_result(pick(input, indices, dim, shape), without_gradient(indices.reshape(shape), input))


@numpy_names
def median(input, dim=None, keepdim=False):
    """The element in the middle of the sorted ones, of an even number the smaller of the two; NaN if any is.

    Without `dim`, the value, and elements that equal it share the gradient; with it, a namedtuple ``(values, indices)``.

    Raises
    ------
    IndexError
        If there are no elements along `dim`, or none at all.
    """
    x = array(input)
    lines, axis = (x.reshape(-1), 0) if dim is None else (at_least_1d(x), wrap_dim(dim, x.ndim))
    if lines.shape[axis] == 0:
        raise IndexError(f"median(): expected at least one element along dimension {axis}, got shape {x.shape}")
    ordered = backend(x).argsort(lines, axis, False)
    # the first NaN, which are sorted to the end, or else the middle
    middle = np.where(np.isnan(lines).any(axis), np.isnan(lines).argmax(axis), ordered.take((lines.shape[axis] - 1) // 2, axis))
    indices = np.expand_dims(middle, axis)
    if dim is None:
        y = as_array(lines[middle])
        return record(amax_backward, (input,), y, (input, y, axes_of(None, x.ndim)))
    shape = reduced_shape(x.shape, axes_of(axis, x.ndim), keepdim)
    return median_result(pick(input, indices, axis, shape), without_gradient(indices.reshape(shape), input))
