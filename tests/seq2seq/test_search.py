"""Search: where hypotheses end, what they carry, and that searching leaves no traces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinyrnn.devices import CPU
from tinyrnn.engine.base import wrap
from tinyrnn.random import manual_seed
from tinyrnn.seq2seq import Codec, Memory, Seq2Seq, Vocabulary, greedy, predict, search_all
from tinyrnn.seq2seq.vocabulary import END, START

SIDE = Codec("char", Vocabulary("abcdefgh"))
SOURCES = [[4, 5, 6], [7], [11, 10, 9, 8, 7], [5, 5]]


class Scripted:
    """Stands in for a model: row i writes `scripts[i]`, whatever the source; counts its steps."""

    max_length = 10
    training = False
    device = CPU

    def __init__(self, scripts: list[list[int]]) -> None:
        self.scripts = scripts
        self.fed: list[list[int]] = []

    def eval(self) -> None:
        pass

    def train(self, mode: bool) -> None:
        pass

    def encode(self, source: Any, lengths: Any) -> Memory:
        return Memory(source, source, None, 0)

    def decode_step(self, token: Any, state: Any, memory: Memory) -> tuple[Any, Any, Any]:
        self.fed.append(token.numpy().tolist())
        log_probs = np.full((len(self.scripts), 12), -9.0)
        for row, script in enumerate(self.scripts):
            log_probs[row, script[min(state, len(script) - 1)]] = -0.5
        weights = np.full(memory.values.shape, 0.25)
        return wrap(log_probs), state + 1, wrap(weights)


def make_model(**options: Any) -> Seq2Seq:
    manual_seed(2)
    return Seq2Seq(SIDE, SIDE, **{"embed": 5, "hidden": 7, "layers": 2, "max_length": 6, **options})


def test_each_row_stops_at_its_own_end() -> None:
    model = Scripted([[5, 6, END, 7], [END], [4, END]])
    found = greedy(model, SOURCES[:3])
    assert [hypothesis.ids for hypothesis in found] == [[5, 6], [], [4]]
    assert [hypothesis.log_prob for hypothesis in found] == pytest.approx([-1.5, -0.5, -1.0])
    assert [hypothesis.attention.shape for hypothesis in found] == [(2, 3), (0, 1), (1, 5)]
    assert all(hypothesis.ended for hypothesis in found)
    assert len(model.fed) == 3, "no step is taken after the last end"
    assert model.fed[0] == [START] * 3
    assert (model.fed[1][0], model.fed[1][2]) == (5, 4)


def test_a_row_that_never_ends_is_cut() -> None:
    found = greedy(Scripted([[5], [6, END]]), SOURCES[:2], max_length=4)
    assert [hypothesis.ids for hypothesis in found] == [[5, 5, 5, 5], [6]]
    assert [hypothesis.ended for hypothesis in found] == [False, True]
    assert len(greedy(Scripted([[5]]), SOURCES[:1])[0].ids) == Scripted.max_length
    with pytest.raises(ValueError, match="max_length: expected at least 1, got 0"):
        greedy(make_model(), SOURCES, max_length=0)


def test_searching_is_free_of_chance_and_leaves_no_traces() -> None:
    model = make_model(dropout=0.5).train()
    first, second = greedy(model, SOURCES), greedy(model, SOURCES)
    assert [hypothesis.log_prob for hypothesis in first] == [hypothesis.log_prob for hypothesis in second]
    assert model.training and model.decoder.dropout.training
    model.eval()
    greedy(model, SOURCES)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_scores_and_attention_are_those_of_the_model() -> None:
    model = make_model().double()
    for source, hypothesis in zip(SOURCES, greedy(model, SOURCES), strict=True):
        alone = greedy(model, [source])[0]
        assert alone.ids == hypothesis.ids
        assert alone.log_prob == pytest.approx(hypothesis.log_prob)
        assert hypothesis.attention.shape == (len(hypothesis.ids), len(source))
        np.testing.assert_allclose(hypothesis.attention, alone.attention, atol=1e-12)
        np.testing.assert_allclose(hypothesis.attention.sum(1), 1)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_any_number_of_sources_in_their_order(batch_size: int) -> None:
    model = make_model().double()
    sources = [*SOURCES, [], *SOURCES[::-1]]
    found = search_all(model, sources, batch_size)
    assert [h.ids for h in found] == [h.ids for source in sources for h in greedy(model, [source])]
    assert search_all(model, []) == []


def test_a_source_without_tokens_has_nothing_to_say() -> None:
    hypothesis = greedy(make_model(), [[], [4]])[0]
    assert (hypothesis.ids, hypothesis.log_prob, hypothesis.attention.shape) == ([], 0.0, (0, 0))
    assert predict(make_model(), ["", "ab"])[0] == ""


def test_unknown_characters_are_read_as_unknown() -> None:
    model = make_model()
    assert predict(model, ["aß"]) == predict(model, ["aé"])
    assert predict(model, []) == []
