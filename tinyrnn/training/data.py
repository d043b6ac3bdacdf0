"""Pairs of text as ids: encoded once, dealt out as padded batches."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinyrnn._tensor import Tensor
from tinyrnn.engine.base import wrap
from tinyrnn.seq2seq.batching import pad
from tinyrnn.seq2seq.model import Seq2Seq
from tinyrnn.seq2seq.pairs import DataError, group_references
from tinyrnn.seq2seq.vocabulary import END, PADDING, START

Pair = tuple[str, str]

_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.05, 1000


class Batch(NamedTuple):
    """Padded ids of B pairs.

    Attributes
    ----------
    source : Tensor of int64, shape (B, S)
    lengths : Tensor of int64, shape (B,)
    tokens : Tensor of int64, shape (B, T)
        What the decoder reads: the start and the target.
    labels : Tensor of int64, shape (B, T)
        What it is to write: the target and the end.
    size : int
        Labels that are not padding.
    """

    source: Tensor
    lengths: Tensor
    tokens: Tensor
    labels: Tensor
    size: int


class EncodedPairs:
    """All pairs as ids of a model's codecs.

    Attributes
    ----------
    lengths : int64 array, shape (N,)
        Length of each source.
    """

    def __init__(self, pairs: Sequence[Pair], model: Seq2Seq) -> None:
        self._model = model
        self._sources = [model.source.encode(source) for source, _ in pairs]
        self._targets = [[START, *model.target.encode(target), END] for _, target in pairs]
        self.lengths = np.array([len(source) for source in self._sources], dtype=np.int64)

    def batch(self, indices: npt.NDArray[np.int64]) -> Batch:
        """Make the batch of these pairs, where the model lies; lengths stay in main memory."""
        source, lengths = pad([self._sources[i] for i in indices], PADDING)
        target, target_lengths = pad([self._targets[i] for i in indices], PADDING)
        tokens, labels = np.ascontiguousarray(target[:, :-1]), np.ascontiguousarray(target[:, 1:])
        size = int(target_lengths.sum()) - len(target_lengths)
        ids, inputs, aims = (wrap(each).to(self._model.device) for each in (source, tokens, labels))
        return Batch(ids, wrap(lengths), inputs, aims, size)


def hold_out(pairs: Sequence[Pair], seed: int = 0) -> tuple[list[Pair], list[Pair]]:
    """Set a random part of the sources aside for validation: 5 % of them, at least 1 and at most 1,000.

    Returns
    -------
    train, dev : list of (str, str)
        In the order of `pairs`. All rows of a source are on the same side.

    Raises
    ------
    DataError
        If there is only one source, so that nothing can be set aside.
    """
    sources = list(group_references(pairs))
    if len(sources) < 2:
        raise DataError(f"data: expected at least 2 different sources to hold out some, got {len(sources)}; add rows")
    number = min(_MOST_HELD_OUT, max(1, round(_HELD_OUT_SHARE * len(sources))))
    chosen = set(random.Random(seed).sample(sources, number))
    return [pair for pair in pairs if pair[0] not in chosen], [pair for pair in pairs if pair[0] in chosen]
