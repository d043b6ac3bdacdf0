"""embedding and its kernel; one_hot."""

import numpy as np
import pytest
from both_sides import check
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from tinyrnn.autograd import grad, gradcheck, gradgradcheck
from tinyrnn.creation import new
from tinyrnn.kernels import reference
from tinyrnn.ops.embedding import embedding, one_hot


def leaf(array):
    tensor = new(np.array(array))
    tensor.tracked = True
    return tensor


def random(shape, dtype="float64"):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ids_dtype", ["int64", "int32"])
@settings(max_examples=20, deadline=None)
@given(
    shape=array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    count=st.integers(1, 6),
    size=st.integers(1, 4),
    data=st.data(),
)
def test_equals_pytorch(ids_dtype, dtype, shape, count, size, data):
    torch = pytest.importorskip("torch")
    padding_idx = data.draw(st.none() | st.integers(-count, count - 1))
    ids = np.random.default_rng(count).integers(0, count, shape).astype(ids_dtype)
    weight, z = leaf(random((count, size), dtype)), torch.tensor(random((count, size), dtype), requires_grad=True)
    y = embedding(new(ids), weight, padding_idx)
    expected = torch.nn.functional.embedding(torch.tensor(ids), z, padding_idx)
    np.testing.assert_array_equal(y.array, expected.detach().numpy())
    assert y.array.dtype == dtype and y.array.shape == tuple(expected.shape)
    weights = random(y.array.shape, dtype)
    y.backward(new(weights))
    expected.backward(torch.tensor(weights))
    np.testing.assert_allclose(weight.grad.array, z.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("padding_idx", [None, 2, -1])
@pytest.mark.parametrize("ids", [3, [0, 2, 2, 4], [[1, 1], [2, 0]]], ids=str)
def test_derivatives(ids, padding_idx):
    if padding_idx is None:
        assert gradcheck(lambda w: embedding(np.array(ids), w), (leaf(random((5, 3))),))
    # the gradient of the padding row is zero by decree, so it is the squared output's gradient that is differentiated
    rows = np.array(ids)
    kept = (rows != (2 if padding_idx == 2 else 4 if padding_idx == -1 else 99))[..., None]
    assert gradcheck(lambda w: embedding(rows, w, padding_idx) * kept, (leaf(random((5, 3))),))
    assert gradgradcheck(lambda w: (embedding(rows, w, padding_idx) * kept).tanh(), (leaf(random((5, 3))),))


@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_second_derivative_with_padding_equals_pytorch(padding_idx):
    torch = pytest.importorskip("torch")
    ids, scale, weights = np.array([0, 2, 2, 4]), random((4, 3)) + 2, random((5, 3)) - 2
    w, s = leaf(random((5, 3))), leaf(scale)
    (gradient,) = grad((embedding(ids, w, padding_idx) * s).sum(), [w], create_graph=True)
    (gradient * new(weights)).sum().backward()
    tw, ts = torch.tensor(w.array, requires_grad=True), torch.tensor(scale, requires_grad=True)
    looked_up = torch.nn.functional.embedding(torch.tensor(ids), tw, padding_idx)
    (expected,) = torch.autograd.grad((looked_up * ts).sum(), [tw], create_graph=True)
    (expected * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(gradient.array, expected.detach().numpy())
    np.testing.assert_allclose(s.grad.array, ts.grad.numpy())


def test_gradient_adds_up_repeated_ids_and_skips_padding():
    weight = leaf(np.zeros((4, 1)))
    embedding(np.array([1, 0, 1, 3]), weight, padding_idx=3).sum().backward()
    assert weight.grad.array.ravel().tolist() == [1, 2, 0, 0]


def test_ids_may_change_before_backward():
    weight, ids = leaf(np.zeros((4, 3))), np.array([1, 3])
    y = embedding(ids, weight)
    ids[:] = 10**9
    y.backward(new(np.ones((2, 3))))
    assert weight.grad.array[:, 0].tolist() == [0, 1, 0, 1]


def test_output_is_a_copy():
    weight = random((3, 2))
    y = embedding(np.array([0, 1, 2]), weight)
    assert not np.shares_memory(y, weight)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 9), rows=st.integers(0, 40), size=st.integers(1, 5), seed=st.integers(0, 99))
def test_kernel_sums_rows(count, rows, size, seed):
    generator = np.random.default_rng(seed)
    ids, grad = generator.integers(0, count, rows), generator.normal(size=(rows, size))
    expected = np.zeros((count, size))
    np.add.at(expected, ids, grad)
    result = reference.embedding_backward(grad, ids, count, None)
    np.testing.assert_allclose(result, expected, atol=1e-12)
    np.testing.assert_array_equal(result, reference.embedding_backward(grad.copy(), ids.copy(), count, None))


@pytest.mark.parametrize(
    ("ids", "options", "error", "message"),
    [
        ([[0, 1], [5, 2]], {}, IndexError, r"embedding: id 5 at position \(1, 0\) is out of range: num_embeddings=3"),
        ([0, -1], {}, IndexError, r"id -1 at position \(1,\) .* expected 0 to 2"),
        (7, {}, IndexError, "embedding: id 7 is out of range"),
        ([0.0, 1.0], {}, RuntimeError, "ids must be integers, got float64"),
        ([True], {}, RuntimeError, "ids must be integers, got bool"),
        ([0], {"padding_idx": 3}, ValueError, "padding_idx 3 must be within num_embeddings=3"),
    ],
)
def test_errors(ids, options, error, message):
    with pytest.raises(error, match=message):
        embedding(np.array(ids), leaf(random((3, 2))), **options)


def test_weight_must_be_a_matrix():
    with pytest.raises(RuntimeError, match="'weight' must be 2-D"):
        embedding(np.array([0]), leaf(random(3)))


def test_one_hot_equals_pytorch():
    torch = pytest.importorskip("torch")

    def program(lib, x):
        encode = torch.nn.functional.one_hot if lib is torch else one_hot
        return encode(x), encode(x, 6), encode(x[0, 0], num_classes=3)

    check(program, np.array([[0, 2], [3, 0]]))


@pytest.mark.parametrize("ids, classes, message", [([3], 3, "smaller than num_classes"), ([-1], -1, "non-negative")])
def test_one_hot_errors(ids, classes, message):
    with pytest.raises(RuntimeError, match=message):
        one_hot(np.array(ids), classes)
