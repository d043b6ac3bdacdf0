"""Every element with its neighbours, as a row: what a convolution over one dimension multiplies with its filters."""

from __future__ import annotations

import numpy as np

from tinyrnn.engine.tape import record
from tinyrnn.ops.casting import array


def sliding_windows(input, width):
    """(B, S) -> (B, S, width): each position with (width - 1) / 2 neighbours on either side, zeros beyond the ends.

    `width` is odd.
    """
    x = array(input)
    side = width // 2
    padded = np.zeros_like(x, shape=(x.shape[0], x.shape[1] + 2 * side))
    padded[:, side : side + x.shape[1]] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, 1).copy()
    return record(sliding_windows_backward, (input,), windows)


def sliding_windows_backward(node, g):
    return overlap_add(g)


def overlap_add(input):
    """(B, S, width) -> (B, S): every element added to the position it stands for, the adjoint of `sliding_windows`."""
    x = array(input)
    B, S, width = x.shape
    padded = np.zeros_like(x, shape=(B, S + width - 1))
    for k in range(width):
        padded[:, k : k + S] += x[:, :, k]
    return record(overlap_add_backward, (input,), padded[:, width // 2 : width // 2 + S].copy(), (width,))


def overlap_add_backward(node, g, width):
    return sliding_windows(g, width)
