"""Matrix products on a GPU, by cuBLAS; rows of several dimensions are laid end to end, which is one product."""

from __future__ import annotations

import threading

import numpy as np

from tinyrnn.kernels.gpu import loader, tf32
from tinyrnn.kernels.narrow import is_narrow, widened

_compute_type = threading.Lock()


def matmul_forward(a, b):
    if a.ndim > 2 and b.ndim == 2:
        return product(a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[1])
    return product(a, b)


def linear_forward(x, weight, bias):
    out = matmul_forward(x, weight.T)
    if bias is not None:
        out += bias
    return out


def product(a, b, kind="others"):
    """a b; of float32 rounded to TF32 where that is allowed for products of this kind (see tf32.py)."""
    if is_narrow(a) and (not a.ndim == b.ndim == 2 or a.shape[0] == b.shape[1] == 1):
        # CuPy makes only plain products of them, and of a row and a column rounds each product; TF32 has all of their bits
        return _product_of_float32(widened(a), widened(b), True).astype(a.dtype)
    if a.dtype == np.float32:
        return _product_of_float32(a, b, tf32.allowed[kind])
    return loader.cupy().matmul(a, b).astype(a.dtype, copy=False)


def _product_of_float32(a, b, rounded):
    """With the compute type of CuPy, which is one for all threads, set for this product."""
    core = loader.cupy()._core
    types = core._routines_linalg
    wanted = types.COMPUTE_TYPE_TF32 if rounded and tf32.is_there() else types.COMPUTE_TYPE_DEFAULT
    with _compute_type:
        before = core.get_compute_type(a.dtype)
        core.set_compute_type(a.dtype, wanted)
        try:
            return loader.cupy().matmul(a, b)
        finally:
            core.set_compute_type(a.dtype, before)
