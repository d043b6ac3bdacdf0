"""A step length along a direction that satisfies the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

_DECREASE = 1e-4  # c1: the share of the decrease promised by the slope that a step has to bring
_CURVATURE = 0.9  # c2: the share of the slope that may be left
_SHORTEST = 1e-9  # a bracket that no parameter moves farther in ends the search


class Point(NamedTuple):
    """What is known of the loss at x + t d: its value, its gradient, and its slope along d."""

    t: float
    loss: float
    gradient: Any
    slope: float


def strong_wolfe(evaluate: Callable[[float], Point], start: Point, t: float, size: float, max_steps: int) -> Point:
    """The point to go to; Nocedal & Wright 2006, algorithms 3.5 and 3.6.

    Parameters
    ----------
    evaluate : function
        Gives the `Point` at a step length.
    start : Point
        At t = 0.
    t : float
        The step length to try first.
    size : float
        The largest magnitude in the direction.
    max_steps : int
        How many step lengths to try after the first.
    """

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + _DECREASE * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -_CURVATURE * start.slope

    before, now, steps = start, evaluate(t), 0
    bracket = None
    while steps < max_steps and bracket is None:
        if too_high(now) or (steps > 1 and now.loss >= before.loss):
            bracket = [before, now]
        elif flat(now):
            return now
        elif now.slope >= 0:
            bracket = [before, now]
        else:
            t = _minimum_between(before, now, now.t + 0.01 * (now.t - before.t), 10 * now.t)
            before, now = now, evaluate(t)
            steps += 1
    bracket = bracket or [start, now]

    low = _lower(bracket)
    stalled = False
    while steps < max_steps and abs(bracket[1].t - bracket[0].t) * size >= _SHORTEST:
        t, stalled = _trial(bracket, stalled)
        now = evaluate(t)
        steps += 1
        if too_high(now) or now.loss >= bracket[low].loss:
            bracket[1 - low] = now
            low = _lower(bracket)
            continue
        if not flat(now) and now.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = now
        if flat(now):
            break
    return bracket[low]


def _lower(bracket: list[Point]) -> int:
    return 0 if bracket[0].loss <= bracket[1].loss else 1


def _trial(bracket: list[Point], stalled: bool) -> tuple[float, bool]:
    """A step length inside the bracket: not for the second time near its end, and whether this one is."""
    left, right = sorted(point.t for point in bracket)
    t = _minimum_between(bracket[0], bracket[1], left, right)
    margin = 0.1 * (right - left)
    if not min(right - t, t - left) < margin:
        return t, False
    if not (stalled or t >= right or t <= left):
        return t, True
    return (right - margin if abs(t - right) < abs(t - left) else left + margin), False


def _minimum_between(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through both points has its minimum, held inside [low, high]; Nocedal & Wright, equation 3.59."""
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    curvature = b.slope - a.slope + 2 * d2
    if curvature == 0:
        return high
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / curvature), low), high)
