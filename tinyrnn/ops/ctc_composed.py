"""The gradient of the CTC loss as recorded ops, for backward through backward: the sums of kernels/reference_ctc.py."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.reference_ctc import states
from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.elementary import exp
from tinyrnn.ops.gathering import gather, scatter_add
from tinyrnn.ops.reductions import logsumexp
from tinyrnn.ops.selection import clamp_min, keep_where, where, zeros_like
from tinyrnn.ops.shaping import reshape
from tinyrnn.ops.slicing import cat, stack, unbind

# In the place of log(0): what is subtracted from itself gives 0, and not NaN. A power of two, whose multiples are exact: so no
# path comes out as more likely than all of them together.
FAR = -(2.0**100)


def composed_gradient(g, log_probs, targets, input_lengths, target_lengths, blank):
    """What the kernel `ctc_backward` gives, for tensors `g`, (B,), and `log_probs`, (T, B, C)."""
    x = array(log_probs)
    if not x.size:
        return zeros_like(log_probs)
    classes, skips = states(targets, blank)
    alive = (np.arange(len(x), like=x)[:, None] < input_lengths)[:, :, None]
    index = np.broadcast_to(classes, (len(x), *classes.shape))
    emissions = keep_where(alive, gather(cast(log_probs, np.dtype(np.float64)), 2, index))
    steps = unbind(clamp_min(emissions, FAR), 0)
    alphas, total = _beginnings(steps, skips, alive, target_lengths)
    betas = _ends(steps, skips, alive, target_lengths)
    possible = array(total) > FAR / 2
    counted = alive & possible
    shares = where(counted, exp(alphas + betas - total), 0.0)
    occupancy = scatter_add(np.zeros_like(x, dtype=np.float64), 2, index, shares)
    gradient = cast(-occupancy * reshape(g, (1, -1, 1)), x.dtype)
    return where(alive & ~possible, np.nan, gradient)


def _log_sum(a, b, c):
    return logsumexp(stack([a, b, c], 0), 0)


def _beginnings(steps, skips, alive, target_lengths):
    """The alphas of all steps, (T, B, L), and the logarithm of the sum over all paths, (B, 1)."""
    B, L = skips.shape
    outside = np.full((B, 2), FAR, like=skips)
    row = np.full((B, L + 2), FAR, like=skips)
    row[:, 1] = 0
    rows = []
    for emissions, going_on in zip(steps, alive):
        reached = _log_sum(row[:, 2:], row[:, 1:-1], where(skips, row[:, :-2], FAR))
        row = where(going_on, cat([outside, reached + emissions], 1), row)
        rows.append(row[:, 2:])
    last = 2 * target_lengths[:, None] + np.arange(1, 3, like=skips)
    return stack(rows, 0), logsumexp(gather(row, 1, last), 1, keepdim=True)


def _ends(steps, skips, alive, target_lengths):
    """The betas of all steps, (T, B, L)."""
    B, L = skips.shape
    outside = np.full((B, 2), FAR, like=skips)
    skips = np.concatenate([skips[:, 2:], np.zeros_like(skips, shape=(B, 2))], 1)[:, :L]
    behind = 2 * target_lengths[:, None] - np.arange(L, like=skips)  # how many states there are to the last one
    row = np.where((behind == 0) | (behind == 1), 0.0, FAR)
    rows = []
    for emissions, going_on in zip(steps[::-1], alive[::-1]):
        rows.append(row)
        ahead = cat([row + emissions, outside], 1)
        row = where(going_on, _log_sum(ahead[:, :-2], ahead[:, 1:-1], where(skips, ahead[:, 2:], FAR)), row)
    return stack(rows[::-1], 0)
