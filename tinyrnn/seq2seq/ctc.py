"""Decoding of what a model trained with the CTC loss says: the best path, and search over prefixes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyrnn.dtypes import FLOATS
from tinyrnn.ops.casting import array

Frames = npt.NDArray[Any]  # (T, C), log-probabilities of one sequence
Prefix = tuple[int, ...]
LanguageModel = Callable[[Prefix], Any]


@dataclass(frozen=True)
class CTCHypothesis:
    """What a decoder found for one sequence.

    Attributes
    ----------
    ids : list of int
        The classes, without blanks.
    log_prob : float
        Of `ctc_greedy` the log-probability of the best path; of `ctc_beam_search` that of all paths found that spell `ids`.
    score : float
        What hypotheses are ranked by: `log_prob`, and the language model's share.
    """

    ids: list[int]
    log_prob: float
    score: float


def ctc_greedy(log_probs: Any, lengths: Any = None, blank: int = 0) -> list[CTCHypothesis]:
    """Take the most likely class at every step, merge repeated ones, and drop the blanks.

    That is the most likely path, which need not spell the most likely ids: many paths may spell others.

    Parameters
    ----------
    log_probs : (T, B, C) tensor or array
        Log-probabilities of the classes at every step.
    lengths : (B,), optional
        Steps of every sequence; all T if left out. What stands behind them is not looked at.
    blank : int
        The class that spells nothing.

    Source: Graves et al. 2006, "Connectionist temporal classification", section 3.2.

    Raises
    ------
    ValueError
        If shapes or lengths do not fit together, `blank` is not a class, or a log-probability is NaN.
    """
    return [_best_path(frames, blank) for frames in _sequences("ctc_greedy", log_probs, lengths, blank)]


def _best_path(frames: Frames, blank: int) -> CTCHypothesis:
    path = frames.argmax(1)
    starts = np.concatenate([[True], path[1:] != path[:-1]])
    log_prob = float(frames.max(1).sum())
    return CTCHypothesis(path[starts & (path != blank)].tolist(), log_prob, log_prob)


def ctc_beam_search(
    log_probs: Any,
    lengths: Any = None,
    *,
    blank: int = 0,
    beam_width: int = 16,
    n_best: int = 1,
    language_model: LanguageModel | None = None,
    weight: float = 1.0,
) -> list[list[CTCHypothesis]]:
    """Search for the likeliest ids, adding up the paths that spell the same; the `n_best`, best first, for each sequence.

    At every step the `beam_width` best prefixes are kept; where none was dropped, the log-probabilities are exact.

    Parameters
    ----------
    log_probs, lengths, blank
        As for `ctc_greedy`.
    beam_width, n_best : int
        How many prefixes are kept, and how many of them returned. There are fewer where fewer are possible.
    language_model : callable, optional
        ``language_model(prefix)``, given a tuple of ids, returns (C,): what it says for each class that may follow, as a
        log-probability; the blank's is not used. It is asked whenever a prefix comes into the beam.
    weight : float
        The score of ids is their `log_prob` plus `weight` times the sum of what the language model said for them.

    Source: Graves et al. 2006, section 3.2, as a beam; Hannun et al. 2014, "First-pass large vocabulary continuous speech
    recognition using bi-directional recurrent DNNs", algorithm 1, for the language model.

    Raises
    ------
    ValueError
        Also if `beam_width` is below 1, or `n_best` is not from 1 to `beam_width`.
    """
    if beam_width < 1:
        raise ValueError(f"ctc_beam_search: expected a beam_width of at least 1, got {beam_width}")
    if not 1 <= n_best <= beam_width:
        raise ValueError(f"ctc_beam_search: expected n_best from 1 to beam_width={beam_width}, got {n_best}")
    found = []
    for frames in _sequences("ctc_beam_search", log_probs, lengths, blank):
        beam = _Beam(frames.shape[1], blank, language_model, weight)
        for frame in frames:
            beam.step(frame, beam_width)
        found.append(beam.hypotheses(n_best))
    return found


class _Beam:
    """Prefixes and, for each, the sums over the paths so far that spell it: of those that end in a blank, and in a label."""

    def __init__(self, classes: int, blank: int, language_model: LanguageModel | None, weight: float) -> None:
        self.blank, self.classes = blank, classes
        self.language_model, self.weight = language_model, weight
        self.prefixes: list[Prefix] = [()]
        self.in_blank, self.in_label = np.zeros(1), np.full(1, -np.inf)
        self.bonus = np.zeros(1)  # the language model's share of the score
        self.next_bonus = self._ask(())[None]

    def step(self, frame: Frames, width: int) -> None:
        """Let every prefix stay and grow, and keep the best."""
        rows = np.arange(len(self.prefixes))
        last = np.array([prefix[-1] if prefix else self.blank for prefix in self.prefixes])
        total = np.logaddexp(self.in_blank, self.in_label)
        in_blank = total + frame[self.blank]
        in_label = self.in_label + frame[last]
        grown = total[:, None] + frame
        grown[rows, last] = self.in_blank + frame[last]  # a label is only repeated after a blank: else it goes on
        grown[:, self.blank] = -np.inf
        self._merge(in_label, grown)
        scores = np.concatenate(
            [
                np.logaddexp(in_blank, in_label) + self.bonus,
                (grown + self.bonus[:, None] + self.next_bonus).ravel(),
            ]
        )
        self._keep(_best(scores, width), in_blank, in_label, grown)

    def _merge(self, in_label: Frames, grown: Frames) -> None:
        """What grows into a prefix that is there already is added to it."""
        rows = {prefix: row for row, prefix in enumerate(self.prefixes)}
        for prefix, row in rows.items():
            parent = rows.get(prefix[:-1]) if prefix else None
            if parent is not None:
                in_label[row] = np.logaddexp(in_label[row], grown[parent, prefix[-1]])
                grown[parent, prefix[-1]] = -np.inf

    def _keep(self, chosen: Any, in_blank: Frames, in_label: Frames, grown: Frames) -> None:
        """Go on with the prefixes that stayed (the numbers `chosen` below their count) or grew (the others)."""
        count = len(self.prefixes)
        staying = chosen[chosen < count]
        parents, labels = np.divmod(chosen[chosen >= count] - count, self.classes)
        new = [(*self.prefixes[parent], label) for parent, label in zip(parents.tolist(), labels.tolist())]
        self.prefixes = [self.prefixes[row] for row in staying] + new
        self.in_blank = np.concatenate([in_blank[staying], np.full(len(new), -np.inf)])
        self.in_label = np.concatenate([in_label[staying], grown[parents, labels]])
        self.bonus = np.concatenate([self.bonus[staying], self.bonus[parents] + self.next_bonus[parents, labels]])
        self.next_bonus = np.stack([*self.next_bonus[staying], *[self._ask(prefix) for prefix in new]])

    def _ask(self, prefix: Prefix) -> Frames:
        """(C,): what each class adds to the score of a prefix that it is appended to."""
        if self.language_model is None or self.weight == 0:
            return np.zeros(self.classes)
        answer = np.asarray(array(self.language_model(prefix)), np.float64)
        if answer.shape != (self.classes,):
            raise ValueError(
                f"ctc_beam_search: language_model({prefix}) returned shape {answer.shape}, expected ({self.classes},): one "
                f"log-probability for each class, the blank's being ignored"
            )
        answer = self.weight * answer
        answer[self.blank] = 0
        return answer

    def hypotheses(self, count: int) -> list[CTCHypothesis]:
        log_probs = np.logaddexp(self.in_blank, self.in_label)
        scores = log_probs + self.bonus
        rows = _best(scores, count)
        return [CTCHypothesis(list(self.prefixes[row]), float(log_probs[row]), float(scores[row])) for row in rows]


def _best(scores: Frames, count: int) -> Any:
    """The places of the `count` largest scores, the largest first, without those that are impossible unless all are."""
    if len(scores) > count:
        places = np.argpartition(-scores, count - 1)[:count]
    else:
        places = np.arange(len(scores))
    places = places[np.argsort(-scores[places], kind="stable")]
    possible = places[scores[places] > -np.inf]
    return possible if len(possible) else places[:1]


def _sequences(name: str, log_probs: Any, lengths: Any, blank: int) -> list[Frames]:
    """The steps (T, C) of every sequence, as float64."""
    x = np.asarray(array(log_probs))
    if x.ndim != 3 or x.dtype.kind not in FLOATS:
        raise ValueError(
            f"{name}: expected floating-point log_probs of shape (T, B, C) = (time, batch, classes), got {x.dtype} of shape "
            f"{x.shape}; for one sequence, add a batch with unsqueeze(1)"
        )
    T, B, C = x.shape
    if not 0 <= blank < C:
        raise ValueError(f"{name}: expected a blank from 0 to {C - 1}, one of the {C} classes, got {blank}")
    counts = np.full(B, T) if lengths is None else np.asarray(array(lengths))
    if counts.shape != (B,) or (B and counts.dtype.kind not in "iu"):
        raise ValueError(f"{name}: expected lengths as {B} integers, one for each sequence, got {lengths}")
    if B and not 0 <= counts.min() <= counts.max() <= T:
        raise ValueError(f"{name}: expected lengths from 0 to {T}, the steps of log_probs, got {counts.tolist()}")
    sequences = [x[:count, b].astype(np.float64) for b, count in enumerate(counts.tolist())]
    for b, frames in enumerate(sequences):
        if np.isnan(frames).any():
            raise ValueError(f"{name}: log_probs of sequence {b} are NaN at step {np.isnan(frames).any(1).argmax()}")
    return sequences
