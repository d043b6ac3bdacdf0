"""Edit distance and error rates."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrnn.seq2seq.metrics import ErrorRates, edit_distance, error_rates

# Few letters, so that many elements agree.
words = st.text("ab", max_size=8) | st.text("abcd", max_size=8)
token_lists = st.lists(st.sampled_from(["AH", "B", "K"]), max_size=5)
scored = st.tuples(token_lists, st.lists(token_lists.filter(len), min_size=1, max_size=3))


def naive_distance(a: str, b: str) -> int:
    """Levenshtein's definition, word for word."""

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        substitution = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(substitution, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(a), len(b))


@given(words, words)
def test_distance_is_that_of_the_definition(a: str, b: str) -> None:
    assert edit_distance(a, b) == naive_distance(a, b)


@given(words, words)
def test_distance_is_zero_only_between_equals_and_symmetric(a: str, b: str) -> None:
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)


@given(words, words, words)
def test_distance_obeys_the_triangle_inequality(a: str, b: str, c: str) -> None:
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


@given(words, words, words, words)
def test_common_ends_cost_nothing(head: str, a: str, b: str, tail: str) -> None:
    assert edit_distance(head + a + tail, head + b + tail) == edit_distance(a, b)


@given(words, words)
def test_distance_is_the_same_for_any_sequence(a: str, b: str) -> None:
    assert edit_distance(list(a), tuple(b)) == edit_distance(a, b)
    assert edit_distance([[x] for x in a], [[x] for x in b]) == edit_distance(a, b)


@given(st.lists(scored, min_size=1))
def test_rates_are_sums_over_the_nearest_references(items) -> None:
    errors = tokens = wrong = 0
    for hypothesis, accepted in items:
        distance, nearest = min((edit_distance(hypothesis, r), r) for r in accepted)
        errors, tokens, wrong = errors + distance, tokens + len(nearest), wrong + (distance > 0)
    rates = error_rates(*zip(*items, strict=True))
    assert rates.token_error_rate == 100 * errors / tokens
    assert rates.sequence_error_rate == 100 * wrong / len(items)
    assert rates.exact_match == pytest.approx(100 - rates.sequence_error_rate)


@given(st.lists(scored, min_size=1))
def test_order_of_the_references_does_not_matter(items) -> None:
    hypotheses, references = zip(*items, strict=True)
    backwards = [accepted[::-1] for accepted in references]
    assert error_rates(hypotheses, references) == error_rates(hypotheses, backwards)


def test_rates_are_percentages() -> None:
    hypotheses = [["K", "AE", "T"], ["D", "AO", "G"], []]
    references = [[["K", "AE", "T"]], [["D", "AA", "G"], ["D", "AO", "G", "Z"]], [["B", "IY"]]]
    # 0 of 3, 1 of 3 (the shorter of two equally near sorts first) and 2 of 2 tokens wrong.
    rates = error_rates(hypotheses, references)
    assert rates == ErrorRates(
        token_error_rate=pytest.approx(100 * 3 / 8),
        sequence_error_rate=pytest.approx(100 * 2 / 3),
        exact_match=pytest.approx(100 / 3),
    )


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "got 0 for 0 hypotheses"),
        ([["a"], ["b"]], [[["a"]]], "got 1 for 2 hypotheses"),
        ([["a"], ["b"]], [[["a"]], []], "references for hypothesis 1, got none"),
        ([["a"], ["b"]], [["a"], ["b"]], "at hypothesis 0, got the text 'a'"),
        (["a b"], [[["a", "b"]]], "at hypothesis 0, got the text 'a b'"),
        ([["a"]], [[[]]], "references with tokens, got empty ones"),
    ],
)
def test_refuses_what_has_no_rate(hypotheses, references, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        error_rates(hypotheses, references)
