"""Parameters as one vector."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.nn.utils import parameters_to_vector, vector_to_parameters


def test_there_and_back():
    model, other = nn.LSTM(3, 4), nn.LSTM(3, 4)
    vector = parameters_to_vector(model.parameters())
    assert vector.shape == (sum(p.numel() for p in model.parameters()),)
    before = list(other.parameters())
    vector_to_parameters(vector, other.parameters())
    for p, q, same in zip(model.parameters(), other.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.detach(), q.detach())
        assert q is same and q.requires_grad and q.is_leaf


def test_gradients_flow():
    layer = nn.Linear(2, 2)
    (parameters_to_vector(layer.parameters()) ** 2).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, 2 * layer.weight.detach())


def test_the_length_has_to_fit():
    with pytest.raises(ValueError, match=r"expected a vector of 6 elements, got shape \(5,\)"):
        vector_to_parameters(tinyrnn.ones(5), nn.Linear(2, 2).parameters())
