"""Dropout (Srivastava et al. 2014), in the inverted form: what is kept is scaled up in training."""

from __future__ import annotations

import numpy as np

from tinyrnn import dtypes
from tinyrnn.generator import default_generator
from tinyrnn.ops.arithmetic import mul
from tinyrnn.ops.casting import array


def dropout(input, p=0.5, training=True):
    """In training, zero each element with probability `p` and multiply the others by ``1 / (1 - p)``; else `input`.

    Raises
    ------
    ValueError
        If `p` is not between 0 and 1.
    RuntimeError
        If the elements are not floating-point.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    x = array(input)
    if not training or p == 0 or x.size == 0:
        return input
    if x.dtype.kind != "f":
        found = dtypes.of_array(x)
        raise RuntimeError(f"dropout(): expected a floating-point tensor, got {found}; convert it with .float()")
    return mul(input, _mask(x, p))


def _mask(x, p):
    """0 with probability `p`, else ``1 / (1 - p)``, in the shape and dtype of the array `x`."""
    if p == 1:
        return np.zeros_like(x)
    kept = np.asarray(default_generator.numpy.random(x.shape, dtype=np.float32) >= p, like=x)
    return kept * x.dtype.type(1 / (1 - p))
