"""One step of every recurrent cell, spelled out in primitive ops (rung L0): the definition of the layers.

A step is called with ``gates_x = W_ih x + b_ih`` (n, G*H), the tuple of states, h as the product with W_hh sees it, and the
Sweep with its options (kernels/sweeps.py), all of them tensors or arrays. It returns the new states before projection and
zoneout, which recurrent_stepped.py adds. Gate order: LSTM i, f, g, o; GRU r, z, n.
"""

from __future__ import annotations

from tinyrnn.ops.activations import relu, sigmoid, tanh
from tinyrnn.ops.casting import array
from tinyrnn.ops.normalization import layer_norm
from tinyrnn.ops.products import linear
from tinyrnn.ops.slicing import chunk, narrow


def rnn_tanh_step_composed(gates_x, state, masked_h, sweep):
    return (tanh(gates_x + _hidden_gates(masked_h, *_hidden_weights(sweep))),)


def rnn_relu_step_composed(gates_x, state, masked_h, sweep):
    return (relu(gates_x + _hidden_gates(masked_h, *_hidden_weights(sweep))),)


def lstm_step_composed(gates_x, state, masked_h, sweep):
    c = state[1]
    i, f, g, o = chunk(gates_x + _hidden_gates(masked_h, *_hidden_weights(sweep)), 4, 1)
    if sweep.peephole is None:
        new_c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    else:
        peep_i, peep_f, peep_o = chunk(sweep.peephole, 3, 0)
        new_c = sigmoid(f + c * peep_f) * c + sigmoid(i + c * peep_i) * tanh(g)
        o = o + new_c * peep_o
    seen = new_c if sweep.norm_c is None else _normalize(new_c, *sweep.norm_c)
    return sigmoid(o) * tanh(seen), new_c


def gru_step_composed(gates_x, state, masked_h, sweep):
    (h,) = state
    xr, xz, xn = chunk(gates_x, 3, 1)
    hr, hz, hn = chunk(_hidden_gates(masked_h, *_hidden_weights(sweep)), 3, 1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = tanh(xn + r * hn)
    return ((1 - z) * n + z * h,)


def gru_reset_before_step_composed(gates_x, state, masked_h, sweep):
    (h,) = state
    H = array(h).shape[1]
    xr, xz, xn = chunk(gates_x, 3, 1)
    weights_rz, weights_n = zip(*[_cut(each, 2 * H) for each in _hidden_weights(sweep)])
    hr, hz = chunk(_hidden_gates(masked_h, *weights_rz), 2, 1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = tanh(xn + _hidden_gates(r * masked_h, *weights_n))
    return ((1 - z) * n + z * h,)


def _hidden_weights(sweep):
    """W_hh, b_hh, and weight and bias of norm_h; None for those that are absent."""
    return sweep.weight_hh, sweep.bias_hh, *(sweep.norm_h or (None, None))


def _hidden_gates(h, weight_hh, bias_hh, norm_weight, norm_bias):
    """``norm(W_hh h) + b_hh``."""
    if norm_weight is None:
        return linear(h, weight_hh, bias_hh)
    gates = _normalize(linear(h, weight_hh), norm_weight, norm_bias)
    return gates if bias_hh is None else gates + bias_hh


def _normalize(x, weight, bias):
    return layer_norm(x, array(weight).shape, weight, bias)


def _cut(weight, size):
    """The first `size` rows and the others."""
    if weight is None:
        return None, None
    return narrow(weight, 0, 0, size), narrow(weight, 0, size, array(weight).shape[0] - size)
