"""One step of a recurrent layer as one node on the tape (rung L1): RNN, LSTM and GRU cells.

The product with W_hh, then one kernel for the rest. Backward is a kernel too; while backward itself is recorded, it composes
the same formula from ops. Equal to the definitions in recurrent_composed.py to rounding, gradients of any order included.

Every step is called with ``gates_x = W_ih x + b_ih`` of shape (B, G*H), the states as a tuple of tensors (B, H), and
``weight_hh`` (G*H, H), ``bias_hh`` (G*H) or None. It returns the new states. Gate order: LSTM i, f, g, o; GRU r, z, n.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.activations import tanh
from tinyrnn.ops.broadcasting import sum_to
from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.products import linear, matmul
from tinyrnn.ops.recurrent_composed import (
    gru_reset_before_step_composed,
    gru_step_composed,
    lstm_step_composed,
    rnn_relu_step_composed,
    rnn_tanh_step_composed,
)
from tinyrnn.ops.shaping import transpose
from tinyrnn.ops.slicing import cat, chunk


class Cell(NamedTuple):
    """What a layer has to know of its cell.

    gates : how many gates G lie in ``weight_ih`` (G*H, I).
    states : names of the states, first the one that is the output.
    step_composed : one step in primitive ops, see recurrent_composed.py.
    step : a function that makes one node per step; None if there is none.
    """

    gates: int
    states: tuple[str, ...]
    step_composed: Callable[..., tuple]
    step: Any


def _hidden_gates(h, weight_hh, bias_hh):
    """``W_hh h + b_hh`` on plain arrays."""
    return linear(array(h), array(weight_hh), None if bias_hh is None else array(bias_hh))


def _hidden_gradients(node, grad_gates, h, weight_hh, inputs):
    """Gradients of ``W_hh h + b_hh`` for (h, W_hh, b_hh), of which `inputs` are the numbers among the node's inputs."""
    hidden, weight, bias = inputs
    return (
        matmul(grad_gates, weight_hh) if node.needs(hidden) else None,
        matmul(transpose(grad_gates, 0, 1), h) if node.needs(weight) else None,
        sum_to(grad_gates, array(grad_gates).shape[1:]) if node.needs(bias) else None,
    )


def _sum(*terms):
    """The sum of those gradients that are there; None if none is."""
    total = None
    for term in terms:
        if term is not None:
            total = term if total is None else total + term
    return total


def _or_zeros(grad, like):
    return np.zeros_like(array(like)) if grad is None else grad


# ---- Elman's RNN ---------------------------------------------------------------------------------------------------


def rnn_tanh_step(gates_x, state, weight_hh, bias_hh):
    return _rnn_step(gates_x, state, weight_hh, bias_hh, "tanh")


def rnn_relu_step(gates_x, state, weight_hh, bias_hh):
    return _rnn_step(gates_x, state, weight_hh, bias_hh, "relu")


def _rnn_step(gates_x, state, weight_hh, bias_hh, nonlinearity):
    (h,) = state
    x = array(gates_x)
    new_h = backend(x).rnn_cell_forward(x, _hidden_gates(h, weight_hh, bias_hh), nonlinearity)
    inputs = (gates_x, h, weight_hh, bias_hh)
    return (record(rnn_step_backward, inputs, new_h, (h, weight_hh, new_h, nonlinearity)),)


def rnn_step_backward(node, grad_h, h, weight_hh, new_h, nonlinearity):
    if not isinstance(grad_h, TensorBase):
        grad_gates = backend(grad_h).rnn_cell_backward(grad_h, new_h, nonlinearity)
    elif nonlinearity == "tanh":
        grad_gates = grad_h * (1 - new_h * new_h)
    else:
        grad_gates = grad_h * cast(array(new_h) > 0, array(new_h).dtype)
    return grad_gates, *_hidden_gradients(node, grad_gates, h, weight_hh, (1, 2, 3))


# ---- LSTM ----------------------------------------------------------------------------------------------------------


def lstm_step(gates_x, state, weight_hh, bias_hh):
    h, c = state
    x = array(gates_x)
    new_h, new_c, gates = backend(x).lstm_cell_forward(x, _hidden_gates(h, weight_hh, bias_hh), array(c))
    inputs = (gates_x, h, c, weight_hh, bias_hh)
    # the activated gates are an output too, so that they have a history when backward is recorded
    return record(lstm_step_backward, inputs, (new_h, new_c, gates), (h, c, weight_hh, new_c, gates))[:2]


def lstm_step_backward(node, grad_h, grad_c, grad_gates, h, c, weight_hh, new_c, gates):
    if grad_gates is None and not (isinstance(grad_h, TensorBase) or isinstance(grad_c, TensorBase)):
        kernels = backend(new_c)
        grad_h, grad_c = _or_zeros(grad_h, new_c), _or_zeros(grad_c, new_c)
        grad_gates, grad_c = kernels.lstm_cell_backward(grad_h, grad_c, array(c), new_c, gates)
    else:
        grad_gates, grad_c = _lstm_gradients(grad_h, grad_c, grad_gates, c, new_c, gates)
    grad_h, *grad_weights = _hidden_gradients(node, grad_gates, h, weight_hh, (1, 3, 4))
    return grad_gates, grad_h, grad_c, *grad_weights


def _lstm_gradients(grad_h, grad_c, grad_gates, c, new_c, gates):
    """The formula of the kernel ``lstm_cell_backward`` in ops, for when it is recorded or the gates have a gradient."""
    i, f, g, o = chunk(gates, 4, 1)
    gi, gf, gg, go = (None,) * 4 if grad_gates is None else chunk(grad_gates, 4, 1)
    if grad_h is not None:
        tanh_c = tanh(new_c)
        go = _sum(go, grad_h * tanh_c)
        grad_c = _sum(grad_c, grad_h * o * (1 - tanh_c * tanh_c))
    go = _or_zeros(go, new_c)
    grad_c = _or_zeros(grad_c, new_c)
    grad_i = _sum(gi, grad_c * g) * i * (1 - i)
    grad_f = _sum(gf, grad_c * c) * f * (1 - f)
    grad_g = _sum(gg, grad_c * i) * (1 - g * g)
    grad_o = go * o * (1 - o)
    return cat([grad_i, grad_f, grad_g, grad_o], 1), grad_c * f


# ---- GRU -----------------------------------------------------------------------------------------------------------


def gru_step(gates_x, state, weight_hh, bias_hh):
    (h,) = state
    x = array(gates_x)
    new_h, gates = backend(x).gru_cell_forward(x, _hidden_gates(h, weight_hh, bias_hh), array(h))
    inputs = (gates_x, h, weight_hh, bias_hh)
    # gates: r, z, n and the hidden part of n; an output too, so that it has a history when backward is recorded
    return record(gru_step_backward, inputs, (new_h, gates), (h, weight_hh, gates))[:1]


def gru_step_backward(node, grad_h, grad_gates, h, weight_hh, gates):
    if grad_gates is None and not isinstance(grad_h, TensorBase):
        grad_gates_x, grad_gates_h, direct = backend(gates).gru_cell_backward(grad_h, array(h), gates)
    else:
        grad_gates_x, grad_gates_h, direct = _gru_gradients(_or_zeros(grad_h, h), grad_gates, h, gates)
    through_gates, *grad_weights = _hidden_gradients(node, grad_gates_h, h, weight_hh, (1, 2, 3))
    return grad_gates_x, _sum(through_gates, direct) if node.needs(1) else None, *grad_weights


def _gru_gradients(grad_h, grad_gates, h, gates):
    """The formula of the kernel ``gru_cell_backward`` in ops, for when it is recorded or the gates have a gradient."""
    r, z, n, hn = chunk(gates, 4, 1)
    gr, gz, gn, ghn = (None,) * 4 if grad_gates is None else chunk(grad_gates, 4, 1)
    grad_n = _sum(gn, grad_h * (1 - z)) * (1 - n * n)
    grad_z = _sum(gz, grad_h * (h - n)) * z * (1 - z)
    grad_r = _sum(gr, grad_n * hn) * r * (1 - r)
    grad_hn = _sum(ghn, grad_n * r)
    return cat([grad_r, grad_z, grad_n], 1), cat([grad_r, grad_z, grad_hn], 1), grad_h * z


# Under the names of kernels/sweeps.py.
CELLS: dict[str, Cell] = {
    "RNN_TANH": Cell(1, ("h",), rnn_tanh_step_composed, rnn_tanh_step),
    "RNN_RELU": Cell(1, ("h",), rnn_relu_step_composed, rnn_relu_step),
    "LSTM": Cell(4, ("h", "c"), lstm_step_composed, lstm_step),
    "GRU": Cell(3, ("h",), gru_step_composed, gru_step),
    "GRU_RESET_BEFORE": Cell(3, ("h",), gru_reset_before_step_composed, None),
}
