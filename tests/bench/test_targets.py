"""Groups, what they are meant to reach, and two runs beside each other."""

from __future__ import annotations

import math

import pytest

from tinyrnn.bench.comparison import compare, comparison_lines
from tinyrnn.bench.results import Results, Row
from tinyrnn.bench.suites import cases_of
from tinyrnn.bench.summaries import summarize
from tinyrnn.bench.targets import TARGETS, verdicts


def row(kind="LSTM", work="forward", shape="B1", ratio=2.0, suite="recurrent", ours=1.0, **options):
    samples = {"tinyrnn": [ours] * 3, "PyTorch": [ours * ratio] * 3}
    about = {"suite": suite, "kind": kind, "work": work, "shape": shape, "unit": "s", "flops": 10**9, "peak": 4e9}
    return Row(**{**about, "samples": samples, **options})


def run(*rows):
    return Results("", "", {}, {}, [], list(rows))


def test_groups_are_by_suite_kind_work_and_peer():
    groups = summarize([row(shape="B1", ratio=1.0), row(shape="B2", ratio=4.0), row(work="training", ratio=3.0)])
    assert [(g.name, g.count, g.least, g.where) for g in groups] == [
        ("LSTM forward", 2, 1.0, "LSTM forward B1"),
        ("LSTM training", 1, 3.0, "LSTM training B1"),
    ]
    assert math.isclose(groups[0].mean, 2.0)
    assert groups[0].target is not None and groups[0].target.mean == 1.4


def test_suites_with_one_target_are_summarised_as_a_whole():
    groups = summarize([row("LSTM", ratio=2.0, suite="packed"), row("GRU", ratio=8.0, suite="packed")])
    assert [(g.name, g.count) for g in groups] == [("LSTM forward", 1), ("GRU forward", 1), ("all", 2)]
    assert math.isclose(groups[-1].mean, 4.0) and groups[-1].target.least == 1.1


def test_a_missed_target_says_where_and_by_how_much():
    judged = verdicts([row(shape="B1", ratio=0.9), row(shape="B2", ratio=9.0)])
    by_bound = {verdict.bound: verdict for verdict in judged}
    assert by_bound["geometric mean"].met
    assert not by_bound["minimum"].met
    assert (by_bound["minimum"].wanted, by_bound["minimum"].where) == (0.97, "LSTM forward B1")
    assert math.isclose(by_bound["minimum"].got, 0.9)


def test_the_peak_counts_for_large_layers_only():
    large, small = row(shape="B64 T50 I512 H512", ours=1 / 3.8), row(shape="B1", ours=1.0)
    judged = {v.label: v for v in verdicts([large, small])}
    share = judged["recurrent LSTM forward B64 T50 I512 H512, B128 T35 I650 H650: share of the peak"]
    assert share.met and math.isclose(share.got, 0.95)


def test_limits_are_upper_ones():
    judged = verdicts([row("import", "time", suite="import", ours=0.04), row("installed", "size", suite="import", ours=6e6)])
    assert [(verdict.bound, verdict.met) for verdict in judged] == [("maximum", True), ("maximum", False)]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.label())
def test_every_target_has_its_cases(target):
    cases = [
        Row(c.suite, c.kind, c.work, c.shape, c.unit, c.flops, 1.0, {"tinyrnn": [1.0], target.peer: [1.0]})
        for c in cases_of([])
    ]
    chosen = target.rows(cases)
    assert chosen
    assert not target.shapes or {each.shape for each in chosen} == set(target.shapes)
    assert all(target.figure != "ratio" or target.peer in case.beside for case in cases_of([target.suite]))


def test_what_got_slower_is_flagged():
    old = run(row(shape="B1", ours=1.0), row(shape="B2", ours=1.0), row(shape="B3"))
    new = run(row(shape="B1", ours=1.04), row(shape="B2", ours=1.2), row(shape="B4"))
    changes = compare(old, new)
    assert [(change.name, change.is_slower) for change in changes] == [
        ("recurrent: LSTM forward B1", False),
        ("recurrent: LSTM forward B2", True),
    ]
    assert math.isclose(changes[1].ours, 1.2) and math.isclose(changes[1].peer, 1.2)
    lines = comparison_lines(changes)
    assert [line.endswith("SLOWER") for line in lines[2:4]] == [False, True]
    assert lines[-1].startswith("1 of 2 cases")


def test_runs_with_nothing_in_common_say_so():
    failed = row(shape="B1", samples={}, error="broke")
    assert comparison_lines(compare(run(row(shape="B1")), run(failed))) == ["The two runs have no case in common."]
