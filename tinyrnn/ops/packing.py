"""Ragged batches as packed rows: the valid steps of all sequences, step by step, longest sequence first.

Step t of a packed batch is its first ``batch_sizes[t]`` sequences: a batch that shrinks. Rows of padding are never
looked at, whatever they hold.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.engine.tape import record
from tinyrnn.ops.casting import array
from tinyrnn.ops.flipping import flip
from tinyrnn.ops.shaping import reshape


class Packing(NamedTuple):
    """Where the valid steps of a batch lie.

    batch_sizes : how many sequences reach step t, for every t of the longest one.
    order : the sequences, longest first (stable); None if they come that way.
    inverse : undoes `order`; None likewise.
    rows : for each packed row, its row in the (T * B, ...) padded batch; None if there is no padding.
    """

    batch_sizes: list[int]
    order: np.ndarray | None = None
    inverse: np.ndarray | None = None
    rows: np.ndarray | None = None


def packing_of(lengths: np.ndarray | None, T: int, B: int) -> Packing:
    """How B sequences of the given `lengths` (integers from 0 to T, any order; None: all T) are packed."""
    if lengths is None or (lengths == T).all():
        return Packing([B] * T)
    order = np.argsort(-lengths, kind="stable")
    # sequences that end after step t = those not among the ones of length 0..t
    ended = np.cumsum(np.bincount(lengths, minlength=T + 1))
    sizes = B - ended[: lengths.max()]
    step = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.fromiter(accumulate(sizes, initial=0), dtype=np.int64, count=len(sizes) + 1)
    place = np.arange(starts[-1]) - starts[step]
    rows = step * B + order[place]
    if (order == np.arange(B)).all():
        return Packing(sizes.tolist(), rows=rows)
    return Packing(sizes.tolist(), order, np.argsort(order), rows)


def take_rows(input: Any, rows: np.ndarray | None) -> Any:
    """``input[rows]`` for `rows` that differ from one another; `input` itself if `rows` is None."""
    if rows is None:
        return input
    x = array(input)
    rows = np.asarray(rows, like=x)
    return record(take_rows_backward, (input,), x[rows], (rows, x.shape[0]))


def take_rows_backward(node, g, rows, count):
    return put_rows(g, rows, count)


def put_rows(input: Any, rows: np.ndarray | None, count: int) -> Any:
    """`count` rows of zeros, with the rows of `input` written at `rows`, which differ: the adjoint of `take_rows`."""
    if rows is None:
        return input
    x = array(input)
    padded, rows = np.zeros_like(x, shape=(count, *x.shape[1:])), np.asarray(rows, like=x)
    padded[rows] = x
    return record(put_rows_backward, (input,), padded, (rows,))


def put_rows_backward(node, g, rows):
    return take_rows(g, rows)


def reverse_in_time(input: Any, lengths: np.ndarray | None) -> Any:
    """(T, ...) from its last step to its first; with `lengths` each sequence of (T, B, ...) from its own last one.

    What lies behind the end of a sequence stays where it is.
    """
    x = array(input)
    if lengths is None:
        return flip(input, (0,))
    T, B = x.shape[:2]
    steps = np.arange(T)[:, None]
    sources = np.where(steps < lengths, lengths - 1 - steps, steps)
    rows = (sources * B + np.arange(B)).ravel()
    return reshape(take_rows(reshape(input, (T * B, *x.shape[2:])), rows), x.shape)
