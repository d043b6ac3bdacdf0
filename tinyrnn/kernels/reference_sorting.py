"""The reference kernels that put numbers in order."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.narrow import widened


def argsort(x, axis, descending):
    x = widened(x)  # the sort of ml_dtypes' bfloat16 does not know where NaN belongs
    if not descending:
        return np.argsort(x, axis=axis, kind="stable").astype(np.int64, copy=False)
    backwards = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return (x.shape[axis] - 1 - np.flip(backwards, axis)).astype(np.int64, order="C", copy=False)


def topk(x, k, axis, largest):
    first = (slice(None),) * axis + (slice(0, k),)
    return argsort(x, axis, largest)[first].copy()
