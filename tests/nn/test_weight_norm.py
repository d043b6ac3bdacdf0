"""Weight norm, in both ways that PyTorch has: its numbers, names and gradients, in linear and recurrent layers."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.autograd import gradcheck, gradgradcheck

LAYERS = {
    "linear": (lambda nn: nn.Linear(4, 3), ["weight"]),
    "lstm": (lambda nn: nn.LSTM(4, 3, 2), ["weight_hh_l0", "weight_ih_l1"]),
    "gru": (lambda nn: nn.GRU(4, 3, bidirectional=True), ["weight_hh_l0_reverse"]),
    "bias": (lambda nn: nn.Linear(4, 3), ["bias"]),
}
WAYS = {"old": lambda nn: nn.utils.weight_norm, "parametrization": lambda nn: nn.utils.parametrizations.weight_norm}


def first(output):
    return output[0] if isinstance(output, tuple) else output


def run(lib, layer, way, dim, state):
    """Names of parameters, and what comes out before and after two steps of training."""
    make, names = LAYERS[layer]
    module = make(lib.nn).double()
    module.load_state_dict({name: lib.tensor(value) for name, value in state.items()})
    for name in names:
        assert WAYS[way](lib.nn)(module, name, **({} if dim == 0 else {"dim": dim})) is module
    x = lib.tensor(np.random.default_rng(1).normal(size=(5, 2, 4)))
    optimizer = lib.optim.SGD(module.parameters(), lr=0.1)
    seen = []
    for _ in range(3):
        output = first(module(x))
        seen.append(output.detach().numpy())
        optimizer.zero_grad()
        (output * output).sum().backward()
        optimizer.step()
    seen += [parameter.grad.numpy() for parameter in module.parameters()]
    return [(name, tuple(value.shape)) for name, value in module.state_dict().items()], seen


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:RNN module weights are not part")
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", LAYERS)
def test_trains_as_in_pytorch(layer, way, dim):
    torch = pytest.importorskip("torch")
    if layer == "bias" and dim == 1:
        return
    rng = np.random.default_rng(0)
    state = {name: rng.normal(size=tuple(value.shape)) for name, value in LAYERS[layer][0](nn).state_dict().items()}
    names, ours = run(tinyrnn, layer, way, dim, state)
    expected, theirs = run(torch, layer, way, dim, state)
    assert names == expected, "in this order"
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_second_derivatives_go_through_it(way):
    lstm = WAYS[way](nn)(nn.LSTM(2, 3), "weight_hh_l0").double()
    inputs = tuple(lstm.parameters())
    x = tinyrnn.randn(3, 2, 2, dtype=tinyrnn.float64)
    assert gradcheck(lambda *parameters: lstm(x)[0], inputs)
    assert gradgradcheck(lambda *parameters: lstm(x)[0], inputs)


def test_removing_it_gives_the_parameter_back():
    linear = nn.Linear(4, 3)
    x, before = tinyrnn.randn(2, 4), [name for name, _ in linear.named_parameters()]
    y = linear(x)
    nn.utils.weight_norm(linear)
    with tinyrnn.no_grad():
        linear.weight_g *= 2
    nn.utils.remove_weight_norm(linear)
    assert sorted(name for name, _ in linear.named_parameters()) == sorted(before)
    assert isinstance(linear.weight, nn.Parameter) and linear.weight.requires_grad
    assert tinyrnn.allclose(linear(x) - linear.bias, 2 * (y - linear.bias), atol=1e-6)
    with pytest.raises(ValueError, match="weight_norm of 'weight' not found in Linear"):
        nn.utils.remove_weight_norm(linear)


def test_what_cannot_be_normalized():
    linear = nn.utils.weight_norm(nn.Linear(4, 3))
    with pytest.raises(RuntimeError, match="two weight_norm hooks on the same parameter weight"):
        nn.utils.weight_norm(linear)
    for way in WAYS.values():
        with pytest.raises(AttributeError, match="has no parameter `weight_hh`"):
            way(nn)(nn.Linear(4, 3), "weight_hh")


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_has_weights_of_its_own(way):
    lstm = WAYS[way](nn)(nn.LSTM(4, 3), "weight_hh_l0")
    other = copy.deepcopy(lstm)
    with tinyrnn.no_grad():
        next(p for name, p in other.named_parameters() if name.endswith(("_g", "original0"))).mul_(2)
    assert tinyrnn.allclose(other.weight_hh_l0, 2 * lstm.weight_hh_l0)
    assert type(lstm).__name__ == {"old": "LSTM", "parametrization": "ParametrizedLSTM"}[way]
    WAYS[way](nn)(other, "weight_ih_l0")
    assert isinstance(lstm.weight_ih_l0, nn.Parameter) and not isinstance(other.weight_ih_l0, nn.Parameter)
    if way == "old":
        nn.utils.remove_weight_norm(other, "weight_hh_l0")
        assert isinstance(other.weight_hh_l0, nn.Parameter) and not isinstance(lstm.weight_hh_l0, nn.Parameter)


def test_a_stream_sees_the_weights_of_now():
    lstm, x = nn.utils.weight_norm(nn.LSTM(4, 3), "weight_hh_l0"), tinyrnn.randn(5, 2, 4)
    with tinyrnn.no_grad():
        lstm.weight_hh_l0_g *= 3
    state = None
    for step in x:
        y, state = lstm.step(step, state)
    assert tinyrnn.allclose(y, lstm(x)[0][-1], atol=1e-6)
