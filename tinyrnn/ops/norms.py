"""Norms."""

from __future__ import annotations

import math

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.narrow import widened
from tinyrnn.ops import autocasting, elementary, powers
from tinyrnn.ops.arithmetic import mul
from tinyrnn.ops.casting import array, cast, quiet
from tinyrnn.ops.extremes import amax, amin
from tinyrnn.ops.reductions import axes_of, inverse, require_float, spread


@quiet
def norm(input, p="fro", dim=None, keepdim=False, *, dtype=None):
    """The p-norm ``sum(abs(x)**p) ** (1/p)`` over `dim`, of the flattened tensor by default.

    `p` is a number, ``inf`` (largest magnitude), ``-inf`` (smallest), 0 (count of non-zeros) or "fro" (2). The gradient is 0
    where the norm is 0.
    """
    if autocasting.regions and dtype is None:
        input = autocasting.prepared("norm", input)
    if p is None or p == "fro":
        p = 2
    if not isinstance(p, (int, float)):
        raise TypeError(f'norm(): p={p!r} is not supported; expected a number or "fro"')
    if dtype is not None:
        input = cast(input, dtypes.as_dtype(dtype).numpy)
    data = require_float(input, "norm")
    if math.isinf(p):
        return (amax if p > 0 else amin)(elementary.abs(input), () if dim is None else dim, keepdim)
    axes = axes_of(dim, data.ndim)
    wide, options = widened(data), {"axis": axes, "keepdims": bool(keepdim)}
    if p == 2:
        y = np.sqrt((wide * wide).sum(**options))
    elif p == 1:
        y = np.abs(wide).sum(**options)
    elif p == 0:
        y = (wide != 0).sum(**options)
    else:
        y = (np.abs(wide) ** p).sum(**options) ** (1 / p)
    y = as_array(y).astype(data.dtype, copy=False)
    return record(norm_backward, (input,), y, (input, y, p, axes))


def norm_backward(node, g, x, y, p, axes):
    data = array(x)
    if p == 2:
        return mul(spread(mul(g, inverse(y)), data.shape, axes), x)
    if p in (0, 1):
        return mul(spread(g, data.shape, axes), np.sign(data) if p else np.zeros_like(data))
    magnitude = elementary.abs(x)
    power = powers.pow(magnitude, p - 1) if p > 1 else inverse(powers.pow(magnitude, 1 - p))
    scale = spread(mul(g, powers.pow(inverse(y), p - 1) if p > 1 else powers.pow(y, 1 - p)), data.shape, axes)
    return mul(mul(scale, power), np.sign(data))
