"""layer_norm and its kernel."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.creation import new
from tinyrnn.ops.normalization import layer_norm


def leaf(array):
    tensor = new(np.array(array))
    tensor.tracked = True
    return tensor


def random(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def arguments(shape, normalized, affine, dtype="float64"):
    """input, weight, bias as arrays; the last two only as far as `affine` says."""
    arrays = random(shape, dtype), 1 + 0.5 * random(normalized, dtype, 1), random(normalized, dtype, 2)
    return arrays[: 1 + affine]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("affine", [0, 1, 2])
@settings(max_examples=15, deadline=None)
@given(shape=array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4), data=st.data())
def test_equals_pytorch(affine, dtype, shape, data):
    torch = pytest.importorskip("torch")
    normalized = shape[data.draw(st.integers(0, len(shape) - 1)) :]
    arrays = arguments(shape, normalized, affine, dtype)
    ours, theirs = [leaf(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = layer_norm(ours[0], normalized, *ours[1:], eps=1e-3)
        weights = random(shape, dtype, 3)
        y.backward(new(weights))
    z = torch.nn.functional.layer_norm(theirs[0], normalized, *theirs[1:], eps=1e-3)
    z.backward(torch.tensor(weights))
    tolerance = {"float32": 2e-4, "float64": 1e-9}[dtype]
    assert y.array.shape == shape and y.array.dtype == dtype
    np.testing.assert_allclose(y.array, z.detach().numpy(), rtol=tolerance, atol=tolerance)
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad.array.dtype == dtype
        np.testing.assert_allclose(a.grad.array, b.grad.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("affine", [0, 1, 2])
@pytest.mark.parametrize(("shape", "normalized"), [((4,), (4,)), ((2, 3), (3,)), ((2, 2, 3), (2, 3)), ((1, 2, 3), (3,))])
def test_derivatives(shape, normalized, affine):
    inputs = tuple([leaf(a) for a in arguments(shape, normalized, affine)])

    def function(x, *parameters):
        return layer_norm(x, normalized, *parameters)

    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def test_bias_without_weight():
    x, bias = random((2, 3)), random((3,), seed=1)
    np.testing.assert_allclose(layer_norm(x, (3,), None, bias), layer_norm(x, (3,)) + bias)


def test_mean_and_variance():
    y = layer_norm(random((5, 64)) * 7 + 100, (64,))
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(1), 1, rtol=1e-5)


def test_half_precision_is_computed_in_single_precision():
    x = np.full((1, 1000), 100, np.float16)
    x[0, 0] = 101
    y = layer_norm(x, (1000,))
    assert y.dtype == np.float16 and np.isfinite(y).all()
    np.testing.assert_allclose(y, layer_norm(x.astype(np.float64), (1000,)), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: layer_norm(x, (2,)), RuntimeError, r"normalized_shape=\(2,\).* got \(2, 3\)"),
        (lambda x: layer_norm(x, ()), RuntimeError, "at least one dimension"),
        (lambda x: layer_norm(x, (1, 2, 3)), RuntimeError, "normalized_shape"),
        (lambda x: layer_norm(x, 3), TypeError, r"write \(3,\)"),
        (lambda x: layer_norm(x, (3,), np.ones(2)), RuntimeError, r"weight .*\(3,\), got \(2,\)"),
        (lambda x: layer_norm(x, (3,), None, np.ones(2)), RuntimeError, "bias"),
        (lambda x: layer_norm(x, (3,), np.ones(3, np.float32)), RuntimeError, "weight is float32"),
        (lambda x: layer_norm(np.ones((2, 3), int), (3,)), RuntimeError, "floating-point input, got tinyrnn.int64"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(leaf(random((2, 3))))
