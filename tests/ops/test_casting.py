"""Casts are on the tape: gradients come back in the dtype of their tensor, once and twice."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn

FLOATS = ["float16", "float32", "float64"]


@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("target", FLOATS)
def test_derivatives_of_a_cast(source, target):
    x = tinyrnn.tensor([0.5, -2.0, 3.0], dtype=getattr(tinyrnn, source), requires_grad=True)
    (first,) = tinyrnn.autograd.grad((x.to(getattr(tinyrnn, target)) ** 3).sum(), x, create_graph=True)
    (second,) = tinyrnn.autograd.grad(first.sum(), x)
    assert first.dtype == second.dtype == x.dtype
    np.testing.assert_allclose(first.detach().numpy(), 3 * x.detach().numpy() ** 2)
    np.testing.assert_allclose(second.numpy(), 6 * x.detach().numpy())


def test_a_cast_to_the_same_dtype_is_the_tensor_itself():
    x = tinyrnn.ones(2, requires_grad=True)
    assert x.to(tinyrnn.float32) is x


def test_integers_have_no_gradient():
    x = tinyrnn.ones(2, requires_grad=True)
    assert not x.long().requires_grad
