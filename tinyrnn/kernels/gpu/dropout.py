"""Dropout on a GPU (dropout.cu)."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.gpu import launch, loader


def dropout_forward(x, p, seed, call):
    return _masked(x, x.shape, x.dtype, p, 1 / (1 - p) if p < 1 else 0, seed, call)


def dropout_backward(grad, p, seed, call):
    return dropout_forward(grad, p, seed, call)


def keep_mask(like, shape, p, scale, seed, call):
    return _masked(None, shape, like.dtype, p, scale, seed, call)


def _masked(x, shape, dtype, p, scale, seed, call):
    y = loader.cupy().empty(shape, dtype)
    numbers = np.int64(y.size), np.float64(p), np.float64(scale), np.uint64(seed), np.uint64(call)
    launch.over_elements("dropout.cu", "masked", y.size, dtype, (*launch.contiguous(x), y, *numbers))
    return y
