"""Connectionist temporal classification in plain NumPy: the forward-backward sums of Graves et al. 2006, section 4.1.

A target of S labels has L = 2 S + 1 states: blank, label 1, blank, ..., label S, blank. In one step a path stays in its state,
goes to the next one, or skips a blank between two different labels. Sums over paths are kept as logarithms, in float64.
"""

from __future__ import annotations

import numpy as np

_quiet = np.errstate(all="ignore")


def states(targets, blank):
    """(classes of the states, whether a path may come to a state from two before it), both (B, L)."""
    classes = np.full_like(targets, blank, shape=(len(targets), 2 * targets.shape[1] + 1))
    classes[:, 1::2] = targets
    skips = np.zeros_like(classes, dtype=bool)
    skips[:, 1::2] = True
    skips[:, 3::2] = targets[:, 1:] != targets[:, :-1]
    return classes, skips


def _log_sum(a, b, c):
    return np.logaddexp(np.logaddexp(a, b), c)


def _emissions(log_probs, t, classes):
    return log_probs[t][np.arange(len(classes))[:, None], classes]


def _alphas(log_probs, classes, skips, input_lengths):
    """(T + 1, B, L + 2): the sums over the beginnings of paths, up to every step.

    Before the first state are two more. All paths are in the latter of them before the first step, from where they come to
    the first blank or, by skipping it, to the first label. A sequence that has ended keeps its last row.
    """
    T, (B, L) = len(log_probs), classes.shape
    alphas = np.full_like(log_probs, -np.inf, dtype=np.float64, shape=(T + 1, B, L + 2))
    alphas[0, :, 1] = 0
    for t in range(T):
        before, after = alphas[t], alphas[t + 1]
        skipping = np.where(skips, before[:, :-2], -np.inf)
        after[:, 2:] = _log_sum(before[:, 2:], before[:, 1:-1], skipping) + _emissions(log_probs, t, classes)
        after[...] = np.where((t < input_lengths)[:, None], after, before)
    return alphas


def _log_total(alphas, target_lengths):
    """(B,): the sums over all paths, which end in the last label or the blank behind it."""
    rows, last = np.arange(len(target_lengths)), 2 * target_lengths + 2
    return np.logaddexp(alphas[-1, rows, last], alphas[-1, rows, last - 1])


@_quiet
def ctc_forward(log_probs, targets, input_lengths, target_lengths, blank):
    classes, skips = states(targets, blank)
    alphas = _alphas(log_probs, classes, skips, input_lengths)
    return -_log_total(alphas, target_lengths).astype(log_probs.dtype)


@_quiet
def ctc_backward(grad, log_probs, targets, input_lengths, target_lengths, blank):
    classes, skips = states(targets, blank)
    alphas = _alphas(log_probs, classes, skips, input_lengths)
    total = _log_total(alphas, target_lengths)
    B, L = classes.shape
    result = np.zeros_like(log_probs, dtype=np.float64)
    state, last, rows = np.arange(L), 2 * target_lengths[:, None], np.arange(B)[:, None]
    # betas: the sums over the ends of paths, after step t; two states behind the last one are never reached
    betas = np.where((state == last) | (state == last - 1), 0.0, -np.inf)
    ahead = np.full_like(betas, -np.inf, shape=(B, L + 2))
    skips = np.concatenate([skips[:, 2:], np.zeros_like(skips, shape=(B, 2))], axis=1)[:, :L]
    for t in reversed(range(len(log_probs))):
        alive = (t < input_lengths)[:, None]
        shares = np.where(alive, grad[:, None] * np.exp(alphas[t + 1, :, 2:] + betas - total[:, None]), 0)
        np.subtract.at(result[t], (rows, classes), shares)
        ahead[:, :L] = betas + _emissions(log_probs, t, classes)
        betas = np.where(alive, _log_sum(ahead[:, :L], ahead[:, 1:-1], np.where(skips, ahead[:, 2:], -np.inf)), betas)
    alive = np.arange(len(log_probs))[:, None] < input_lengths
    result[alive & ~np.isfinite(total)] = np.nan
    return result.astype(log_probs.dtype)
