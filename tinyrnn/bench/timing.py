"""Fair times of two or more sides in one process.

Worker threads of a library go on spinning for a while after a call, and a library that comes back finds its caches filled by
the other one. So the sides take turns in random order, each after a pause and one untimed call, and what counts is the median
of the ratios of one round, not the ratio of medians: a machine that slows down for a second slows both sides of that round.
"""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Effort:
    """How long to measure one case.

    Attributes
    ----------
    rounds : int
        Rounds at least; every side is timed once in each.
    seconds : float
        Rounds go on for this long.
    sample : float
        Seconds that a timed sample takes at least: shorter calls are repeated within it.
    pause : float
        Seconds of sleep before a side's turn.
    processes : int
        Repetitions of measurements that need a fresh process each.
    slices, slice_seconds : int, float
        Turns, and the length of a turn, of whole training programs.
    """

    rounds: int = 7
    seconds: float = 3.0
    sample: float = 2e-3
    pause: float = 0.02
    processes: int = 5
    slices: int = 3
    slice_seconds: float = 20.0


FULL: Final = Effort()
QUICK: Final = Effort(rounds=3, seconds=0.3, sample=1e-3, processes=2, slices=1, slice_seconds=5.0)


@dataclass(frozen=True)
class Side:
    """One of the things that are measured beside each other.

    Attributes
    ----------
    run : callable
        Does the work once; returns the arrays or tensors that it computed.
    units : float
        Pieces of work in a call; times are given per piece.
    comparable : bool
        Whether what `run` returns must agree with our side.
    mode : callable
        Gives a context, such as `inference_mode`, that is entered before the clock starts: a program that streams enters
        it once.
    """

    run: Callable[[], Any]
    units: float = 1.0
    comparable: bool = True
    mode: Callable[[], AbstractContextManager[Any]] = nullcontext

    def outputs(self) -> Any:
        """What one call returns."""
        with self.mode():
            return self.run()


def measure(sides: Mapping[str, Side], effort: Effort, order: random.Random | None = None) -> dict[str, list[float]]:
    """Time the sides in turns.

    Parameters
    ----------
    sides : mapping of name to Side
    effort : Effort
    order : random.Random, optional
        Decides who comes first in each round.

    Returns
    -------
    dict
        For every side its seconds per piece of work, one per round: entries at the same place belong to one round.
    """
    order = order or random.Random()
    samples: dict[str, list[float]] = {name: [] for name in sides}
    with _no_collection():
        calls = {name: _calls_per_sample(side, effort.sample) for name, side in sides.items()}
        end = time.perf_counter() + effort.seconds
        rounds = 0
        while rounds < effort.rounds or time.perf_counter() < end:
            for name in order.sample(list(sides), len(sides)):
                time.sleep(effort.pause)
                sides[name].outputs()
                samples[name].append(_seconds(sides[name], calls[name]))
            rounds += 1
    return samples


def _calls_per_sample(side: Side, least: float) -> int:
    side.outputs()
    return max(1, math.ceil(least / max(_seconds(side, 1) * side.units, 1e-7)))


def _seconds(side: Side, calls: int) -> float:
    run = side.run
    with side.mode():
        before = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - before) / (calls * side.units)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the garbage collector, which would stop whichever side happens to run."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
