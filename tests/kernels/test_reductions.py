"""Sums and extremes along some axes: compiled, by the reference, and by a loop over the lines."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import assert_same_bits_on_any_number_of_threads, layouts

from tinyrnn.kernels import cpu, reference

SHAPES = [(), (0,), (1,), (3,), (31, 33), (32, 32), (33, 32), (0, 3), (3, 0), (2, 3, 4), (1, 5, 1), (2, 1, 3, 2), (1025,)]


def some_axes(ndim):
    """None, one, neighbours, all, neighbours the wrong way round, and others."""
    return [axes for count in range(ndim + 1) for axes in itertools.permutations(range(ndim), count)]


def line_by_line(function, x, axes):
    """`function` of each line as a vector in float64."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    count = math.prod([x.shape[axis] for axis in axes])
    lines = x.astype(np.float64).transpose(*kept, *axes).reshape(*[x.shape[axis] for axis in kept], count)
    return np.apply_along_axis(function, -1, lines) if lines.size else np.zeros(lines.shape[:-1])


def arrays(x):
    return layouts(x) if x.ndim else [x]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_sums(rng, shape, dtype):
    x, eps = np.asarray(rng.normal(size=shape)).astype(dtype), np.finfo(dtype).eps
    for axes in some_axes(x.ndim):
        expected = line_by_line(np.sum, x, axes)
        for each in arrays(x):
            for kernels in (cpu, reference):
                total = kernels.sum_forward(each, axes)
                assert type(total) is np.ndarray and total.dtype.newbyteorder("=") == dtype and not np.shares_memory(total, x)
                np.testing.assert_allclose(total, expected, rtol=eps, atol=40 * min(eps, 1e-6))


def test_sums_of_float32_are_rounded_once():
    compiled = pytest.importorskip("tinyrnn.kernels.cpu.reductions")
    x = np.float32([2**24, 1, 1, 1, -(2**24)] * 10)
    assert compiled.sum_forward(x, (0,)) == 30
    assert compiled.sum_forward(np.stack([x, x], 1), (0,)).tolist() == [30, 30]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1000, 1), (2000, 3), (700, 33), (65, 300), (3, 64, 70), (2, 5, 1000)], ids=str)
def test_sums_of_columns(instruction_set, rng, shape, dtype):
    x, axis = rng.normal(size=shape).astype(dtype), len(shape) - 2
    assert_same_bits_on_any_number_of_threads(lambda: [cpu.sum_forward(x, (axis,))])
    expected = x.astype(np.longdouble).sum(axis)
    np.testing.assert_allclose(cpu.sum_forward(x, (axis,)), expected, rtol=0, atol=500 * np.finfo(dtype).eps)


def test_long_columns_of_float32_keep_their_digits(instruction_set):
    x = np.full((100_000, 2), 0.1, np.float32)
    np.testing.assert_allclose(cpu.sum_forward(x, (0,)), 100_000 * np.float64(np.float32(0.1)), rtol=1e-5)


def test_very_long_columns_of_float32_keep_their_digits(instruction_set):
    x = np.broadcast_to(np.float32(0.1), (3_000_000, 2)).copy()
    np.testing.assert_allclose(cpu.sum_forward(x, (0,)), 3_000_000 * np.float64(np.float32(0.1)), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, bool])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if 0 not in shape])
@pytest.mark.parametrize("largest", [True, False])
def test_extremes(rng, shape, dtype, largest):
    x = np.asarray(10 * rng.normal(size=shape)).astype(dtype)
    for axes in some_axes(x.ndim):
        expected = line_by_line(np.max if largest else np.min, x, axes)
        for each in arrays(x):
            for kernels in (cpu, reference):
                found = kernels.extreme(each, axes, largest)
                assert type(found) is np.ndarray and found.dtype.newbyteorder("=") == dtype and not np.shares_memory(found, x)
                np.testing.assert_array_equal(found, expected)


@settings(max_examples=50, deadline=None)
@given(
    numbers=st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0]), min_size=1, max_size=9),
    dtype=st.sampled_from([np.float32, np.float64]),
    largest=st.booleans(),
)
def test_extremes_of_special_numbers(numbers, dtype, largest):
    x = np.array([numbers, numbers[::-1]], dtype)
    for axes in ((0,), (1,), (0, 1)):
        np.testing.assert_array_equal(cpu.extreme(x, axes, largest), (np.max if largest else np.min)(x, axes))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1025,), (4096,), (4097,), (300_001,), (40, 1000), (3, 50_000), (2, 3, 4099)])
def test_long_lines(instruction_set, rng, shape, dtype):
    x = rng.normal(size=shape).astype(dtype)
    for axes in ((x.ndim - 1,), tuple(range(x.ndim)), (0,)):
        total = cpu.sum_forward(x, axes)
        assert total.dtype == dtype
        np.testing.assert_allclose(total, x.sum(axes, dtype=np.float64), rtol=0, atol=300 * np.finfo(dtype).eps * x.size**0.5)
    assert_same_bits_on_any_number_of_threads(
        lambda: [cpu.sum_forward(x, (x.ndim - 1,)), cpu.sum_forward(x, tuple(range(x.ndim)))]
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize(("shape", "axis"), [((1,), 0), ((9,), 0), ((3, 70), 1), ((2, 3, 5), 2), ((4, 6), 0), ((2000,), 0)])
@pytest.mark.parametrize("largest", [True, False])
def test_the_best_elements(rng, shape, axis, dtype, largest):
    x = rng.integers(-4, 4, shape).astype(dtype)  # with many that are equal
    if x.dtype.kind == "f":
        x[rng.uniform(size=shape) < 0.1] = np.nan
    for each in layouts(x):
        for k in {0, 1, 2, min(5, shape[axis]), min(65, shape[axis]), shape[axis]}:
            if k <= shape[axis]:
                found = cpu.topk(each, k, axis, largest)
                assert found.dtype == np.int64 and found.shape == (*shape[:axis], k, *shape[axis + 1 :])
                np.testing.assert_array_equal(found, reference.topk(x, k, axis, largest))
                ordered = np.take_along_axis(x, found, axis)
                everything = np.sort(x, axis=axis)  # NaN at its end
                everything = np.flip(everything, axis) if largest else everything
                np.testing.assert_array_equal(ordered, everything.take(np.arange(k), axis))
