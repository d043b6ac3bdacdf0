"""Comparison, logic and bits: equal to PyTorch, and never on the tape."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from tinyrnn._tensor import Tensor
from tinyrnn.creation import new
from tinyrnn.ops import comparison

DTYPES = ("bool", "uint8", "int32", "int64", "float16", "float32", "float64")
BINARY = ("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor")
BITS = ("bitwise_and", "bitwise_or", "bitwise_xor")
UNARY = ("isnan", "isinf", "isfinite", "logical_not", "bitwise_not")


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def assert_agree(torch, ours, theirs, *values, **arguments):
    """Both functions give the same tensor for `values` (arrays become tensors), or both refuse."""
    mine = [new(value) if isinstance(value, np.ndarray) else value for value in values]
    try:
        expected = theirs(*[torch.from_numpy(v) if isinstance(v, np.ndarray) else v for v in values], **arguments)
    except (RuntimeError, TypeError):
        with pytest.raises((RuntimeError, TypeError)):
            ours(*mine, **arguments)
        return
    got = ours(*mine, **arguments)
    assert isinstance(got, Tensor)
    assert str(got.dtype).removeprefix("tinyrnn.") == str(expected.dtype).removeprefix("torch.")
    assert tuple(got.shape) == tuple(expected.shape)
    np.testing.assert_array_equal(got.array, expected.numpy())


@pytest.mark.parametrize("name", BINARY + BITS)
@pytest.mark.parametrize("first", DTYPES)
@pytest.mark.parametrize("second", DTYPES)
def test_binary_equals_pytorch(torch, rng, name, first, second):
    for shape, other_shape in (((2, 3), (3,)), ((), (2,)), ((), ()), ((0, 2), (2,))):
        x, y = (np.asarray(rng.integers(0, 3, s)).astype(d) for s, d in ((shape, first), (other_shape, second)))
        assert_agree(torch, getattr(comparison, name), getattr(torch, name), x, y)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_unary_equals_pytorch(torch, name, dtype):
    special = [0.0, 1.0, np.nan, np.inf, -np.inf] if dtype.startswith("float") else [0, 1, 2, 3]
    for x in (np.array(special).astype(dtype), np.array(1).astype(dtype), np.zeros((0, 2), dtype)):
        assert_agree(torch, getattr(comparison, name), getattr(torch, name), x)


@pytest.mark.parametrize("op", [getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")])
@pytest.mark.parametrize("number", [1, 1.5, True, -1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_operators_with_numbers(torch, op, number, dtype):
    if dtype == "uint8" and number == -1:
        number = 2
    x = np.array([0, 1, 2]).astype(dtype)
    assert_agree(torch, op, op, x, number)
    assert_agree(torch, op, op, number, x)
    array = np.asarray([number])
    np.testing.assert_array_equal(op(array, new(x)).array, op(new(array), new(x)).array)


@pytest.mark.parametrize("op", [operator.and_, operator.or_, operator.xor])
def test_bit_operators(torch, op):
    for x, other in (
        (np.array([True, False]), True),
        (np.array([1, 2, 3]), 6),
        (np.array([1, 2, 3], np.uint8), np.array([True, False, True])),
    ):
        assert_agree(torch, op, op, x, other)
        assert_agree(torch, op, op, other, x)
        assert_agree(torch, operator.invert, operator.invert, x)


def test_equality_with_anything_else():
    x = new(np.array([1.0, 2.0]))
    assert (x == None) is False and (x != None) is True  # noqa: E711 (the operator is what is tested)
    assert (x == "text") is False and (x != "text") is True
    assert x in [x] and len({x: 1, new(x.array): 2}) == 2  # hashed by identity
    with pytest.raises(TypeError):
        x < None  # noqa: B015
    with pytest.raises(TypeError):
        comparison.eq(x, "text")


def test_nan_compares_as_in_ieee754():
    x = new(np.array([np.nan, 1.0]))
    assert (x == x).array.tolist() == [False, True]
    assert (x != x).array.tolist() == [True, False]
    assert not comparison.equal(x, x)


def test_equal(torch):
    values = [np.array([1, 2]), np.array([1.0, 2.0]), np.array([1.0, 3.0]), np.array([[1.0, 2.0]]), np.array(1.0), np.zeros(0)]
    for x in values:
        for y in values:
            try:
                expected = torch.equal(torch.from_numpy(x), torch.from_numpy(y))
            except RuntimeError:
                continue
            assert comparison.equal(new(x), new(y)) is expected


@pytest.mark.parametrize("equal_nan", [False, True])
@pytest.mark.parametrize("rtol, atol", [(1e-5, 1e-8), (0.1, 0.0), (0.0, 0.2), (0.0, 0.0)])
@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "float16", "float32", "float64"])
def test_isclose(torch, equal_nan, rtol, atol, dtype):
    special = [0.0, 1.0, 1.000001, 1.05, 1.2, np.inf, -np.inf, np.nan, 1000.0]
    numbers = special if dtype.startswith("float") else [0, 1, 2, 100, 110, 115]
    x = np.array(numbers).astype(dtype)
    y = x[:, None]
    arguments = {"rtol": rtol, "atol": atol, "equal_nan": equal_nan}
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        assert_agree(torch, comparison.isclose, torch.isclose, x, y, **arguments)
    assert comparison.allclose(new(x), new(x), **arguments) is torch.allclose(*[torch.from_numpy(x)] * 2, **arguments)


def test_errors():
    x = new(np.array([1.0]))
    with pytest.raises(RuntimeError, match="float64 and float32"):
        comparison.isclose(x, new(np.array([1.0], np.float32)))
    for call in (lambda: x & x, lambda: ~x, lambda: x | 1, lambda: True ^ x):
        with pytest.raises(NotImplementedError, match="bits belong to"):
            call()


def test_nothing_is_recorded():
    x = new(np.array([1.0, 2.0]), requires_grad=True)
    for y in (x == 1, x < new(np.array([[1]])), comparison.isnan(x), comparison.logical_not(x)):
        assert not y.requires_grad


@pytest.mark.parametrize("first, second", [(np.ones(2), 1.0), (1.0, np.ones(2))])
def test_isclose_wants_two_tensors(first, second):
    with pytest.raises(TypeError, match="expected two tensors"):
        comparison.isclose(*[new(x) if isinstance(x, np.ndarray) else x for x in (first, second)])
