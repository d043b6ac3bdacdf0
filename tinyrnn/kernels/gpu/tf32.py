"""TensorFloat-32: whether products of float32 may see only 10 bits of its fraction, on tensor cores (see backends.py)."""

from __future__ import annotations

import functools

from tinyrnn.kernels.gpu import loader

# Of the two kinds of products, as PyTorch has it: those of recurrent layers may, others may not.
allowed = {"recurrent": True, "others": False}


def is_there() -> bool:
    """Whether the current GPU has it: from compute capability 8.0 on."""
    return _is_there(loader.number_of_gpu(None))


@functools.cache
def _is_there(gpu: int) -> bool:
    return int(loader.cupy().cuda.Device(gpu).compute_capability) >= 80
