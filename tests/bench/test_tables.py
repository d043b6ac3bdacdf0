"""Numbers and tables as people read them."""

from __future__ import annotations

import pytest

from tinyrnn.bench import tables
from tinyrnn.bench.results import Row


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.5, "s", "2.5 s"),
        (0.0123, "s", "12.3 ms"),
        (4.5e-5, "s", "45 us"),
        (3e-8, "s", "30 ns"),
        (2.5e6, "bytes", "2.5 MB"),
        (1 / 3000, "s per token", "3000 tokens/s"),
    ],
)
def test_amounts(value, unit, text):
    assert tables.amount(value, unit) == text


def test_columns_are_aligned():
    lines = tables.aligned(["case", "time"], [["a", "1 ms"], ["long name", "100 ms"]])
    assert lines == ["case       time", "a            1 ms", "long name  100 ms"]


def test_a_row_has_a_column_for_every_peer():
    peers = ["PyTorch", "ONNX Runtime"]
    row = Row("recurrent", "LSTM", "forward", "B1", "s", 10**9, 4e9, {"tinyrnn": [1.0, 1.0], "PyTorch": [1.5, 1.5]})
    cells = tables.cells(row, peers)
    assert cells == ["LSTM forward B1", "1 s", "1", "25%", "1.5 s", "1.50", "(1.50 .. 1.50)", "", "", ""]
    assert len(cells) == len(tables.header(peers))


def test_a_failed_row_says_why():
    row = Row("recurrent", "LSTM", "forward", "B1", "s", 10**9, 4e9, error="DisagreementError: differ")
    assert tables.cells(row, ["PyTorch"]) == ["LSTM forward B1", "failed: DisagreementError: differ"]
    assert tables.markdown(["case", "a", "b"], [["x", "failed"]])[-1].count("|") == 4
