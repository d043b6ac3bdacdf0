"""Matrix products on a GPU, by cuBLAS."""

from __future__ import annotations

from tinyrnn.kernels.gpu import loader


def matmul_forward(a, b):
    return loader.cupy().matmul(a, b)


def linear_forward(x, weight, bias):
    out = loader.cupy().matmul(x, weight.T)
    if bias is not None:
        out += bias
    return out
