"""Gradient clipping: equal to PyTorch, and its edge cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

SHAPES = [(3, 4), (5,), (), (2, 1, 2)]


def parameters(lib, dtype="float64", scale=1.0):
    rng = np.random.default_rng(0)
    made = []
    for shape in SHAPES:
        p = lib.nn.Parameter(lib.tensor(rng.standard_normal(shape).astype(dtype)))
        p.grad = lib.tensor((rng.standard_normal(shape) * scale).astype(dtype))
        made.append(p)
    made.append(lib.nn.Parameter(lib.zeros(3)))  # no gradient
    return made


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm_type", [2, 2.0, 1, 3.5, math.inf, "inf", -math.inf, 0])
@pytest.mark.parametrize("max_norm", [0.5, 100])
def test_norm_equals_pytorch(norm_type, max_norm, dtype):
    torch = pytest.importorskip("torch")
    ours, theirs = parameters(tinyrnn, dtype), parameters(torch, dtype)
    total = clip_grad_norm_(iter(ours), max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(iter(theirs), max_norm, norm_type)
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    assert isinstance(total, tinyrnn.Tensor) and total.shape == () and total.dtype.name == dtype
    np.testing.assert_allclose(total.item(), expected.item(), rtol=tolerance)
    for p, q in zip(ours[:-1], theirs, strict=False):
        np.testing.assert_allclose(p.grad.array, q.grad.numpy(), rtol=10 * tolerance)
    assert ours[-1].grad is None


def test_clipped_norm_is_the_maximum():
    made = parameters(tinyrnn, scale=50.0)
    clip_grad_norm_(made, 0.25)
    np.testing.assert_allclose(get_total_norm([p.grad for p in made if p.grad is not None]).item(), 0.25, rtol=1e-6)


def test_small_gradients_keep_their_bits():
    made = parameters(tinyrnn)
    before = [p.grad.array.copy() for p in made[:-1]]
    clip_grad_norm_(made, 1e6)
    for p, b in zip(made, before, strict=False):
        np.testing.assert_array_equal(p.grad.array, b)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_error_if_nonfinite(bad):
    made = parameters(tinyrnn)
    made[0].grad.array[1, 1] = bad
    before = made[1].grad.array.copy()
    with pytest.raises(RuntimeError, match="non-finite"):
        clip_grad_norm_(made, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(made[1].grad.array, before)
    assert not math.isfinite(clip_grad_norm_(made, 1.0).item())


def test_empty_and_single():
    total = clip_grad_norm_([nn.Parameter(tinyrnn.zeros(3))], 1.0)
    assert total.item() == 0.0 and total.shape == () and clip_grad_norm_([], 1.0).item() == 0.0
    with pytest.warns(UserWarning, match="empty generator"):
        clip_grad_norm_((p for p in ()), 1.0)
    p = nn.Parameter(tinyrnn.zeros(2))
    p.grad = tinyrnn.tensor([3.0, 4.0])
    assert clip_grad_norm_(p, 1.0).item() == 5.0
    q = nn.Parameter(tinyrnn.zeros(0))
    q.grad = tinyrnn.zeros(0)
    for norm_type in (2, math.inf, 1):
        assert clip_grad_norm_([q], 1.0, norm_type).item() == 0.0


def test_value_equals_pytorch():
    torch = pytest.importorskip("torch")
    ours, theirs = parameters(tinyrnn), parameters(torch)
    clip_grad_value_(ours, 0.5)
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    for p, q in zip(ours[:-1], theirs, strict=False):
        np.testing.assert_array_equal(p.grad.array, q.grad.numpy())


def test_clipping_counts_as_a_write():
    p = nn.Parameter(tinyrnn.ones(2))
    (p * p).sum().backward(create_graph=True)
    penalty = (p.grad * p.grad).sum()
    clip_grad_value_(p, 0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        penalty.backward()


def test_expanded_gradients_are_clipped_too():
    p = nn.Parameter(tinyrnn.ones(2, 2))
    for clip, value in ((lambda: clip_grad_norm_(p, 1.0), 0.5), (lambda: clip_grad_value_(p, 0.25), 0.25)):
        p.grad = None
        p.sum().backward(create_graph=True)
        clip()
        np.testing.assert_allclose(p.grad.array, np.full((2, 2), value), rtol=1e-5)
