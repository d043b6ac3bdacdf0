"""Softmax, its logarithm and cross-entropy on a GPU (softmax.cu)."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.gpu import launch, loader


def softmax_forward(x, axis):
    return _along("softmax_forward", axis, x)


def softmax_backward(grad, y, axis):
    return _along("softmax_backward", axis, grad, y)


def log_softmax_forward(x, axis):
    return _along("log_softmax_forward", axis, x)


def log_softmax_backward(grad, y, axis):
    return _along("log_softmax_backward", axis, grad, y)


def cross_entropy_forward(x, target, weight, ignore_index, label_smoothing):
    cupy = loader.cupy()
    losses, log_probabilities = cupy.empty(len(x), x.dtype), cupy.empty(x.shape, x.dtype)
    arrays = *launch.contiguous(x, target, weight), losses, log_probabilities
    _over_rows("cross_entropy_forward", arrays, x.shape, np.int64(ignore_index), np.float64(label_smoothing))
    return losses, log_probabilities


def cross_entropy_backward(grad, log_probabilities, target, weight, ignore_index, label_smoothing):
    result = loader.cupy().empty(log_probabilities.shape, log_probabilities.dtype)
    arrays = *launch.contiguous(grad, log_probabilities, target, weight), result
    _over_rows("cross_entropy_backward", arrays, result.shape, np.int64(ignore_index), np.float64(label_smoothing))
    return result


def _along(kernel, axis, *arrays):
    """A kernel over rows, along any dimension of arrays of one shape."""
    moved = [np.moveaxis(array, axis, -1) for array in arrays]
    result = loader.cupy().empty(moved[0].shape, arrays[0].dtype)
    _over_rows(kernel, (*launch.contiguous(*moved), result), result.shape)
    return np.moveaxis(result, -1, axis)


def _over_rows(kernel, arrays, shape, *numbers):
    rows = int(np.prod(shape[:-1], dtype=np.int64))
    if rows and shape[-1]:
        launch.over_rows("softmax.cu", kernel, rows, arrays[0].dtype, (*arrays, np.int64(shape[-1]), *numbers))
