"""Sorting: sort, argsort, topk. The values carry gradients, the indices do not."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from tinyrnn.ops.casting import array, without_gradient
from tinyrnn.ops.gathering import gather
from tinyrnn.ops.reductions import numpy_names
from tinyrnn.ops.slicing import wrap_dim

sort_result = namedtuple("sort", ["values", "indices"])  # type: ignore[name-match]  # PyTorch's name
topk_result = namedtuple("topk", ["values", "indices"])  # type: ignore[name-match]


def _order(x, dim, descending):
    """The stable order along `dim`; NaN counts as the largest, as in PyTorch."""
    if x.ndim == 0:
        return np.zeros_like(x, dtype=np.int64)
    if not descending:
        return np.argsort(x, axis=dim, kind="stable").astype(np.int64, copy=False)
    backwards = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return np.ascontiguousarray(x.shape[dim] - 1 - np.flip(backwards, dim)).astype(np.int64, copy=False)


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
    indices = _order(x, dim, descending)
    return sort_result(gather(input, dim, indices), without_gradient(indices, input))


@numpy_names
def argsort(input, dim=-1, descending=False, stable=False):
    """The indices that would put the elements in order along `dim`; equal elements keep their order."""
    x = array(input)
    return without_gradient(_order(x, wrap_dim(dim, x.ndim), descending), input)


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
    if not 0 <= k <= size:
        raise RuntimeError(f"selected index k out of range: topk of k={k} along dimension {dim} of size {size}")
    order = _order(x, dim, largest)
    indices = order[(slice(None),) * dim + (slice(0, k),)].copy() if x.ndim else order[...]
    if x.ndim == 0 and k == 0:
        indices = np.zeros_like(order, shape=(0,))
    return topk_result(gather(input, dim, indices), without_gradient(indices, input))
