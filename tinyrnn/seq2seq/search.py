"""Search: from a model and sources to the targets it finds likely. Uses only `encode` and `decode_step`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyrnn.engine.base import wrap
from tinyrnn.grad_modes import no_grad
from tinyrnn.seq2seq.batching import pad
from tinyrnn.seq2seq.model import Seq2Seq
from tinyrnn.seq2seq.vocabulary import END, PADDING, START


@dataclass(frozen=True)
class Hypothesis:
    """What a search found for one source.

    Attributes
    ----------
    ids : list of int
        The tokens, without start and end.
    log_prob : float
        Sum of the log-probabilities of the tokens, and of the end if the search came to it.
    attention : array, shape (T, S)
        For each token how much the decoder looked at each token of the source.
    ended : bool
        Whether the model wrote an end; if not, it was cut at the greatest length.
    """

    ids: list[int]
    log_prob: float
    attention: npt.NDArray[Any]
    ended: bool


def greedy(model: Seq2Seq, sources: Sequence[Sequence[int]], max_length: int | None = None) -> list[Hypothesis]:
    """Take the most likely token at every step, for one batch of sources.

    Runs without recording and without dropout, and leaves the model in the mode it was in.

    Parameters
    ----------
    model : Seq2Seq
    sources : sequence of sequences of int
        Ids of the sources. A source without ids has an empty hypothesis: there is nothing to look at.
    max_length : int, optional
        Most tokens per hypothesis, the end included; `model.max_length` if left out.

    Raises
    ------
    ValueError
        If `max_length` is below 1.
    """
    limit = model.max_length if max_length is None else max_length
    if limit < 1:
        raise ValueError(f"max_length: expected at least 1, got {limit}; raise it")
    rows = [i for i, source in enumerate(sources) if len(source)]
    hypotheses = [Hypothesis([], 0.0, np.zeros((0, 0), dtype=np.float32), True) for _ in sources]
    if rows:
        with evaluating(model), no_grad():
            found = _greedy([sources[i] for i in rows], model, limit)
        for i, hypothesis in zip(rows, found, strict=True):
            hypotheses[i] = hypothesis
    return hypotheses


def _greedy(sources: Sequence[Sequence[int]], model: Seq2Seq, limit: int) -> list[Hypothesis]:
    ids, lengths = pad(sources, PADDING)
    memory = model.encode(wrap(ids).to(model.device), wrap(lengths))
    rows = np.arange(len(sources))
    token, state = np.full(len(sources), START), memory.state
    ended, scores = np.zeros(len(sources), dtype=bool), np.zeros(len(sources))
    tokens, looks = [], []
    for _ in range(limit):
        log_probs, state, weights = model.decode_step(wrap(token).to(model.device), state, memory)
        table = log_probs.cpu().numpy()
        best = table.argmax(-1)
        scores += np.where(ended, 0.0, table[rows, best])
        token = np.where(ended, PADDING, best)
        ended |= token == END
        tokens.append(token)
        looks.append(weights.cpu().numpy())
        if ended.all():
            break
    return _collect(np.stack(tokens, 1), np.stack(looks, 1), lengths, scores, ended)


def _collect(tokens: Any, looks: Any, lengths: Any, scores: Any, ended: Any) -> list[Hypothesis]:
    hypotheses = []
    for row, (written, length) in enumerate(zip(tokens.tolist(), lengths.tolist(), strict=True)):
        ids = written[: written.index(END)] if END in written else written
        attention = looks[row, : len(ids), :length].copy()
        hypotheses.append(Hypothesis(ids, float(scores[row]), attention, bool(ended[row])))
    return hypotheses


def search_all(model: Seq2Seq, sources: Sequence[Sequence[int]], batch_size: int = 128) -> list[Hypothesis]:
    """Search greedily for any number of sources, in batches of similar length; the order stays."""
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    hypotheses: dict[int, Hypothesis] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        hypotheses.update(zip(batch, greedy(model, [sources[i] for i in batch]), strict=True))
    return [hypotheses[i] for i in range(len(sources))]


def predict(model: Seq2Seq, texts: Sequence[str], batch_size: int = 128) -> list[str]:
    """Give the model's target for each text; a text without tokens has an empty one.

    Characters or words that the model never saw are read as ``<unk>``; `model.source.unknown` names them.
    """
    hypotheses = search_all(model, [model.source.encode(text) for text in texts], batch_size)
    return [model.target.decode(hypothesis.ids) for hypothesis in hypotheses]


@contextmanager
def evaluating(model: Seq2Seq) -> Iterator[None]:
    """Switch dropout off inside the block, and put the mode back after it."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
