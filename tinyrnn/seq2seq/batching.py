"""Batches of sequences of similar length: which examples go together, and how they fill one array."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def bucketed_batches(lengths: npt.ArrayLike, batch_size: int, rng: np.random.Generator, pool: int = 100) -> list[IntArray]:
    """Deal the examples of one epoch into batches of similar length.

    All examples are shuffled and cut into pools of `pool` batches; each pool is sorted by length and cut into
    batches; the batches are shuffled. Batches so have little padding, yet differ from epoch to epoch.

    Parameters
    ----------
    lengths : array_like of int, shape (N,)
        The length of each example's source.
    batch_size : int
        Examples in a batch; the last batch of the last pool may have fewer.
    rng : numpy.random.Generator
        The only source of chance: a generator in the same state gives the same batches.
    pool : int
        Batches in a pool: 1 is a plain shuffle, larger ones mean less padding and less chance.

    Returns
    -------
    list of int64 arrays, each of shape (B,)
        Indices into `lengths`; every index is in exactly one batch.

    Raises
    ------
    ValueError
        If `lengths` is not one-dimensional, or `batch_size` or `pool` is below 1.
    """
    lengths = np.asarray(lengths)
    if lengths.ndim != 1:
        raise ValueError(f"lengths: expected one length per example, got shape {lengths.shape}; flatten them")
    for name, value in (("batch_size", batch_size), ("pool", pool)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}; raise it")
    batches: list[IntArray] = []
    for indices in _cut(rng.permutation(len(lengths)), batch_size * pool):
        # A stable sort leaves examples of one length in their shuffled order.
        by_length = indices[np.argsort(lengths[indices], kind="stable")]
        batches.extend(_cut(by_length, batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]


def pad(sequences: Sequence[Sequence[int]], padding: int = 0) -> tuple[IntArray, IntArray]:
    """Fill one array with sequences of different lengths.

    Parameters
    ----------
    sequences : sequence of sequences of int
        B sequences, in any order, of any lengths, zero too.
    padding : int
        What stands behind the end of the shorter ones.

    Returns
    -------
    ids : int64 array, shape (B, T)
        T is the greatest length.
    lengths : int64 array, shape (B,)
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    ids = np.full((len(lengths), lengths.max(initial=0)), padding, dtype=np.int64)
    inside = np.arange(ids.shape[1]) < lengths[:, None]
    ids[inside] = np.fromiter(chain.from_iterable(sequences), dtype=np.int64, count=lengths.sum())
    return ids, lengths


def _cut(indices: IntArray, size: int) -> list[IntArray]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]
