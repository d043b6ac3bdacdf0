"""Packing of ragged batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.creation import tensor
from tinyrnn.ops.packing import packing_of, put_rows, take_rows


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=7))
def test_packing_lists_every_valid_step_once(lengths):
    T, lengths = 6, np.array(lengths)
    packing = packing_of(lengths, T, len(lengths))
    valid = np.arange(T)[:, None] < lengths
    rows = np.arange(T * len(lengths)) if packing.rows is None else packing.rows
    assert sorted(rows) == np.flatnonzero(valid).tolist()
    assert packing.batch_sizes == [n for n in valid.sum(1).tolist() if n]
    order = np.arange(len(lengths)) if packing.order is None else packing.order
    assert (np.diff(lengths[order]) <= 0).all()
    assert rows.tolist() == [t * len(lengths) + b for t in range(T) for b in order if lengths[b] > t]


def test_packing_leaves_equal_lengths_in_their_order():
    lengths = np.random.default_rng(0).integers(0, 4, 100)
    assert packing_of(lengths, 4, 100).order.tolist() == sorted(range(100), key=lambda b: -lengths[b])


def test_rows_taken_and_put_back():
    x = tensor(np.random.default_rng(0).standard_normal((5, 2)), requires_grad=True)
    rows = np.array([3, 0, 4])
    taken = take_rows(x, rows)
    np.testing.assert_array_equal(taken.array, x.array[rows])
    back = put_rows(taken, rows, 5)
    np.testing.assert_array_equal(back.array, np.where(np.isin(np.arange(5), rows)[:, None], x.array, 0))
    for function in (lambda x: take_rows(x, rows), lambda x: put_rows(x[:3], rows, 7)):
        assert gradcheck(function, [x])
        assert gradgradcheck(function, [x])


def test_without_rows_nothing_is_copied():
    x = tensor(np.ones((5, 2)))
    assert take_rows(x, None) is x and put_rows(x, None, 5) is x
    packing = packing_of(np.array([3, 3]), 3, 2)
    assert packing == ([2, 2, 2], None, None, None) == packing_of(None, 3, 2)
