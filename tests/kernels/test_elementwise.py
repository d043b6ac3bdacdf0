"""Compiled elementwise kernels equal the reference, on both sides of every size limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrnn.kernels import cpu, reference

PAIRS = ["add_forward", "sub_forward", "mul_forward", "div_forward", "tanh_backward", "sigmoid_backward"]
SINGLES = ["tanh_forward", "sigmoid_forward"]
DTYPES = [np.float16, np.float32, np.float64]
SIZES = [0, 1, 3, 31, 32, 33, 64, 65, 1024, 1025]


def layouts(x):
    """The same numbers, contiguous and not."""
    yield x
    yield np.repeat(x, 2)[::2]
    yield x[::-1].copy()[::-1]


def limit(dtype):
    return {np.float16: 2e-3, np.float32: 5e-7, np.float64: 1e-15}[dtype]


def check(name, *arguments):
    before = [a.copy() for a in arguments]
    result, expected = getattr(cpu, name)(*arguments), getattr(reference, name)(*arguments)
    assert type(result) is np.ndarray and result.dtype == expected.dtype and result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=limit(result.dtype.type), atol=0)
    for argument, kept in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(argument, kept)
        assert not np.shares_memory(result, argument), "the caller owns the result"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAIRS)
def test_pairs(rng, name, size, dtype):
    a, b = (rng.uniform(0.1, 0.9, size).astype(dtype) for _ in range(2))
    for x in layouts(a):
        for y in layouts(b):
            check(name, x, y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SINGLES)
def test_singles(rng, name, size, dtype):
    for x in layouts((3 * rng.normal(size=size)).astype(dtype)):
        check(name, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SINGLES)
@pytest.mark.parametrize("size", [1, 100])
def test_the_ends_of_the_number_line(name, size, dtype):
    ends = {"tanh_forward": (-1.0, 1.0), "sigmoid_forward": (0.0, 1.0)}[name]
    kernel = getattr(cpu, name)
    for value, expected in ((-np.inf, ends[0]), (np.inf, ends[1]), (-1e4, ends[0]), (1e4, ends[1])):
        assert (kernel(np.full(size, value, dtype)) == expected).all()
    assert np.isnan(kernel(np.full(size, np.nan, dtype))).all()


@settings(max_examples=25, deadline=None)
@given(shape=st.lists(st.integers(0, 5), max_size=4), seed=st.integers(0, 99), name=st.sampled_from(PAIRS[:3]))
def test_shapes(shape, seed, name):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=shape), rng.normal(size=shape)
    result = getattr(cpu, name)(np.asarray(a), np.asarray(b))
    assert np.shape(result) == tuple(shape)
    np.testing.assert_array_equal(result, getattr(reference, name)(a, b))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.bool_])
def test_integers_are_left_to_numpy(dtype):
    a, b = np.array([1, 0, 1]).astype(dtype), np.array([1, 1, 0]).astype(dtype)
    result = cpu.add_forward(a, b)
    assert result.dtype == dtype and (result == np.add(a, b)).all()


def test_broadcasting_and_mixed_types_are_left_to_numpy(rng):
    a, b = rng.normal(size=(3, 1)), rng.normal(size=4).astype(np.float32)
    np.testing.assert_array_equal(cpu.mul_forward(a, b), a * b)


def test_arrays_in_the_other_byte_order(rng):
    a = rng.normal(size=5)
    swapped = a.astype(a.dtype.newbyteorder())
    np.testing.assert_array_equal(cpu.add_forward(swapped, swapped), a + a)


def test_sigmoid_of_doubles_does_not_overflow_on_the_way():
    x = np.array([-745.0, -720.0, -700.0, 720.0])
    np.testing.assert_array_equal(cpu.sigmoid_forward(x) > 0, True)
    np.testing.assert_allclose(cpu.sigmoid_forward(x), reference.sigmoid_forward(x), rtol=1e-12)
