"""How sides are timed: in turns, in pairs, per piece of work."""

from __future__ import annotations

import gc
import random
import time
from contextlib import contextmanager

import pytest

from tinyrnn.bench.timing import Effort, Side, measure

BRIEF = Effort(rounds=4, seconds=0.0, sample=0.0, pause=0.0)


def test_every_side_is_timed_once_in_each_round():
    calls = []
    sides = {name: Side(lambda name=name: calls.append(name)) for name in "abc"}
    samples = measure(sides, BRIEF, random.Random(0))
    assert {name: len(each) for name, each in samples.items()} == {"a": 4, "b": 4, "c": 4}
    turns = calls[-4 * 3 * 2 :]  # what comes before finds out how long a call takes
    assert turns[::2] == turns[1::2], "a turn is an untimed and a timed call of the same side"
    rounds = [tuple(turns[start : start + 6 : 2]) for start in range(0, 24, 6)]
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert len(set(rounds)) > 1, "the order is drawn anew"


def test_times_are_those_of_a_piece_of_work():
    sides = {"whole": Side(lambda: time.sleep(0.01)), "pieces": Side(lambda: time.sleep(0.01), units=10)}
    samples = measure(sides, BRIEF)
    assert min(samples["whole"]) >= 0.01
    assert 0.001 <= min(samples["pieces"]) < 0.01


def test_short_calls_are_repeated_within_a_sample():
    count = 0

    def run():
        nonlocal count
        count += 1

    measure({"short": Side(run)}, Effort(rounds=1, seconds=0, sample=1e-3, pause=0))
    assert count > 100


def test_rounds_go_on_for_the_time_that_was_given():
    samples = measure({"a": Side(lambda: time.sleep(1e-4))}, Effort(rounds=2, seconds=0.1, sample=0, pause=0))
    assert len(samples["a"]) > 10


def test_the_mode_is_entered_outside_of_the_time():
    @contextmanager
    def slow_mode():
        time.sleep(0.02)
        inside.append(True)
        yield
        inside.pop()

    inside = []
    side = Side(lambda: bool(inside), mode=slow_mode)
    assert side.outputs() is True
    assert max(measure({"a": side}, BRIEF)["a"]) < 0.02


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_off_meanwhile(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        seen = set()
        measure({"a": Side(lambda: seen.add(gc.isenabled()))}, BRIEF)
        assert seen == {False} and gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
