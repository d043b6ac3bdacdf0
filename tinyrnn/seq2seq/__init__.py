"""Sequence to sequence: vocabularies, batches, encoder, attention decoder, search, CTC decoding and error rates.

>>> source = Codec.build(["abc", "cab"], unit="char")
>>> model = Seq2Seq(source, target=source, hidden=32, layers=1)
>>> predict(model, ["abc"])  # doctest: +SKIP

`tinyrnn.training` trains it.
"""

from __future__ import annotations

from tinyrnn.seq2seq.codec import Codec
from tinyrnn.seq2seq.ctc import CTCHypothesis, ctc_beam_search, ctc_greedy
from tinyrnn.seq2seq.encoder import Memory
from tinyrnn.seq2seq.metrics import ErrorRates, edit_distance, error_rates
from tinyrnn.seq2seq.model import Seq2Seq
from tinyrnn.seq2seq.pairs import DataError, group_references, read_pairs
from tinyrnn.seq2seq.search import Hypothesis, greedy, predict, search_all
from tinyrnn.seq2seq.vocabulary import Vocabulary

__all__ = [
    "CTCHypothesis",
    "Codec",
    "DataError",
    "ErrorRates",
    "Hypothesis",
    "Memory",
    "Seq2Seq",
    "Vocabulary",
    "ctc_beam_search",
    "ctc_greedy",
    "edit_distance",
    "error_rates",
    "greedy",
    "group_references",
    "predict",
    "read_pairs",
    "search_all",
]
