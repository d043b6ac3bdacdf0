"""How good a model is on pairs that it was not trained with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyrnn._tensor import Tensor
from tinyrnn.grad_modes import no_grad
from tinyrnn.nn.functional import cross_entropy
from tinyrnn.seq2seq.metrics import error_rates
from tinyrnn.seq2seq.model import Seq2Seq
from tinyrnn.seq2seq.pairs import group_references
from tinyrnn.seq2seq.search import evaluating, search_all
from tinyrnn.seq2seq.vocabulary import PADDING, split
from tinyrnn.training.data import Batch, EncodedPairs, Pair

_BATCH = 128


def batch_loss(model: Seq2Seq, batch: Batch) -> Tensor:
    """Give the mean cross-entropy of a batch's labels by teacher forcing, padding left out."""
    logits = model(batch.source, batch.lengths, batch.tokens)
    return cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=PADDING)


class Evaluation:
    """Validation pairs, made ready once.

    Parameters
    ----------
    pairs : sequence of (str, str)
        A source in several rows has several targets; any of them counts as right.
    model : Seq2Seq
    """

    def __init__(self, pairs: Sequence[Pair], model: Seq2Seq) -> None:
        grouped = group_references(pairs)
        unit = model.target.unit
        self._encoded = EncodedPairs(pairs, model)
        self._sources = [model.source.encode(source) for source in grouped]
        self._references = [[split(target, unit) for target in targets] for targets in grouped.values()]

    def __call__(self, model: Seq2Seq) -> dict[str, float]:
        """Measure a model.

        Returns
        -------
        dict
            ``dev_loss``, the mean cross-entropy of a token in nats, over all pairs; of the greedy search over all
            sources and in percent ``dev_per``, the token error rate (with phonemes as tokens the phoneme error rate),
            ``dev_wer``, the share of sources whose target is wrong, and ``dev_exact_match``, the share of right ones.
        """
        hypotheses = search_all(model, self._sources, _BATCH)
        tokens = [model.target.vocabulary.decode(hypothesis.ids) for hypothesis in hypotheses]
        rates = error_rates(tokens, self._references)
        return {
            "dev_loss": self._loss(model),
            "dev_per": rates.token_error_rate,
            "dev_wer": rates.sequence_error_rate,
            "dev_exact_match": rates.exact_match,
        }

    def _loss(self, model: Seq2Seq) -> float:
        order = np.argsort(self._encoded.lengths, kind="stable")
        total, tokens = 0.0, 0
        with evaluating(model), no_grad():
            for start in range(0, len(order), _BATCH):
                batch = self._encoded.batch(order[start : start + _BATCH])
                total += batch_loss(model, batch).item() * batch.size
                tokens += batch.size
        return total / tokens
