"""One step of the recurrent cells on a GPU, pointwise (recurrent_cells.cu). Elman's is an activations kernel."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.gpu import activations, launch, loader


def rnn_cell_forward(gates_x, gates_h, nonlinearity):
    operation = "tanh(w(x) + w(h))" if nonlinearity == "tanh" else "w(x) + w(h) <= 0 ? decltype(w(x))(0) : w(x) + w(h)"
    return activations.kernel("T x, T h", operation, f"rnn_cell_{nonlinearity}")(gates_x, gates_h)


def rnn_cell_backward(grad_h, h, nonlinearity):
    return activations.tanh_backward(grad_h, h) if nonlinearity == "tanh" else activations.relu_backward(grad_h, h)


def lstm_cell_forward(gates_x, gates_h, c):
    return _launch("lstm_cell_forward", (gates_x, gates_h, c), c, (1, 1, 4))


def lstm_cell_backward(grad_h, grad_c, c, new_c, gates):
    return _launch("lstm_cell_backward", (grad_h, grad_c, c, new_c, gates), c, (4, 1))


def gru_cell_forward(gates_x, gates_h, h):
    return _launch("gru_cell_forward", (gates_x, gates_h, h), h, (1, 4))


def gru_cell_backward(grad_h, h, gates):
    return _launch("gru_cell_backward", (grad_h, h, gates), h, (3, 3, 1))


def _launch(kernel, arrays, state, widths):
    """The results of a kernel: each of the shape of the state (..., H), with so many times its last size."""
    H = state.shape[-1]
    results = tuple(loader.cupy().empty((*state.shape[:-1], width * H), state.dtype) for width in widths)
    arguments = (*launch.contiguous(*arrays), *results, np.int64(H), np.int64(state.size))
    launch.over_elements("recurrent_cells.cu", kernel, state.size, state.dtype, arguments)
    return results
