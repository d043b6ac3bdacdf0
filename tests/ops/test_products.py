"""Products: equal to PyTorch over all ranks, their derivatives confirmed, and sizes that do not fit named in the error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrnn._tensor import Tensor
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.creation import new
from tinyrnn.ops import products

SHAPES = [  # two sides of a matmul
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((1, 1), (1, 1)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)),
    ((2, 3), (5, 3, 2)),
    ((5, 2, 3), (5, 3, 2)),
    ((1, 2, 3), (5, 3, 2)),
    ((2, 1, 2, 3), (5, 3, 4)),
    ((4, 1, 2, 3), (4, 5, 3, 1)),
    ((2, 5, 2, 3), (3, 2)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((0, 2, 3), (3, 4)),
    ((2, 3, 0), (0,)),
    ((0,), (0,)),
]
pairs = pytest.mark.parametrize("first, second", SHAPES, ids=str)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def leaf(rng, *shape):
    return new(rng.uniform(-2, 2, shape), requires_grad=True)


def both(torch, rng, *shapes):
    """The same random leaves for us and for PyTorch."""
    ours = [leaf(rng, *shape) for shape in shapes]
    return ours, [torch.tensor(x.array, requires_grad=True) for x in ours]


def assert_equal(ours, theirs, leaves, their_leaves, weights):
    """Results equal, and the gradients of a weighted sum."""
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.array, theirs.detach().numpy(), rtol=1e-13, atol=1e-13)
    weights = np.asarray(weights.uniform(-1, 1, tuple(theirs.shape)))
    ours.backward(new(weights))
    theirs.backward(theirs.new_tensor(weights))
    for x, y in zip(leaves, their_leaves, strict=True):
        np.testing.assert_allclose(x.grad.array, y.grad.numpy(), rtol=1e-13, atol=1e-13)
        assert x.grad.array.shape == x.array.shape


@pairs
def test_matmul_equals_pytorch(torch, rng, first, second):
    ours, theirs = both(torch, rng, first, second)
    assert_equal(products.matmul(*ours), torch.matmul(*theirs), ours, theirs, rng)


@pairs
def test_matmul_derivatives(rng, first, second):
    inputs = leaf(rng, *first), leaf(rng, *second)
    assert gradcheck(products.matmul, inputs)
    assert gradgradcheck(products.matmul, inputs)


@settings(max_examples=25, deadline=None)
@given(
    batch=st.lists(st.integers(1, 3), max_size=2),
    ones=st.tuples(st.lists(st.booleans(), min_size=2, max_size=2), st.lists(st.booleans(), min_size=2, max_size=2)),
    left=st.integers(0, 2),
    sizes=st.tuples(*[st.integers(1, 3)] * 3),
    transposed=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 99),
)
def test_product_of_all_layouts(batch, ones, left, sizes, transposed, seed):
    """Either side stored transposed, either batch broadcast: values and derivatives of the one op behind them all."""
    rng = np.random.default_rng(seed)
    n, k, m = sizes
    shapes = [tuple(1 if one else size for size, one in zip(batch, flags, strict=False)) for flags in ones]
    a = leaf(rng, *shapes[0][left:], *((k, n) if transposed[0] else (n, k)))
    b = leaf(rng, *shapes[1], *((m, k) if transposed[1] else (k, m)))
    sides = [np.swapaxes(x.array, -1, -2) if swap else x.array for x, swap in zip((a, b), transposed, strict=True)]
    np.testing.assert_allclose(products.product(a, b, *transposed).array, np.matmul(*sides), rtol=1e-13, atol=1e-13)
    assert gradcheck(lambda x, y: products.product(x, y, *transposed), (a, b))
    assert gradgradcheck(lambda x, y: products.product(x, y, *transposed), (a, b))


@pytest.mark.parametrize(
    "name, shapes",
    [
        ("mm", [(2, 3), (3, 4)]),
        ("bmm", [(5, 2, 3), (5, 3, 4)]),
        ("mv", [(2, 3), (3,)]),
        ("dot", [(3,), (3,)]),
        ("outer", [(2,), (3,)]),
        ("addmm", [(2, 4), (2, 3), (3, 4)]),
        ("addmm", [(4,), (2, 3), (3, 4)]),
        ("addmm", [(2, 1), (2, 3), (3, 4)]),
        ("baddbmm", [(5, 2, 4), (5, 2, 3), (5, 3, 4)]),
        ("baddbmm", [(1,), (5, 2, 3), (5, 3, 4)]),
        ("mm", [(0, 3), (3, 4)]),
        ("bmm", [(0, 2, 3), (0, 3, 4)]),
    ],
    ids=str,
)
def test_named_products(torch, rng, name, shapes):
    ours, theirs = both(torch, rng, *shapes)
    assert_equal(getattr(products, name)(*ours), getattr(torch, name)(*theirs), ours, theirs, rng)
    assert gradcheck(getattr(products, name), tuple(ours))
    assert gradgradcheck(getattr(products, name), tuple(ours))


def test_addmm_factors(torch, rng):
    ours, theirs = both(torch, rng, (2, 4), (2, 3), (3, 4))
    arguments = {"beta": 0.5, "alpha": -3}
    assert_equal(products.addmm(*ours, **arguments), torch.addmm(*theirs, **arguments), ours, theirs, rng)
    nothing = new(np.full((2, 4), np.nan))
    assert np.isfinite(products.addmm(nothing, *ours[1:], beta=0).array).all()


@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 5), (3, 1, 2), (0,), (2, 0)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_linear(torch, rng, leading, bias):
    ours, theirs = both(torch, rng, (*leading, 3), (4, 3), *([(4,)] if bias else []))
    assert_equal(products.linear(*ours), torch.nn.functional.linear(*theirs), ours, theirs, rng)
    assert gradcheck(products.linear, tuple(ours))
    assert gradgradcheck(products.linear, tuple(ours))


def test_linear_with_a_weight_vector(torch, rng):
    ours, theirs = both(torch, rng, (2, 3), (3,))
    assert_equal(products.linear(*ours), torch.nn.functional.linear(*theirs), ours, theirs, rng)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_linear_with_a_frozen_part(rng, frozen):
    parts = [leaf(rng, 2, 3), leaf(rng, 4, 3), leaf(rng, 4)]
    products.linear(*parts).sum().backward()
    expected = [x.grad.array for x in parts]
    parts = [new(x.array, requires_grad=i != frozen) for i, x in enumerate(parts)]
    products.linear(*parts).sum().backward()
    for i, (x, gradient) in enumerate(zip(parts, expected, strict=True)):
        if i == frozen:
            assert x.grad is None
        else:
            np.testing.assert_array_equal(x.grad.array, gradient)


def test_linear_of_a_transposed_input(torch, rng):
    ours, theirs = both(torch, rng, (3, 5, 2), (4, 3), (4,))
    x, y = ours[0].permute(2, 1, 0), theirs[0].permute(2, 1, 0)
    out, expected = products.linear(x, *ours[1:]), torch.nn.functional.linear(y, *theirs[1:])
    assert_equal(out, expected, ours, theirs, rng)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
def test_dtypes(torch, rng, dtype):
    x, y = rng.integers(0, 4, (2, 3)).astype(dtype), rng.integers(0, 4, (3, 2)).astype(dtype)
    if dtype == "bool":
        with pytest.raises(NotImplementedError, match=r"float\(\)"):
            new(x) @ new(y)
        return
    for second in (y, y[:, 0].copy()):
        got, expected = new(x) @ new(second), torch.from_numpy(x) @ torch.from_numpy(second)
        assert str(got.dtype).removeprefix("tinyrnn.") == str(expected.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(got.array, expected.numpy())
    assert products.linear(new(x), new(y.T)).array.dtype == dtype


def test_arrays_on_either_side(rng):
    x, array = leaf(rng, 2, 3), rng.uniform(size=(3, 2))
    for got, expected in ((x @ array, x.array @ array), (array @ x, array @ x.array)):
        assert isinstance(got, Tensor)
        np.testing.assert_allclose(got.array, expected)
        assert got.requires_grad


def test_writing_over_what_a_product_saved_is_noticed(rng):
    """Also where the product looked at the tensor through a reshaped view."""
    weight = leaf(rng, 3, 4)
    for shape in ((2, 3), (5, 2, 3), (3,)):
        x = leaf(rng, *shape) * 1
        y = x @ weight
        x += 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
        x = leaf(rng, *shape) * 1
        y = products.linear(x, leaf(rng, 4, 3))
        x += 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_an_operand_nobody_needs_is_not_kept(rng):
    x = leaf(rng, 2, 3) * 1
    y = x @ new(rng.uniform(size=(3, 2)))
    x += 1
    y.sum().backward()


def ones(*shape, dtype=np.float64):
    return new(np.ones(shape, dtype))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ones(2, 3) @ ones(4, 5), r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)"),
        (lambda: ones(2, 3) @ ones(2), r"\(2x3 and 2\)"),
        (lambda: ones(2, 2, 3) @ ones(2, 4, 3), r"\(2x2x3 and 2x4x3\)"),
        (lambda: ones(2, 2, 3) @ ones(3, 3, 2), r"\(2,\) and \(3,\)"),
        (lambda: ones() @ ones(2), "at least 1D.*0D and 1D"),
        (lambda: ones(2, 3) @ ones(3, 2, dtype=np.float32), "float64 and float32"),
        (lambda: products.mm(ones(2, 3), ones(3)), "mat2 to have 2 dimensions, got 1"),
        (lambda: products.bmm(ones(2, 2, 3), ones(3, 3, 2)), r"mat2 of shape \(2, 3, M\)"),
        (lambda: products.bmm(ones(2, 3), ones(2, 3)), "input to have 3 dimensions"),
        (lambda: products.mv(ones(2, 3), ones(2)), r"\(2x3 and 2\)"),
        (lambda: products.dot(ones(2, 3), ones(2)), "input to have 1 dimensions"),
        (lambda: products.outer(ones(2, 3), ones(2)), "input to have 1 dimensions"),
        (lambda: products.addmm(ones(3), ones(2, 3), ones(3, 2)), "cannot be broadcast"),
        (lambda: products.addmm(ones(5, 2, 2), ones(2, 3), ones(3, 2)), r"broadcast to .*\(2, 2\)"),
        (lambda: products.linear(ones(2, 3), ones(4, 2)), r"\(2x3 and 4x2\).*in_features"),
        (lambda: products.linear(ones(2, 3), ones(4, 3), ones(3)), r"\(3,\) and \(4,\)|bias of shape \(4,\)"),
        (lambda: products.linear(ones(2, 3), ones(4, 3), ones(4, dtype=np.float32)), "bias of shape .*float64"),
        (lambda: products.linear(ones(2, 3), ones(4, 3, dtype=np.float32)), "float64 and float32"),
    ],
)
def test_errors(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


def test_a_number_is_no_matrix():
    with pytest.raises(TypeError):
        ones(2) @ 2
