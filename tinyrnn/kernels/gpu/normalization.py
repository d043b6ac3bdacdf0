"""Layer normalization on a GPU (normalization.cu)."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.gpu import launch, loader


def layer_norm_forward(x, weight, bias, eps):
    cupy, W = loader.cupy(), launch.wide(x.dtype)
    y, mean, rstd = cupy.empty(x.shape, x.dtype), cupy.zeros((len(x), 1), W), cupy.full((len(x), 1), eps**-0.5, W)
    if x.size:
        arrays = (*launch.contiguous(x, weight, bias), y, mean, rstd)
        launch.over_rows(
            "normalization.cu", "layer_norm_forward", len(x), x.dtype, (*arrays, np.int64(x.shape[1]), np.float64(eps))
        )
    return y, mean, rstd


def layer_norm_backward(grad, x, mean, rstd, weight):
    cupy = loader.cupy()
    result, products = cupy.empty(x.shape, x.dtype), cupy.empty(x.shape, launch.wide(x.dtype))
    if x.size:
        arrays = (*launch.contiguous(grad, x, mean, rstd, weight), result, products)
        launch.over_rows("normalization.cu", "layer_norm_backward", len(x), x.dtype, (*arrays, np.int64(x.shape[1])))
    return result, *[each.sum(axis=0, dtype=launch.wide(x.dtype)).astype(x.dtype, copy=False) for each in (products, grad)]
