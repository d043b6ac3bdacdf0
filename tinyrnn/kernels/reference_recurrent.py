"""The recurrent sweep in plain NumPy: every cell's forward beside its backward, one step at a time.

Part of reference.py, which takes its kernels from here. What a sweep may have besides weights is said in sweeps.py.

A cell's forward is ``(sweep, gates_x, h, h_masked, c) -> (new h, new c, gates, cache)``, its backward
``(sweep, cache, grad of new h, grad of new c, grads) -> (grad of gates_x, of h, of h_masked, of c)``; 0 stands for no
gradient. Backward adds the gradients of the weights to those in `grads`, a Sweep of arrays. A GRU or RNN has None for c.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from tinyrnn.kernels.narrow import in_32_bits
from tinyrnn.kernels.sweeps import Saved, Sweep

_quiet = np.errstate(all="ignore")
_EPS = 1e-5  # of every layer normalization in here
_ALL = slice(None)


@_quiet
@partial(in_32_bits, at=1)
def recurrent_forward(mode, x, batch_sizes, sweeps, save):
    runs = [_sweep_forward(_CELLS[mode], x, batch_sizes, sweep, save) for sweep in sweeps]
    outputs, finals, saved = zip(*runs)
    return np.concatenate(outputs, axis=1), list(finals), list(saved)


@_quiet
@partial(in_32_bits, at=1)
def recurrent_step(mode, x, states, weights):
    finals = []
    for initial, own in zip(zip(*states), weights):
        x, (final,), _ = recurrent_forward(mode, x, np.array([len(x)]), [Sweep(*own, *initial)], False)
        finals.append(final)
    return x, tuple([np.stack(each) for each in zip(*finals)])


@_quiet
@partial(in_32_bits, at=4)
def recurrent_backward(mode, grad_output, grad_finals, grad_cells, x, batch_sizes, sweeps, output, saved, needs_x):
    P = sweeps[0].h_0.shape[1]
    grad_x, grads = None, []
    for d, sweep in enumerate(sweeps):
        grad_h = None if grad_output is None else grad_output[:, d * P : (d + 1) * P]
        grad_gates_x, grad = _sweep_backward(_CELLS[mode], grad_h, grad_finals[d], grad_cells[d], batch_sizes, sweep, saved[d])
        if needs_x:
            through = grad_gates_x if sweep.weight_ih is None else grad_gates_x @ sweep.weight_ih
            grad_x = through if grad_x is None else grad_x + through
        if sweep.weight_ih is not None:
            grad = grad._replace(weight_ih=grad_gates_x.T @ x)
        if sweep.bias_ih is not None:
            grad = grad._replace(bias_ih=grad_gates_x.sum(axis=0))
        grads.append(grad)
    return grad_x, grads


# ---- over time -----------------------------------------------------------------------------------------------------
# The states are whole batches, (B, ...), of which a step sees and replaces the first `size` rows: sequences that have ended
# keep their last state and, in reverse, those that have not begun their first.


def _steps(batch_sizes, reverse):
    """(the packed rows of a step, how many they are), in the order in which the sweep comes by."""
    ends = np.cumsum(batch_sizes).tolist()
    steps = [(slice(end - size, end), size) for end, size in zip(ends, batch_sizes)]
    return steps[::-1] if reverse else steps


def _sweep_forward(cell, x, batch_sizes, sweep, save):
    gates_x = x if sweep.weight_ih is None else x @ sweep.weight_ih.T
    if sweep.bias_ih is not None:
        gates_x = gates_x + sweep.bias_ih
    h = sweep.h_0.copy()
    c = None if sweep.c_0 is None else sweep.c_0.copy()
    outputs, cells, gates, caches = np.empty_like(x, shape=(len(x), h.shape[1])), [], [], []
    for rows, size in _steps(batch_sizes, sweep.reverse):
        before = h[:size], None if c is None else c[:size]
        new_h, new_c, step_gates, cache = _step_forward(cell, sweep, gates_x[rows], *before, rows)
        outputs[rows] = h[:size] = new_h
        if c is not None:
            c[:size] = new_c
        if save:
            cells.append(new_c)
            gates.append(step_gates)
            caches.append(cache)
    finals = (h,) if c is None else (h, c)
    if not save:
        return outputs, finals, None
    H = sweep.weight_hh.shape[0] // cell.gates
    return outputs, finals, Saved(
        None if c is None else _packed(cells, sweep.reverse, x, H),
        _packed(gates, sweep.reverse, x, cell.saved_gates * H) if cell.saved_gates else None,
        caches,
    )  # fmt: skip


def _packed(steps, reverse, like, width):
    """The rows of all steps, given in the order of the sweep, in packed order."""
    return np.concatenate([np.empty_like(like, shape=(0, width)), *(steps[::-1] if reverse else steps)])


def _sweep_backward(cell, grad_output, grad_finals, grad_cells, batch_sizes, sweep, saved):
    """The gradient of the projected input, and the Sweep of gradients, but those of weight_ih and bias_ih."""
    grads = _zeros_like(sweep)
    grad_h = grads.h_0 if grad_finals[0] is None else grad_finals[0].copy()
    grad_c = grads.c_0
    if grad_c is not None and grad_finals[1] is not None:
        grad_c = grad_finals[1].copy()
    N, wide = int(sum(batch_sizes)), sweep.weight_hh.shape[0]
    grad_gates_x = np.empty_like(sweep.weight_hh, shape=(N, wide))
    steps = _steps(batch_sizes, sweep.reverse)
    for (rows, size), cache in zip(steps[::-1], saved.extra[::-1]):
        step_grad_h, step_grad_c = grad_h[:size], 0 if grad_c is None else grad_c[:size]
        if grad_output is not None:
            step_grad_h = step_grad_h + grad_output[rows]
        if grad_cells is not None:
            step_grad_c = step_grad_c + grad_cells[rows]
        grad_gates_x[rows], grad_h[:size], before_c = _step_backward(cell, sweep, cache, step_grad_h, step_grad_c, grads, rows)
        if grad_c is not None:
            grad_c[:size] = before_c
    return grad_gates_x, grads._replace(h_0=grad_h, c_0=grad_c)


def _zeros_like(sweep):
    """A Sweep of zeros to which gradients are added; None for what has no gradient, and for weight_ih and bias_ih."""
    single = ("weight_hh", "bias_hh", "h_0", "c_0", "weight_hr", "peephole")
    grads = {name: _zeros_of(getattr(sweep, name)) for name in single}
    for name in ("norm_h", "norm_c"):
        pair = getattr(sweep, name)
        grads[name] = None if pair is None else tuple(_zeros_of(each) for each in pair)
    return Sweep(weight_ih=None, bias_ih=None, **grads)


def _zeros_of(array):
    return None if array is None else np.zeros_like(array, order="C")


# ---- one step: what all cells share ---------------------------------------------------------------------------------


def _step_forward(cell, sweep, gates_x, h, c, rows):
    h, c = h.copy(), None if c is None else c.copy()  # views of the states, which the step replaces
    masked = h if sweep.recurrent_mask is None else h * sweep.recurrent_mask[: len(h)]
    cell_h, new_c, gates, cache = cell.forward(sweep, gates_x, h, masked, c)
    new_h = cell_h if sweep.weight_hr is None else cell_h @ sweep.weight_hr.T
    new_h = _zoneout_forward(new_h, h, _kept(sweep.zoneout_h, rows))
    if c is not None:
        new_c = _zoneout_forward(new_c, c, _kept(sweep.zoneout_c, rows))
    return new_h, new_c, gates, (cell_h, cache)


def _step_backward(cell, sweep, cache, grad_h, grad_c, grads, rows):
    """The gradients of gates_x, h and c."""
    cell_h, cache = cache
    grad_h, kept_h = _zoneout_backward(grad_h, _kept(sweep.zoneout_h, rows))
    grad_c, kept_c = _zoneout_backward(grad_c, _kept(sweep.zoneout_c, rows))
    if sweep.weight_hr is not None:
        grads.weight_hr[...] += grad_h.T @ cell_h
        grad_h = grad_h @ sweep.weight_hr
    grad_gates_x, before_h, before_masked, before_c = cell.backward(sweep, cache, grad_h, grad_c, grads)
    if sweep.recurrent_mask is not None:
        before_masked = before_masked * sweep.recurrent_mask[: len(cell_h)]
    return grad_gates_x, before_h + before_masked + kept_h, before_c + kept_c


def _kept(zoneout, rows):
    """The zoneout of one step."""
    return zoneout[rows] if hasattr(zoneout, "shape") else zoneout


def _zoneout_forward(new, before, kept):
    return new if kept is None else new + kept * (before - new)


def _zoneout_backward(grad, kept):
    """The gradients of the new and of the old state."""
    return (grad, 0) if kept is None else ((1 - kept) * grad, kept * grad)


def _hidden_forward(sweep, h, rows=_ALL):
    """``norm_h(W_hh h) + b_hh`` for some rows of W_hh, and what backward needs."""
    gates = h @ sweep.weight_hh[rows].T
    norm = None
    if sweep.norm_h is not None:
        gates, norm = _norm_forward(gates, *[each[rows] for each in sweep.norm_h])
    if sweep.bias_hh is not None:
        gates = gates + sweep.bias_hh[rows]
    return gates, (h, norm)


def _hidden_backward(sweep, cache, grad, grads, rows=_ALL):
    """The gradient of h."""
    h, norm = cache
    if sweep.bias_hh is not None:
        grads.bias_hh[rows] += grad.sum(axis=0)
    if sweep.norm_h is not None:
        grad = _norm_backward(grad, sweep.norm_h[0][rows], norm, *[each[rows] for each in grads.norm_h])
    grads.weight_hh[rows] += grad.T @ h
    return grad @ sweep.weight_hh[rows]


def _norm_forward(x, weight, bias):
    """Layer normalization of the rows, and what backward needs."""
    deviation = x - x.mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt((deviation * deviation).mean(axis=1, keepdims=True) + _EPS)
    normalized = deviation * rstd
    return normalized * weight + bias, (normalized, rstd)


def _norm_backward(grad, weight, cache, grad_weight, grad_bias):
    """The gradient of x; adds to those of weight and bias."""
    normalized, rstd = cache
    grad_weight += (grad * normalized).sum(axis=0)
    grad_bias += grad.sum(axis=0)
    inner = grad * weight
    along = (inner * normalized).mean(axis=1, keepdims=True)
    return (inner - inner.mean(axis=1, keepdims=True) - normalized * along) * rstd


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


# ---- Elman's RNN ---------------------------------------------------------------------------------------------------


def _rnn_tanh_forward(sweep, gates_x, h, masked, c):
    gates_h, product = _hidden_forward(sweep, masked)
    new_h = np.tanh(gates_x + gates_h)
    return new_h, None, None, (product, new_h)


def _rnn_tanh_backward(sweep, cache, grad_h, grad_c, grads):
    product, new_h = cache
    grad_gates = grad_h * (1 - new_h * new_h)
    return grad_gates, 0, _hidden_backward(sweep, product, grad_gates, grads), 0


def _rnn_relu_forward(sweep, gates_x, h, masked, c):
    gates_h, product = _hidden_forward(sweep, masked)
    new_h = np.maximum(gates_x + gates_h, 0)
    return new_h, None, None, (product, new_h)


def _rnn_relu_backward(sweep, cache, grad_h, grad_c, grads):
    product, new_h = cache
    grad_gates = np.where(new_h <= 0, 0, grad_h)
    return grad_gates, 0, _hidden_backward(sweep, product, grad_gates, grads), 0


# ---- LSTM ----------------------------------------------------------------------------------------------------------


def _lstm_forward(sweep, gates_x, h, masked, c):
    gates_h, product = _hidden_forward(sweep, masked)
    i, f, g, o = np.split(gates_x + gates_h, 4, axis=1)
    if sweep.peephole is not None:
        i, f = i + sweep.peephole[0] * c, f + sweep.peephole[1] * c
    i, f, g = _sigmoid(i), _sigmoid(f), np.tanh(g)
    new_c = f * c + i * g
    if sweep.peephole is not None:
        o = o + sweep.peephole[2] * new_c
    o = _sigmoid(o)
    seen, norm = (new_c, None) if sweep.norm_c is None else _norm_forward(new_c, *sweep.norm_c)
    tanh_c = np.tanh(seen)
    return o * tanh_c, new_c, np.concatenate([i, f, g, o], axis=1), (product, c, i, f, g, o, new_c, tanh_c, norm)


def _lstm_backward(sweep, cache, grad_h, grad_c, grads):
    product, c, i, f, g, o, new_c, tanh_c, norm = cache
    grad_o = grad_h * tanh_c * o * (1 - o)
    grad_seen = grad_h * o * (1 - tanh_c * tanh_c)
    if sweep.norm_c is not None:
        grad_seen = _norm_backward(grad_seen, sweep.norm_c[0], norm, *grads.norm_c)
    grad_c = grad_c + grad_seen
    if sweep.peephole is not None:
        grads.peephole[2] += (grad_o * new_c).sum(axis=0)
        grad_c = grad_c + grad_o * sweep.peephole[2]
    grad_i = grad_c * g * i * (1 - i)
    grad_f = grad_c * c * f * (1 - f)
    grad_g = grad_c * i * (1 - g * g)
    before_c = grad_c * f
    if sweep.peephole is not None:
        grads.peephole[0] += (grad_i * c).sum(axis=0)
        grads.peephole[1] += (grad_f * c).sum(axis=0)
        before_c = before_c + grad_i * sweep.peephole[0] + grad_f * sweep.peephole[1]
    grad_gates = np.concatenate([grad_i, grad_f, grad_g, grad_o], axis=1)
    return grad_gates, 0, _hidden_backward(sweep, product, grad_gates, grads), before_c


# ---- GRU: the reset gate after the product, as in cuDNN and PyTorch --------------------------------------------------


def _gru_forward(sweep, gates_x, h, masked, c):
    gates_h, product = _hidden_forward(sweep, masked)
    xr, xz, xn = np.split(gates_x, 3, axis=1)
    hr, hz, hn = np.split(gates_h, 3, axis=1)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return (1 - z) * n + z * h, None, np.concatenate([r, z, n, hn], axis=1), (product, h, r, z, n, hn)


def _gru_backward(sweep, cache, grad_h, grad_c, grads):
    product, h, r, z, n, hn = cache
    grad_n = grad_h * (1 - z) * (1 - n * n)
    grad_z = grad_h * (h - n) * z * (1 - z)
    grad_r = grad_n * hn * r * (1 - r)
    grad_gates_x = np.concatenate([grad_r, grad_z, grad_n], axis=1)
    grad_gates_h = np.concatenate([grad_r, grad_z, grad_n * r], axis=1)
    return grad_gates_x, grad_h * z, _hidden_backward(sweep, product, grad_gates_h, grads), 0


# ---- GRU: the reset gate before the product (Cho et al. 2014) --------------------------------------------------------


def _gru_reset_before_forward(sweep, gates_x, h, masked, c):
    H = h.shape[1]
    xr, xz, xn = np.split(gates_x, 3, axis=1)
    gates_h, product = _hidden_forward(sweep, masked, slice(0, 2 * H))
    hr, hz = np.split(gates_h, 2, axis=1)
    r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
    hn, product_n = _hidden_forward(sweep, r * masked, slice(2 * H, 3 * H))
    n = np.tanh(xn + hn)
    return (1 - z) * n + z * h, None, np.concatenate([r, z, n], axis=1), (product, product_n, h, masked, r, z, n)


def _gru_reset_before_backward(sweep, cache, grad_h, grad_c, grads):
    product, product_n, h, masked, r, z, n = cache
    H = h.shape[1]
    grad_n = grad_h * (1 - z) * (1 - n * n)
    grad_z = grad_h * (h - n) * z * (1 - z)
    grad_reset = _hidden_backward(sweep, product_n, grad_n, grads, slice(2 * H, 3 * H))  # that of r * masked
    grad_r = grad_reset * masked * r * (1 - r)
    grad_rz = np.concatenate([grad_r, grad_z], axis=1)
    grad_masked = grad_reset * r + _hidden_backward(sweep, product, grad_rz, grads, slice(0, 2 * H))
    return np.concatenate([grad_rz, grad_n], axis=1), grad_h * z, grad_masked, 0


class _Cell(NamedTuple):
    """gates : how many gates G lie in weight_hh. saved_gates : how many there are in Saved.gates."""

    gates: int
    saved_gates: int
    forward: Callable
    backward: Callable


_CELLS = {
    "RNN_TANH": _Cell(1, 0, _rnn_tanh_forward, _rnn_tanh_backward),
    "RNN_RELU": _Cell(1, 0, _rnn_relu_forward, _rnn_relu_backward),
    "LSTM": _Cell(4, 4, _lstm_forward, _lstm_backward),
    "GRU": _Cell(3, 4, _gru_forward, _gru_backward),
    "GRU_RESET_BEFORE": _Cell(3, 3, _gru_reset_before_forward, _gru_reset_before_backward),
}
