"""CTC decoding: against sums over all paths, with and without a language model; ragged batches; bad input."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest

import tinyrnn
from tinyrnn.nn.functional import ctc_loss
from tinyrnn.seq2seq import CTCHypothesis, ctc_beam_search, ctc_greedy


def log_probs_of(T, B, C, seed=0, spread=1.0):
    x = spread * np.random.default_rng(seed).normal(size=(T, B, C))
    return x - np.log(np.exp(x).sum(2, keepdims=True))


def spelled(path, blank):
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def by_all_paths(frames, blank):
    """{ids: log-probability}, the likeliest first."""
    sums = defaultdict(float)
    for path in itertools.product(range(frames.shape[1]), repeat=len(frames)):
        sums[spelled(path, blank)] += math.exp(sum(frames[t, k] for t, k in enumerate(path)))
    return {ids: math.log(p) for ids, p in sorted(sums.items(), key=lambda item: -item[1])}


@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("T, C", [(0, 3), (1, 3), (4, 3), (7, 3), (4, 4)])
def test_a_wide_beam_is_exact(T, C, blank):
    for seed in range(3):
        x = log_probs_of(T, 1, C, seed)
        expected = by_all_paths(x[:, 0], blank)
        found = ctc_beam_search(x, blank=blank, beam_width=2000, n_best=2000)[0]
        assert [tuple(each.ids) for each in found] == list(expected)
        np.testing.assert_allclose([each.log_prob for each in found], list(expected.values()), atol=1e-12)
        assert all(each.score == each.log_prob for each in found)
        np.testing.assert_allclose(sum(math.exp(each.log_prob) for each in found), 1)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_narrow_beam_finds_less_than_there_is(width):
    x = log_probs_of(7, 20, 4)
    for frames, found in zip(x.swapaxes(0, 1), ctc_beam_search(x, beam_width=width, n_best=width), strict=True):
        expected = by_all_paths(frames, 0)
        assert len(found) == width and all(each.log_prob <= expected[tuple(each.ids)] + 1e-12 for each in found)
        assert [each.score for each in found] == sorted([each.score for each in found], reverse=True)
        assert len({tuple(each.ids) for each in found}) == width


def test_the_log_probability_is_that_of_the_loss():
    x = tinyrnn.tensor(log_probs_of(6, 3, 4, spread=2.0))
    for b, found in enumerate(ctc_beam_search(x, (6, 4, 5), beam_width=2000, n_best=4)):
        for each in found:
            ids = tinyrnn.tensor(each.ids, dtype=tinyrnn.int64)
            loss = ctc_loss(x[:, b], ids, (6, 4, 5)[b : b + 1], (len(ids),), reduction="sum")
            assert loss.item() == pytest.approx(-each.log_prob)


def test_the_best_path_may_spell_something_less_likely():
    x = np.log(np.array([[[0.6, 0.4]], [[0.6, 0.4]]]))  # Graves et al. 2006: the blank path 0.36, all others 0.64
    greedy, (beam,) = ctc_greedy(x)[0], ctc_beam_search(x)[0]
    assert greedy == CTCHypothesis([], pytest.approx(math.log(0.36)), pytest.approx(math.log(0.36)))
    assert beam == CTCHypothesis([1], pytest.approx(math.log(0.64)), pytest.approx(math.log(0.64)))


@pytest.mark.parametrize(
    "path, ids", [([2, 2, 2], [2]), ([2, 0, 2], [2, 2]), ([0, 1, 1, 0, 0, 1, 2], [1, 1, 2]), ([0, 0], []), ([], [])]
)
def test_repeated_labels_are_one_unless_a_blank_parts_them(path, ids):
    x = np.full((len(path), 1, 3), -5.0)
    for t, label in enumerate(path):
        x[t, 0, label] = -0.25
    assert ctc_greedy(x) == [CTCHypothesis(ids, -0.25 * len(path), -0.25 * len(path))]
    assert ctc_beam_search(x)[0][0].ids == ids


@pytest.mark.parametrize("decode", [ctc_greedy, lambda *args, **kwargs: [each[0] for each in ctc_beam_search(*args, **kwargs)]])
def test_ragged_batches(decode):
    """Every sequence as if it were alone, whatever stands behind its end."""
    x = log_probs_of(9, 4, 5, spread=2.0)
    lengths = [9, 0, 3, 6]
    for b, length in enumerate(lengths):
        x[length:, b] = math.nan
    found = decode(x, lengths, blank=3)
    for b, length in enumerate(lengths):
        assert decode(x[:length, b : b + 1], blank=3) == [found[b]]
    assert found[1] == CTCHypothesis([], 0.0, 0.0)
    assert decode(tinyrnn.tensor(x), tinyrnn.tensor(lengths), blank=3) == found
    assert decode(x[:, :0]) == []


def test_a_language_model():
    """Scores are log_prob + weight * what the model says for every label, and so is the order; the blank's is not used."""
    x, weight = log_probs_of(5, 1, 4), 0.7
    table = np.random.default_rng(1).normal(size=(5, 4))  # by the label before; the last row: at the start
    table[:, 1] = math.inf

    def language_model(prefix):
        assert isinstance(prefix, tuple) and 1 not in prefix
        return table[prefix[-1] if prefix else 4]

    expected = {
        ids: log_prob + weight * sum(table[before, label] for before, label in zip((4, *ids), ids))
        for ids, log_prob in by_all_paths(x[:, 0], 1).items()
    }
    with np.errstate(invalid="raise"):
        (found,) = ctc_beam_search(x, blank=1, beam_width=2000, n_best=30, language_model=language_model, weight=weight)
    assert [tuple(each.ids) for each in found] == sorted(expected, key=expected.get, reverse=True)[:30]
    np.testing.assert_allclose([each.score for each in found], [expected[tuple(each.ids)] for each in found])
    assert all(each.log_prob == pytest.approx(by_all_paths(x[:, 0], 1)[tuple(each.ids)]) for each in found[:3])


def test_what_a_language_model_forbids():
    x, forbidden = log_probs_of(5, 1, 4), np.where(np.arange(4) == 2, -math.inf, 0.0)
    assert all(2 not in each.ids for each in ctc_beam_search(x, n_best=16, language_model=lambda prefix: forbidden)[0])
    assert ctc_beam_search(x, language_model=lambda prefix: forbidden, weight=0) == ctc_beam_search(x)


def test_what_is_impossible_is_not_found():
    x = np.full((2, 1, 3), -math.inf)
    x[:, 0, 1] = 0
    assert ctc_beam_search(x, n_best=9) == [[CTCHypothesis([1], 0.0, 0.0)]]
    x[1] = -math.inf
    assert [each.log_prob for each in ctc_beam_search(x, n_best=9)[0]] == [-math.inf]


X = log_probs_of(3, 2, 4)
BROKEN = np.where(np.arange(3)[:, None, None] == 1, math.nan, X)


@pytest.mark.parametrize("decode", [ctc_greedy, ctc_beam_search])
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((X[0],), {}, r"expected floating-point log_probs of shape \(T, B, C\).*of shape \(2, 4\).*unsqueeze\(1\)"),
        ((X.astype(int),), {}, "got int64 of shape"),
        ((X,), {"blank": 4}, "expected a blank from 0 to 3, one of the 4 classes, got 4"),
        ((X, [3]), {}, r"expected lengths as 2 integers, one for each sequence, got \[3\]"),
        ((X, [3, 1.5]), {}, "expected lengths as 2 integers"),
        ((X, [3, 4]), {}, r"expected lengths from 0 to 3, the steps of log_probs, got \[3, 4\]"),
        ((X, [-1, 3]), {}, "expected lengths from 0 to 3"),
        ((BROKEN, [1, 3]), {}, "log_probs of sequence 1 are NaN at step 1"),
    ],
)
def test_errors(decode, arguments, options, message):
    with pytest.raises(ValueError, match=f"{decode.__name__}: .*{message}"):
        decode(*arguments, **options)


def test_errors_of_the_beam():
    with pytest.raises(ValueError, match="a beam_width of at least 1, got 0"):
        ctc_beam_search(X, beam_width=0)
    with pytest.raises(ValueError, match="n_best from 1 to beam_width=4, got 5"):
        ctc_beam_search(X, beam_width=4, n_best=5)
    with pytest.raises(ValueError, match=r"language_model\(\(\)\) returned shape \(3,\), expected \(4,\)"):
        ctc_beam_search(X, language_model=lambda prefix: np.zeros(3))
