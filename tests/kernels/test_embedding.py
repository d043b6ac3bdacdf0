"""Embedding: looking up and summing up, compiled and by the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import assert_same_bits_on_any_number_of_threads, layouts

from tinyrnn.kernels import cpu, reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def problem(V, E, shape, dtype, seed=0):
    """A table, ids, and a gradient."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, V, shape)
    return rng.normal(size=(V, E)).astype(dtype), ids, rng.normal(size=(*ids.shape, E)).astype(dtype)


def summed(grad, ids, V, padding_idx):
    """By a loop, in order."""
    result = np.zeros((V, grad.shape[-1]), grad.dtype)
    for row, each in zip(grad.reshape(-1, grad.shape[-1]), ids.ravel(), strict=True):
        if each != padding_idx:
            result[each] += row
    return result


@DTYPES
@pytest.mark.parametrize("E", [1, 3, 7, 8, 16, 17, 33, 300])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (4, 3), (2, 0, 3), (300,)])
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_rows_and_their_sums(instruction_set, E, shape, padding_idx, dtype):
    weight, ids, grad = problem(9, E, shape, dtype)
    rows = cpu.embedding_forward(weight, np.asarray(ids))
    assert rows.dtype == dtype and rows.shape == (*shape, E) and not np.shares_memory(rows, weight)
    np.testing.assert_array_equal(rows, weight[ids])
    total = cpu.embedding_backward(grad, np.asarray(ids), 9, padding_idx)
    assert total.dtype == dtype and total.shape == (9, E)
    np.testing.assert_array_equal(total, summed(grad, np.asarray(ids), 9, padding_idx))  # the same order, so the same bits
    np.testing.assert_allclose(total, reference.embedding_backward(grad, np.asarray(ids), 9, padding_idx), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("size", [1, 2, 7, 1024, 1025])
def test_the_smallest_and_the_largest_id(rng, size, dtype):
    ids = rng.integers(0, 200, size)
    for each in layouts(ids.astype(dtype)):
        for kernels in (cpu, reference):
            assert kernels.extent(each) == (ids.min(), ids.max())
            assert all(type(id) is int for id in kernels.extent(each))
    assert cpu.extent(np.array([3, -(2**63), 2**63 - 1])) == (-(2**63), 2**63 - 1)


@settings(max_examples=25, deadline=None)
@given(V=st.integers(1, 30), E=st.integers(0, 30), shape=st.lists(st.integers(0, 6), max_size=3), seed=st.integers(0, 99))
def test_the_sum_is_the_adjoint_of_the_lookup(V, E, shape, seed):
    weight, ids, grad = problem(V, E, shape, np.float64, seed)
    ids = np.asarray(ids)
    looked_up = (cpu.embedding_forward(weight, ids) * grad).sum()
    np.testing.assert_allclose(looked_up, (cpu.embedding_backward(grad, ids, V, None) * weight).sum(), atol=1e-10)


@DTYPES
@pytest.mark.parametrize("E", [5, 96, 300])
def test_the_same_bits_on_any_number_of_threads(instruction_set, E, dtype):
    weight, ids, grad = problem(50, E, (3000,), dtype)
    ids[::2] = 7  # one token makes up half of the text
    assert_same_bits_on_any_number_of_threads(
        lambda: [cpu.embedding_forward(weight, ids), cpu.embedding_backward(grad, ids, 50, 3)]
    )
    np.testing.assert_array_equal(cpu.embedding_backward(grad, ids, 50, 3), summed(grad, ids, 50, 3))


@pytest.mark.parametrize("ids_dtype", [np.int32, np.int64, np.uint8])
def test_any_layout_and_type_of_ids(ids_dtype):
    weight, ids, grad = problem(9, 5, (6,), np.float64)
    for table, numbers, rows in zip(layouts(weight), layouts(ids.astype(ids_dtype)), layouts(grad), strict=True):
        np.testing.assert_array_equal(cpu.embedding_forward(table, numbers), weight[ids])
        np.testing.assert_allclose(cpu.embedding_backward(rows, numbers, 9, None), summed(grad, ids, 9, None), rtol=1e-14)


def test_nan_stays_in_its_row():
    _, ids, grad = problem(9, 5, (6,), np.float32)
    grad[2] = np.nan
    total = cpu.embedding_backward(grad, ids, 9, None)
    assert np.isnan(total[ids[2]]).all() and np.isfinite(np.delete(total, ids[2], axis=0)).all()
