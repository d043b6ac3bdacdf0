"""Calls that nobody records take shorter ways, if the layer is plain: they give what recorded calls give."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.nn import utils

KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
OPTIONS = [
    {}, {"bias": False}, {"single_bias": True}, {"batch_first": True}, {"bidirectional": True}, {"num_layers": 3},
    {"num_layers": 2, "bidirectional": True, "batch_first": True}, {"num_layers": 2, "residual": True}, {"zoneout": 0.3},
    {"layer_norm": True}, {"recurrent_dropout": 0.4}, {"input_dropout": 0.4}, {"num_layers": 2, "dropout": 0.4},
]  # fmt: skip
OF_ONE = {
    "RNN": [{"nonlinearity": "relu"}],
    "LSTM": [{"peephole": True}, {"proj_size": 2}, {"forget_bias": 1.0}, {"zoneout": (0.0, 0.3)}],
    "GRU": [{"reset_after": False}, {"reset_after": False, "bidirectional": True}],
}
CASES = [(kind, options) for kind in KINDS for options in OPTIONS + OF_ONE[kind]]


def tensors(value):
    return [value] if isinstance(value, tinyrnn.Tensor) else [tensor for each in value for tensor in tensors(each)]


def assert_same(recorded, plain):
    """The same numbers, and shapes that may be written to afterwards."""
    for a, b in zip(tensors(recorded), tensors(plain), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype and not b.requires_grad
        np.testing.assert_allclose(b.numpy(), a.detach().numpy(), rtol=1e-6, atol=1e-6)
        b.add_(1)


def both_ways(function):
    tinyrnn.manual_seed(3)
    recorded = function()
    tinyrnn.manual_seed(3)
    with tinyrnn.no_grad():
        plain = function()
    return recorded, plain


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("T", [1, 4])
@pytest.mark.parametrize("kind, options", CASES, ids=str)
def test_same_as_a_recorded_call(kind, options, T, training):
    layer = KINDS[kind](3, 5, **options).train(training)
    x = tinyrnn.randn(2, T, 3) if layer.batch_first else tinyrnn.randn(T, 2, 3)
    recorded, plain = both_ways(lambda: layer(x))
    assert_same(recorded, plain)
    state = layer(x)[1]
    state = tuple(each.detach() for each in state) if kind == "LSTM" else state.detach()
    assert_same(*both_ways(lambda: layer(x, state)))
    if not layer.bidirectional and not (training and (layer.recurrent_dropout or layer.input_dropout)):
        x_t = tinyrnn.randn(2, 3)
        assert_same(*both_ways(lambda: layer.step(x_t, state)))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_no_parameters(kind):
    layer = KINDS[kind](3, 5)
    for name in ("weight_hh_l0", "bias_ih_l0"):
        utils.weight_norm(layer, name)
    x = tinyrnn.randn(4, 2, 3)
    assert_same(*both_ways(lambda: layer(x)))
    assert_same(*both_ways(lambda: layer.step(x[0])))
    ours = [[tuple(weight.shape) for weight in own] for own in layer.all_weights]
    assert ours == [[tuple(weight.shape) for weight in own] for own in KINDS[kind](3, 5).all_weights]


def test_hooks_run_and_frozen_layers_are_plain_too():
    layer, seen = nn.LSTM(3, 5), []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output[0].shape))
    with tinyrnn.no_grad():
        layer(tinyrnn.randn(4, 2, 3))
        layer(tinyrnn.randn(1, 2, 3))
    assert seen == [(4, 2, 5), (1, 2, 5)]
    layer.requires_grad_(False)
    x = tinyrnn.randn(4, 2, 3, requires_grad=True)
    layer(x)[0].sum().backward()
    assert x.grad is not None and layer.weight_hh_l0.grad is None


def test_transposed_and_empty_inputs():
    layer = nn.GRU(3, 5)
    x = tinyrnn.randn(2, 4, 3).transpose(0, 1)
    assert_same(*both_ways(lambda: layer(x)))
    for empty in (
        lambda: layer(tinyrnn.ones(1, 0, 3)),
        lambda: layer(tinyrnn.ones(0, 2, 3)),
        lambda: layer.step(tinyrnn.ones(0, 3)),
    ):
        for mode in (tinyrnn.no_grad, tinyrnn.enable_grad):
            with mode(), pytest.raises(ValueError, match="is empty"):
                empty()
