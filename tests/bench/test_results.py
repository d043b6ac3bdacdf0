"""Rows, their figures, and the JSON file."""

from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrnn.bench import BenchError
from tinyrnn.bench.results import Results, Row, read

times = st.floats(1e-7, 1e3)
pairs = st.lists(st.tuples(times, times), min_size=1, max_size=30)


def row(ours, theirs=(), **options):
    samples = {"tinyrnn": list(ours)} | ({"PyTorch": list(theirs)} if theirs else {})
    about = {"suite": "recurrent", "kind": "LSTM", "work": "forward", "shape": "B1", "unit": "s", "flops": 10**9, "peak": 4e9}
    return Row(**{**about, "samples": samples, **options})


def results(*rows):
    return Results("2026-01-01", "tinyrnn bench", {"threads": 2}, {"processor": "x"}, ["a note"], list(rows))


def test_a_ratio_is_the_median_of_pairs_and_not_the_ratio_of_medians():
    # The machine was ten times slower in the last two rounds, for both.
    ratio = row([1, 1, 10, 10, 10], [2, 3, 20, 20, 20]).ratio("PyTorch")
    assert ratio.median == 2
    assert row([1, 2, 4], [4, 2, 1]).ratio("PyTorch") == (1, 0.25, 4)


@given(pairs)
def test_quartiles_lie_around_the_median_unless_there_are_too_few(samples):
    ours, theirs = zip(*samples)
    median, lower, upper = row(ours, theirs).ratio("PyTorch")
    ratios = sorted(b / a for a, b in samples)
    assert median == statistics.median(ratios)
    assert lower <= median * (1 + 1e-9) and upper >= median * (1 - 1e-9)
    assert len(samples) > 1 or lower == upper == median


def test_speed_is_that_of_the_median_sample():
    measured = row([0.5, 0.25, 5.0])
    assert measured.gflops == 2.0
    assert measured.share_of_peak == 0.5
    assert row([1], flops=None).gflops is None and row([1], flops=None).share_of_peak is None


@given(pairs)
def test_a_file_gives_back_what_was_written(tmp_path_factory, samples):
    path = str(tmp_path_factory.mktemp("json") / "results.json")
    ours, theirs = zip(*samples)
    whole = results(row(ours, theirs), Row("gemm", "NN", "square", "2x2x2", "s", 16, 1e9, error="broke"))
    whole.write(path)
    again = read(path)
    assert again == whole
    assert [r.error for r in again.failures] == ["broke"] and len(again.measured) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "absent"),
        ("{", "got another one"),
        ("[]", "got another one"),
        ("{}", "got another one"),
        (json.dumps({"format": 1, "rows": [{"colour": 1}]}), "got another one"),
        (json.dumps({"format": 99}), "measure again"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "absent.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BenchError, match=message):
        read(str(path))
