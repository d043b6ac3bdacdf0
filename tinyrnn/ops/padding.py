"""A border around a tensor: pad. (Batches of sequences of several lengths are in packing.py.)"""

from __future__ import annotations

import numpy as np

from tinyrnn.engine.tape import record
from tinyrnn.ops.casting import array
from tinyrnn.ops.shaping import as_sizes
from tinyrnn.ops.slicing import window


def pad(input, pad, mode="constant", value=None):
    """`input` with a border of `value` (0 if None).

    Parameters
    ----------
    pad : (before, after) of the last dimension, then of the one before it, and so on; negative numbers cut off.
    mode : "constant", the only one there is.
    """
    x = array(input)
    pad = as_sizes("pad", (pad,))
    if mode != "constant":
        raise NotImplementedError(f'pad: mode "{mode}" is not supported, only "constant" is')
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise RuntimeError(f"pad: expected an even number of sizes, at most two per dimension ({2 * x.ndim}), got {len(pad)}")
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[0::2], pad[1::2]))[::-1]
    if any(n + before + after < 0 for n, (before, after) in zip(x.shape, pairs)):
        raise RuntimeError(f"pad: {list(pad)} cuts off more than there is in a tensor of shape {list(x.shape)}")
    if min(pad, default=0) < 0:
        input = window(input, tuple([slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape, pairs)]))
        x = array(input)
    pairs = [(max(before, 0), max(after, 0)) for before, after in pairs]
    inner = tuple([slice(before, before + n) for n, (before, after) in zip(x.shape, pairs)])
    shape = tuple([n + before + after for n, (before, after) in zip(x.shape, pairs)])
    padded = np.full_like(x, 0 if value is None else value, shape=shape, order="C")
    padded[inner] = x
    return record(pad_backward, (input,), padded, (inner,))


def pad_backward(node, g, inner):
    return window(g, inner)
