"""Sliding windows along one dimension: unfold."""

from __future__ import annotations

import numpy as np

from tinyrnn.engine.tape import record
from tinyrnn.ops.casting import array
from tinyrnn.ops.slicing import wrap_dim
from tinyrnn.ops.views import record_view


def unfold(self, dimension, size, step):
    """All windows of `size` elements along `dimension`, one every `step` elements: (..., n, ...) -> (..., windows, ..., size).

    A view, without copying, that cannot be written to: its elements overlap. A series of T numbers becomes T - size + 1
    training examples by ``series.unfold(0, size, 1)``.
    """
    x = array(self)
    dim = wrap_dim(dimension, x.ndim)
    if x.ndim == 0 or not 0 <= size <= x.shape[dim] or step <= 0:
        raise RuntimeError(
            f"unfold: windows along dimension {dimension} of shape {x.shape} need a size that fits and a step > 0, got "
            f"size={size}, step={step}"
        )
    windows = np.lib.stride_tricks.sliding_window_view(x, size, dim) if size else np.zeros_like(x, shape=_empty(x.shape, dim))
    windows = windows[(slice(None),) * dim + (slice(None, None, step),)]
    saved = (x.shape, dim, size, step)
    return record_view(unfold_backward, self, windows, lambda base: unfold(base, dimension, size, step), saved)


def _empty(shape, dim):
    return (*shape[:dim], shape[dim] + 1, *shape[dim + 1 :], 0)


def unfold_backward(node, g, shape, dim, size, step):
    return _overlapped(g, shape, dim, size, step)


def _overlapped(windows, shape, dim, size, step):
    """The sum of all windows, each at its place in `shape`."""
    data = array(windows)
    total = np.zeros_like(data, shape=shape)
    last = (data.shape[dim] - 1) * step + 1
    for offset in range(size):
        total[(slice(None),) * dim + (slice(offset, offset + last, step),)] += data[..., offset]
    return record(overlapped_backward, (windows,), total, (dim, size, step))


def overlapped_backward(node, g, dim, size, step):
    return unfold(g, dim, size, step)
