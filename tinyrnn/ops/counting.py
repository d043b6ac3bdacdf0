"""Which values there are, and how often: unique, unique_consecutive, bincount."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.narrow import widened
from tinyrnn.ops.casting import array, without_gradient
from tinyrnn.ops.slicing import wrap_dim


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements, or slices along `dim`, in ascending order; they are sorted always, so `sorted` changes nothing.

    Returns
    -------
    The elements; with `return_inverse` also, for every element, the index of its like; with `return_counts` also how often
    each occurs.
    """
    x = array(input)
    axis = None if dim is None else wrap_dim(dim, x.ndim)
    values, inverse, counts = np.unique(widened(x), return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    found = [values.astype(x.dtype, copy=False)]
    if return_inverse:
        found.append(inverse.reshape(x.shape if dim is None else (x.shape[axis],)))
    if return_counts:
        found.append(counts)
    tensors = tuple([without_gradient(each, input) for each in found])
    return tensors if len(tensors) > 1 else tensors[0]


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements, or slices along `dim`, that differ from the one before; NaN differs from NaN.

    Returns
    -------
    The elements; with `return_inverse` also, for every element, the index of its like; with `return_counts` also how many
    come one after the other.
    """
    x = array(input)
    axis = 0 if dim is None else wrap_dim(dim, x.ndim)
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, axis, 0)
    first = np.ones_like(rows, dtype=bool, shape=(len(rows),))
    first[1:] = (rows[1:] != rows[:-1]).any(axis=tuple(range(1, rows.ndim)))
    found = [np.moveaxis(rows[first], 0, axis)]
    if return_inverse:
        inverse = first.cumsum() - 1
        found.append(inverse.reshape(x.shape) if dim is None else inverse)
    if return_counts:
        found.append(np.diff(np.append(first.nonzero()[0], len(rows))))
    tensors = tuple([without_gradient(each, input) for each in found])
    return tensors if len(tensors) > 1 else tensors[0]


def bincount(input, weights=None, minlength=0):
    """How often each of 0, 1, 2, ... occurs in a vector of integers; or the sum of its `weights`.

    Raises
    ------
    RuntimeError
        If `input` is no vector of integers of at least 0, or the weights are not as many.
    """
    x, w = array(input), array(weights)
    if x.ndim != 1 or x.dtype.kind not in "iu" or (x.size and x.min() < 0):
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs, got shape {x.shape} of {x.dtype}")
    if w is not None and w.shape != x.shape:
        raise RuntimeError(f"bincount: weights should have the same length as input, {x.shape[0]}, got shape {w.shape}")
    counts = np.bincount(x, w, minlength)
    return without_gradient(counts.astype(np.float32) if w is not None and w.dtype == np.float32 else counts, input)
