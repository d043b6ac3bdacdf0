"""The kernels for CuPy's arrays: ours over the reference, whose NumPy functions run on CuPy's arrays as they are."""

from __future__ import annotations

import importlib

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu import kernels_of

FAMILIES = (
    "activations",
    "ctc",
    "dropout",
    "elementwise",
    "embedding",
    "normalization",
    "optimizers",
    "products",
    "recurrent",
    "recurrent_cells",
    "recurrent_step",
    "softmax",
)


def _compose():
    kernels = kernels_of(reference)
    for family in FAMILIES:
        ours = kernels_of(importlib.import_module(f"tinyrnn.kernels.gpu.{family}"))
        kernels.update({name: ours[name] for name in kernels.keys() & ours.keys()})
    return kernels


globals().update(_compose())
