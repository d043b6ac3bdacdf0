"""Matrix products on a GPU, by cuBLAS; rows of several dimensions are laid end to end, which is one product."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.gpu import loader, tf32


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
    if a.dtype.name in ("float16", "bfloat16") and not a.ndim == b.ndim == 2:
        # CuPy makes only plain products of them; TF32 has all of their bits
        return _product_in_tf32(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    if a.dtype == np.float32 and tf32.allowed[kind]:
        return _product_in_tf32(a, b)
    return loader.cupy().matmul(a, b).astype(a.dtype, copy=False)


def _product_in_tf32(a, b):
    core = loader.cupy()._core
    before = core.get_compute_type(a.dtype)
    core.set_compute_type(a.dtype, core._routines_linalg.COMPUTE_TYPE_TF32)
    try:
        return loader.cupy().matmul(a, b)
    finally:
        core.set_compute_type(a.dtype, before)
