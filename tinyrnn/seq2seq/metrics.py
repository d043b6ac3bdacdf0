"""How far hypotheses are from their references: edit distance and the error rates made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Tokens = Sequence[str]


@dataclass(frozen=True)
class ErrorRates:
    """Error rates over a set of sequences, each in percent.

    Attributes
    ----------
    token_error_rate : float
        Edit distances to the nearest references, summed, over the summed lengths of those references. With
        phonemes as tokens this is the phoneme error rate (PER). Insertions can take it above 100.
    sequence_error_rate : float
        Share of the sequences that equal none of their references. With a word's phonemes as a sequence this
        is the word error rate (WER).
    exact_match : float
        Share of the sequences that equal one of their references.
    """

    token_error_rate: float
    sequence_error_rate: float
    exact_match: float


def edit_distance(a: Sequence[object], b: Sequence[object]) -> int:
    """Count the insertions, deletions and substitutions that turn one sequence into the other.

    Levenshtein's distance (1966) by the dynamic program of Wagner and Fischer (1974), with two rows of the
    table in memory. The elements need only be comparable for equality.
    """
    a, b = _without_common_ends(a, b)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b):
            row.append(min(above[j] + (x != y), above[j + 1] + 1, row[j] + 1))
    return row[-1]


def error_rates(hypotheses: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> ErrorRates:
    """Score each hypothesis against the nearest of its references.

    Of references equally near, the one that sorts first gives the length: their order does not matter.

    Parameters
    ----------
    hypotheses : sequence of token lists
    references : sequence of lists of token lists
        For each hypothesis the accepted token lists, at least one.

    Raises
    ------
    ValueError
        If there are no hypotheses, not as many references, a hypothesis without reference, text in place of a
        token list, or no token in any of the nearest references.
    """
    if len(hypotheses) != len(references) or not hypotheses:
        raise ValueError(
            f"error_rates: expected one list of references per hypothesis, got {len(references)} for "
            f"{len(hypotheses)} hypotheses; give as many of both, at least one"
        )
    nearest = [_nearest(hypotheses[i], references[i], i) for i in range(len(hypotheses))]
    tokens = sum(length for _, length in nearest)
    if tokens == 0:
        raise ValueError("error_rates: expected references with tokens, got empty ones; leave those out")
    errors = sum(distance for distance, _ in nearest)
    wrong = sum(distance > 0 for distance, _ in nearest)
    return ErrorRates(
        token_error_rate=100 * errors / tokens,
        sequence_error_rate=100 * wrong / len(nearest),
        exact_match=100 * (len(nearest) - wrong) / len(nearest),
    )


def _without_common_ends(a: Sequence[object], b: Sequence[object]) -> tuple[Sequence[object], Sequence[object]]:
    # Equal ends never cost an edit, and hypotheses are mostly right: what is left to compare is short.
    shorter = min(len(a), len(b))
    head = 0
    while head < shorter and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < shorter - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    return a[head : len(a) - tail], b[head : len(b) - tail]


def _nearest(hypothesis: Tokens, accepted: Sequence[Tokens], number: int) -> tuple[int, int]:
    # The distance to the nearest reference, and that reference's length.
    if not accepted:
        raise ValueError(f"error_rates: expected references for hypothesis {number}, got none; give one")
    for tokens in (hypothesis, *accepted):
        # A forgotten level of nesting would otherwise be scored silently, character by character.
        if isinstance(tokens, str):
            raise ValueError(
                f"error_rates: expected token lists at hypothesis {number}, got the text {tokens!r}; "
                "split it into tokens, and give each hypothesis a list of references"
            )
    distance, reference = min((edit_distance(hypothesis, tokens), list(tokens)) for tokens in accepted)
    return distance, len(reference)
