"""Reading a stream step by step with `layer.step` is running the layer over the whole sequence."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn

KINDS = [nn.RNN, nn.LSTM, nn.GRU]


def states_of(state):
    return state if isinstance(state, tuple) else (state,)


def random_state(layer, B, dtype=None):
    states = [tinyrnn.randn(layer.num_layers, B, layer.hidden_size, dtype=dtype) for _ in range(1 + isinstance(layer, nn.LSTM))]
    return tuple(states) if len(states) > 1 else states[0]


SIZES = [(1, 3, 5, 1), (1, 64, 64, 2), (3, 7, 33, 2), (12, 17, 20, 3), (1, 128, 256, 1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("B", "I", "H", "layers"), SIZES)
@pytest.mark.parametrize("dtype", [tinyrnn.float32, tinyrnn.float64])
@pytest.mark.parametrize("bias", [True, False])
def test_steps_are_the_sequence(kind, B, I, H, layers, dtype, bias):  # noqa: E741
    layer = kind(I, H, layers, bias=bias, dtype=dtype)
    x, state = tinyrnn.randn(6, B, I, dtype=dtype), random_state(layer, B, dtype)
    with tinyrnn.no_grad():
        expected, expected_state = layer(x, state)
        outputs = []
        for x_t in x:
            before = [each.clone() for each in states_of(state)]
            output, new = layer.step(x_t, state)
            assert all((a == b).all() for a, b in zip(states_of(state), before))
            outputs.append(output)
            state = new
    tolerance = 1e-5 if dtype is tinyrnn.float32 else 1e-12
    np.testing.assert_allclose(tinyrnn.stack(outputs).numpy(), expected.numpy(), atol=tolerance, rtol=tolerance)
    for got, right in zip(states_of(state), states_of(expected_state), strict=True):
        assert got.shape == right.shape
        np.testing.assert_allclose(got.numpy(), right.numpy(), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_flow_through_steps(kind):
    layer = kind(4, 6, 2, dtype=tinyrnn.float64)
    x = tinyrnn.randn(5, 3, 4, dtype=tinyrnn.float64, requires_grad=True)
    output, _ = layer(x)
    expected = tinyrnn.autograd.grad(output.sum(), [x, *layer.parameters()])
    state, outputs = None, []
    for x_t in x:
        output, state = layer.step(x_t, state)
        outputs.append(output)
    got = tinyrnn.autograd.grad(tinyrnn.stack(outputs).sum(), [x, *layer.parameters()])
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_without_batch(kind, batch_first):
    layer = kind(4, 6, batch_first=batch_first)
    x = tinyrnn.randn(4)
    with tinyrnn.no_grad():
        output, state = layer.step(x)
        expected, expected_state = layer.step(x[None])
    assert output.shape == (6,)
    np.testing.assert_allclose(output.numpy(), expected[0].numpy(), atol=1e-6)
    for got, right in zip(states_of(state), states_of(expected_state)):
        np.testing.assert_allclose(got.numpy(), right[:, 0].numpy(), atol=1e-6)


def test_dropout_between_layers_is_applied_in_training_only():
    layer = nn.GRU(4, 64, 2, dropout=0.5, batch_first=True)
    x = tinyrnn.randn(3, 4)
    with tinyrnn.no_grad():
        a, b = layer.step(x)[0], layer.step(x)[0]
        assert a.shape == (3, 64)
        assert not (a == b).all()
        layer.eval()
        a, b = layer.step(x)[0], layer.step(x)[0]
        assert (a == b).all()


def test_bad_input_is_one_sentence():
    layer = nn.LSTM(4, 6)
    with pytest.raises(RuntimeError, match=r"LSTM: input has 5 features, expected input_size=4"):
        layer.step(tinyrnn.randn(2, 5))
    with pytest.raises((ValueError, RuntimeError), match=r"LSTM: .*3-D|dimensions|\(batch, feature\)"):
        layer.step(tinyrnn.randn(1, 2, 4))
    with pytest.raises(RuntimeError, match="h_0"):
        layer.step(tinyrnn.randn(2, 4), (tinyrnn.zeros(1, 3, 6), tinyrnn.zeros(1, 2, 6)))
    with pytest.raises(ValueError, match="bidirectional"):
        nn.GRU(4, 6, bidirectional=True).step(tinyrnn.randn(2, 4))
