"""Initialisers: bounds and moments, shapes, errors, gains equal to PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.nn import init


@pytest.fixture(autouse=True)
def seed():
    tinyrnn.manual_seed(0)


def big(*shape):
    return nn.Parameter(tinyrnn.zeros(*(shape or (300, 200)), dtype=tinyrnn.float64))


def near_uniform(array, bound):
    assert np.abs(array).max() <= bound and np.abs(array).max() > 0.99 * bound
    np.testing.assert_allclose(array.std(), bound / math.sqrt(3), rtol=0.02)
    assert abs(array.mean()) < 0.02 * bound


def near_normal(array, std):
    np.testing.assert_allclose(array.std(), std, rtol=0.02)
    np.testing.assert_allclose((array**4).mean(), 3 * std**4, rtol=0.1)


def test_bounds_and_moments():
    near_uniform(init.uniform_(big(), -0.3, 0.3).array, 0.3)
    near_normal(init.normal_(big(), 0.0, 0.2).array, 0.2)
    near_uniform(init.xavier_uniform_(big(), 2.0).array, 2 * math.sqrt(6 / 500))
    near_normal(init.xavier_normal_(big()).array, math.sqrt(2 / 500))
    near_uniform(init.kaiming_uniform_(big(), nonlinearity="relu").array, math.sqrt(6 / 200))
    near_uniform(init.kaiming_uniform_(big(), a=math.sqrt(5)).array, 1 / math.sqrt(200))
    near_normal(init.kaiming_normal_(big(), mode="fan_out", nonlinearity="tanh").array, 5 / 3 / math.sqrt(300))
    near_normal(init.kaiming_normal_(big(30, 20, 50), nonlinearity="linear").array, 1 / math.sqrt(1000))


def test_layers_start_as_in_pytorch():
    layer = nn.Linear(200, 300, dtype=tinyrnn.float64)
    near_uniform(layer.weight.array, 1 / math.sqrt(200))
    assert np.abs(layer.bias.array).max() <= 1 / math.sqrt(200)
    table = nn.Embedding(300, 200, padding_idx=3, dtype=tinyrnn.float64)
    assert (table.weight.array[3] == 0).all()
    near_normal(np.delete(table.weight.array, 3, axis=0), 1.0)
    norm = nn.LayerNorm((2, 3))
    assert (norm.weight.array == 1).all() and (norm.bias.array == 0).all()


def test_constants():
    p = big(3, 5)
    for fill, value in ((lambda: init.constant_(p, 0.5), 0.5), (lambda: init.ones_(p), 1), (lambda: init.zeros_(p), 0)):
        assert fill() is p and (p.array == value).all()
    np.testing.assert_array_equal(init.eye_(p).array, np.eye(3, 5))
    assert p.is_leaf and p.requires_grad


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (7, 4), (3, 2, 4)])
def test_orthogonal(shape):
    p = init.orthogonal_(big(*shape), gain=2.0)
    flat = p.array.reshape(shape[0], -1) / 2
    small = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(small, np.eye(min(flat.shape)), atol=1e-12)
    assert p.is_leaf


def test_generator_and_seed():
    first = init.normal_(big(4, 4), generator=tinyrnn.Generator().manual_seed(3)).array
    again = init.normal_(big(4, 4), generator=tinyrnn.Generator().manual_seed(3)).array
    np.testing.assert_array_equal(first, again)
    tinyrnn.manual_seed(5)
    one = nn.Linear(3, 3).weight.array
    tinyrnn.manual_seed(5)
    np.testing.assert_array_equal(one, nn.Linear(3, 3).weight.array)


def test_errors():
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_uniform_(big(3))
    with pytest.raises(ValueError, match="Mode"):
        init.kaiming_uniform_(big(3, 3), mode="fan")
    with pytest.raises(ValueError, match="Unsupported nonlinearity"):
        init.calculate_gain("nothing")
    with pytest.raises(ValueError, match="2 dimensions"):
        init.eye_(big(3))
    with pytest.raises(ValueError, match="2 or more"):
        init.orthogonal_(big(3))


def test_truncated_normal():
    array = init.trunc_normal_(big(), mean=1.0, std=2.0, a=-1.0, b=4.0).array
    assert array.min() >= -1 and array.max() <= 4 and array.min() < -0.99 and array.max() > 3.99
    inside = np.random.default_rng(0).normal(1, 2, 200_000)
    inside = inside[(inside >= -1) & (inside <= 4)]
    np.testing.assert_allclose([array.mean(), array.std()], [inside.mean(), inside.std()], rtol=0.02)
    for a, b in ((8.0, 9.0), (1.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match=r"too far from mean=0.0 with std=1.0, or empty; widen it"):
            init.trunc_normal_(big(3, 3), a=a, b=b)


def test_gains_equal_pytorch():
    torch = pytest.importorskip("torch")
    for name, param in [(n, None) for n in ("linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu")] + [("leaky_relu", 0.3)]:
        assert init.calculate_gain(name, param) == torch.nn.init.calculate_gain(name, param)
