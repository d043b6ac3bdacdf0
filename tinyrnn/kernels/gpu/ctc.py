"""Connectionist temporal classification on a GPU (ctc.cu)."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.gpu import launch, loader


def ctc_forward(log_probs, targets, input_lengths, target_lengths, blank):
    losses = loader.cupy().empty(log_probs.shape[1], log_probs.dtype)
    _launch("ctc_forward", (log_probs, targets, input_lengths, target_lengths), blank, losses)
    return losses


def ctc_backward(grad, log_probs, targets, input_lengths, target_lengths, blank):
    cupy, (B, S) = loader.cupy(), targets.shape
    result = cupy.zeros(log_probs.shape, log_probs.dtype)
    more = (*launch.contiguous(grad), cupy.empty((B, 3, 2 * S + 1), np.float64), result)
    _launch("ctc_backward", (log_probs, targets, input_lengths, target_lengths), blank, *more)
    return result


def _launch(kernel, arrays, blank, *more):
    (steps, B, C), S = arrays[0].shape, arrays[1].shape[1]
    if B:
        alphas = loader.cupy().empty((B, max(steps, 1), 2 * S + 1), np.float64)
        sizes = map(np.int64, (steps, B, C, S, blank))
        launch.over_rows("ctc.cu", kernel, B, arrays[0].dtype, (*launch.contiguous(*arrays), alphas, *sizes, *more))
