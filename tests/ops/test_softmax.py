"""softmax, log_softmax, masked_softmax."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from tinyrnn import dtypes
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.creation import new
from tinyrnn.ops.softmax import log_softmax, masked_softmax, softmax

FUNCTIONS = {"softmax": softmax, "log_softmax": log_softmax}


def leaf(array):
    tensor = new(np.array(array))
    tensor.tracked = tensor.array.dtype.kind == "f"
    return tensor


def random(shape, dtype="float64"):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=15, deadline=None)
@given(shape=array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), data=st.data())
def test_equals_pytorch(name, dtype, shape, data):
    torch = pytest.importorskip("torch")
    limit = len(shape) or 1
    dim = data.draw(st.integers(-limit, limit - 1))
    x, z = leaf(random(shape, dtype) * 3), torch.tensor(random(shape, dtype) * 3, requires_grad=True)
    y, expected = FUNCTIONS[name](x, dim), getattr(torch, name)(z, dim)
    rtol = {"float16": 4e-3, "float32": 1e-5, "float64": 1e-12}[dtype]
    assert y.array.dtype == dtype and y.array.shape == shape
    np.testing.assert_allclose(y.array, expected.detach().numpy(), rtol=rtol, atol=rtol)
    weights = random(shape, dtype)
    y.backward(new(weights))
    expected.backward(torch.tensor(weights))
    assert x.grad.array.dtype == dtype and x.grad.array.shape == shape
    np.testing.assert_allclose(x.grad.array, z.grad.numpy(), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=8, deadline=None)
@given(shape=array_shapes(max_dims=3, max_side=3), data=st.data())
def test_derivatives(name, shape, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = (leaf(random(shape)),)
    assert gradcheck(lambda x: FUNCTIONS[name](x, dim), x)
    assert gradgradcheck(lambda x: FUNCTIONS[name](x, dim), x)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dim", [0, 1])
def test_extreme_values(name, dim):
    torch = pytest.importorskip("torch")
    rows = np.array([[1e4, 1e4, -1e4], [-math.inf] * 3, [math.inf, 0, 1], [math.nan, 0, 1], [-math.inf, 0, 1]], np.float32)
    rows = np.ascontiguousarray(rows if dim else rows.T)
    expected = getattr(torch, name)(torch.tensor(rows), dim).numpy()
    np.testing.assert_allclose(FUNCTIONS[name](rows, dim), expected, rtol=1e-6)


def test_dtype_is_cast_first():
    x = leaf(random((2, 3), "float32"))
    y = softmax(x, 1, dtype=dtypes.float64)
    assert y.array.dtype == np.float64
    np.testing.assert_array_equal(y.array, softmax(x.array.astype(np.float64), 1))
    y.backward(new(random((2, 3))))
    assert x.grad.array.dtype == np.float32
    assert softmax(new(np.array([1, 2])), 0, dtype=dtypes.float32).array.dtype == np.float32


def test_errors():
    with pytest.raises(RuntimeError, match=r"softmax\(\): expected a floating-point tensor, got tinyrnn.int64"):
        softmax(new(np.array([1, 2])), 0)
    with pytest.raises(IndexError, match=r"range of \[-1, 0\], but got 1"):
        log_softmax(leaf([1.0]), 1)
    with pytest.raises(TypeError, match="expected a bool mask"):
        masked_softmax(leaf([1.0]), np.array([1]))
    with pytest.raises(RuntimeError, match=r"mask of shape \(2, 1\) does not broadcast"):
        masked_softmax(leaf([1.0]), np.ones((2, 1), bool))


# ---- masked --------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 4), size=st.integers(1, 5), dim=st.sampled_from([0, 1, -1]), seed=st.integers(0, 99))
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 1e300])
def test_masked_places_count_for_nothing(poison, rows, size, dim, seed):
    generator = np.random.default_rng(seed)
    mask = generator.random((rows, size)) < 0.6
    clean, weights = generator.normal(size=(rows, size)), generator.normal(size=(rows, size))
    x = leaf(np.where(mask, clean, poison))
    y = masked_softmax(x, mask, dim)
    y.backward(new(np.where(mask, weights, poison)))
    # line by line, over what is kept only
    for i in range(size if dim == 0 else rows):
        line = (slice(None), i) if dim == 0 else (i, slice(None))
        kept = mask[line]
        short = leaf(clean[line][kept])
        assert (y.array[line][~kept] == 0).all() and (x.grad.array[line][~kept] == 0).all()
        if kept.any():
            expected = softmax(short, 0)
            expected.backward(new(weights[line][kept]))
            np.testing.assert_allclose(y.array[line][kept], expected.array, rtol=1e-12)
            np.testing.assert_allclose(x.grad.array[line][kept], short.grad.array, rtol=1e-9, atol=1e-12)


def test_masked_derivatives():
    mask = np.array([[True, False, True], [False, False, False], [True, True, True]])
    assert gradcheck(lambda x: masked_softmax(x, mask), (leaf(random((3, 3))),))
    assert gradgradcheck(lambda x: masked_softmax(x, mask), (leaf(random((3, 3))),))
    assert gradgradcheck(lambda x: masked_softmax(x, mask[:, :1], 0), (leaf(random((2, 3, 3))),))


def test_mask_may_be_a_tensor_and_broadcasts():
    x = random((2, 3, 4))
    mask = np.array([True, False, True, True])
    y = masked_softmax(x, new(mask))
    assert (y[..., 1] == 0).all()
    np.testing.assert_allclose(y.sum(-1), 1)
