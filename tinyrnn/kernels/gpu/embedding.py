"""The gradient of an embedding, and other sums of rows, on a GPU (embedding.cu)."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.gpu import launch, loader


def embedding_backward(grad, ids, num_embeddings, padding_idx):
    width = grad.shape[-1]
    result = loader.cupy().zeros((num_embeddings, width), grad.dtype)
    if grad.size:
        flat = ids.reshape(-1).astype(np.int64)
        order = flat.argsort(kind="stable").astype(np.int64)
        arrays = (*launch.contiguous(grad, flat, order), result, np.int64(flat.size), np.int64(width))
        launch.over_rows("embedding.cu", "embedding_backward", flat.size, grad.dtype, arrays)
    if padding_idx is not None:
        result[padding_idx] = 0
    return result


def sum_segments(values, starts):
    result = loader.cupy().empty((len(starts), values.shape[1]), values.dtype)
    if result.size:
        arrays = (*launch.contiguous(values, starts.astype(np.int64)), result, np.int64(len(values)), np.int64(values.shape[1]))
        launch.over_rows("embedding.cu", "sum_segments", len(starts), values.dtype, arrays)
    return result
