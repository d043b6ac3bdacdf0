"""Which values there are, and how often: unique, bincount."""

from __future__ import annotations

import numpy as np

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
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    found = [values]
    if return_inverse:
        found.append(inverse.reshape(x.shape if dim is None else (x.shape[axis],)))
    if return_counts:
        found.append(counts)
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
