"""Bucketed batches and padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrnn.seq2seq.batching import bucketed_batches, pad

lengths_lists = st.lists(st.integers(0, 30), max_size=200)
sizes = st.integers(1, 9)
pools = st.integers(1, 5)
sequences_lists = st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6), max_size=8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(lengths_lists, sizes, pools)
def test_every_index_is_in_exactly_one_batch(lengths, batch_size, pool) -> None:
    batches = bucketed_batches(lengths, batch_size, rng(), pool)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))


@given(lengths_lists, sizes, pools)
def test_batches_are_full_but_for_the_last(lengths, batch_size, pool) -> None:
    sizes = sorted((len(batch) for batch in bucketed_batches(lengths, batch_size, rng(), pool)), reverse=True)
    full, rest = divmod(len(lengths), batch_size)
    assert sizes == [batch_size] * full + [rest] * (rest > 0)


@given(lengths_lists, sizes)
def test_within_a_pool_the_batches_hold_neighbouring_lengths(lengths, batch_size) -> None:
    batches = bucketed_batches(lengths, batch_size, rng(), pool=len(lengths) + 1)
    in_order = sorted(([lengths[i] for i in batch] for batch in batches), key=lambda b: (b[0], b[-1], -len(b)))
    assert [length for batch in in_order for length in batch] == sorted(lengths)


def test_pools_are_sorted_one_by_one() -> None:
    lengths = rng(1).integers(1, 1000, size=1000)

    def padding(pool: int) -> int:
        batches = bucketed_batches(lengths, 10, rng(), pool)
        return sum(int((lengths[batch].max() - lengths[batch]).sum()) for batch in batches)

    assert padding(100) < padding(10) < padding(1)


def test_batches_come_in_random_order() -> None:
    lengths = np.arange(1000)
    first = [batch[0] for batch in bucketed_batches(lengths, 10, rng())]
    assert first != sorted(first)


def test_equal_lengths_are_dealt_anew_each_epoch() -> None:
    generator = rng()
    one, two = ([set(b.tolist()) for b in bucketed_batches([5] * 100, 10, generator)] for _ in range(2))
    assert all(batch not in two for batch in one)


@given(lengths_lists, sizes, st.integers(0, 99))
def test_the_generator_is_the_only_source_of_chance(lengths, batch_size, seed) -> None:
    one = bucketed_batches(lengths, batch_size, rng(seed))
    two = bucketed_batches(np.array(lengths), batch_size, rng(seed))
    assert [batch.tolist() for batch in one] == [batch.tolist() for batch in two]


@pytest.mark.parametrize(
    ("lengths", "options", "message"),
    [
        ([[1, 2]], {"batch_size": 1}, r"lengths: .* got shape \(1, 2\)"),
        ([1, 2], {"batch_size": 0}, "batch_size: expected at least 1, got 0"),
        ([1, 2], {"batch_size": 1, "pool": 0}, "pool: expected at least 1, got 0"),
    ],
)
def test_refuses_impossible_batches(lengths, options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bucketed_batches(lengths, rng=rng(), **options)


@given(sequences_lists, st.integers(-3, 3))
def test_pad_holds_every_sequence_and_nothing_else(sequences, padding) -> None:
    ids, lengths = pad(sequences, padding)
    assert ids.dtype == lengths.dtype == np.int64
    assert ids.shape == (len(sequences), max(map(len, sequences), default=0))
    assert lengths.tolist() == [len(sequence) for sequence in sequences]
    for row, sequence in zip(ids.tolist(), sequences, strict=True):
        assert row == sequence + [padding] * (ids.shape[1] - len(sequence))


def test_pad_fills_with_zeros_unless_told() -> None:
    ids, _ = pad([[7], [8, 9]])
    assert ids.tolist() == [[7, 0], [8, 9]]
