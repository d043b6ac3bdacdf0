"""What the CPU kernels are meant to reach, and whether they do."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from tinyrnn.bench.peers import ONNX_RUNTIME, TORCH
from tinyrnn.bench.results import Row
from tinyrnn.bench.suites.denormals import USUAL
from tinyrnn.bench.suites.double import STEPPED
from tinyrnn.bench.suites.long import SHORT
from tinyrnn.bench.suites.options import NAMES, PLAIN


@dataclass(frozen=True)
class Target:
    """A bound for a group of rows.

    Attributes
    ----------
    suite, kind, work : str
        The rows it is for; an empty `kind` or `work` is all of them.
    shapes : tuple of str
        Only these; all if empty.
    figure : "ratio", "peak" or "ours"
        The paired ratio peer / ours; our share of the machine's peak; our samples themselves.
    peer : str
        Of the ratio.
    least : float, optional
        No row is under this; for "ours", none over it.
    mean : float, optional
        The geometric mean of the rows is at least this.
    """

    suite: str
    kind: str = ""
    work: str = ""
    shapes: tuple[str, ...] = ()
    figure: Literal["ratio", "peak", "ours"] = "ratio"
    peer: str = TORCH
    least: float | None = None
    mean: float | None = None

    def rows(self, rows: Iterable[Row]) -> list[Row]:
        """Those of `rows` that this target is for, and that have its figure."""
        return [
            row
            for row in rows
            if row.suite == self.suite
            and self.kind in ("", row.kind)
            and self.work in ("", row.work)
            and (not self.shapes or row.shape in self.shapes)
            and (self.figure != "ratio" or self.peer in row.samples)
        ]

    def value(self, row: Row) -> float:
        if self.figure == "ratio":
            return row.ratio(self.peer).median
        if self.figure == "peak":
            return row.share_of_peak or 0.0
        return row.median()

    def label(self) -> str:
        """Which rows, and which figure of them."""
        group = " ".join(filter(None, (self.suite, self.kind, self.work, ", ".join(self.shapes))))
        figures = {"ratio": f"{self.peer} / tinyrnn", "peak": "share of the peak", "ours": "tinyrnn"}
        return f"{group}: {figures[self.figure]}"


_LARGE: Final = ("B64 T50 I512 H512", "B128 T35 I650 H650")

# the time without an option as a share of that with it
_ALLOWED: Final = {"layer_norm": 1 / 2, "proj_size": 1 / 2}

TARGETS: Final = (
    Target("recurrent", "LSTM", "forward", least=0.97, mean=1.4),
    Target("recurrent", "LSTM", "training", least=1.0, mean=1.3),
    Target("recurrent", "GRU", "forward", least=1.1, mean=2.5),
    Target("recurrent", "GRU", "training", least=1.1, mean=2.8),
    Target("recurrent", "RNN", "forward", least=1.1, mean=2.8),
    Target("recurrent", "RNN", "training", least=1.1, mean=2.8),
    Target("recurrent", "LSTM", "forward", shapes=_LARGE, figure="peak", least=0.90),
    Target("recurrent", "LSTM", "training", shapes=_LARGE, figure="peak", least=0.85),
    Target("packed", least=1.1, mean=2.5),
    Target("bidirectional", least=1.0, mean=1.7),
    Target("gemm", mean=1.0),
    Target("step", "LSTM", "step", shapes=("I64 H64",), peer=ONNX_RUNTIME, least=4.0),
    Target("step", "LSTM", "step", shapes=("I64 H64",), least=15.0),
    Target("step", "LSTM", "step", shapes=("I128 H256",), peer=ONNX_RUNTIME, least=2.0),
    Target("long", peer=SHORT, least=0.9),
    Target("denormals", peer=USUAL, least=0.95),
    *[Target("options", name, peer=PLAIN, least=_ALLOWED.get(name, 1 / 1.5)) for name in NAMES],
    Target("double", peer=STEPPED, least=1 / 3),
    Target("memory", least=1.0),
    Target("import", work="time", figure="ours", least=0.05),
    Target("import", work="size", figure="ours", least=5e6),
    Target("g2p", least=1.4),
)
"""Ratios over 1 mean that the peer needs more. "Flat" and "no slower" allow for the noise of a shared machine."""


@dataclass(frozen=True)
class Verdict:
    """Whether one bound of a target is met.

    Attributes
    ----------
    label : str
        What was looked at.
    bound : str
        "minimum", "geometric mean" or "maximum".
    wanted, got : float
    met : bool
    where : str
        The row that decides a minimum or maximum.
    """

    label: str
    bound: str
    wanted: float
    got: float
    met: bool
    where: str = ""


def verdicts(rows: Iterable[Row]) -> list[Verdict]:
    """Judge every target that some of these rows are for."""
    rows = list(rows)
    judged: list[Verdict] = []
    for target in TARGETS:
        chosen = target.rows(rows)
        if chosen:
            judged += _judge(target, chosen)
    return judged


def _judge(target: Target, rows: list[Row]) -> list[Verdict]:
    values = [target.value(row) for row in rows]
    judged = []
    if target.mean is not None:
        mean = statistics.geometric_mean(values)
        judged.append(Verdict(target.label(), "geometric mean", target.mean, mean, mean >= target.mean))
    if target.least is not None:
        upper = target.figure == "ours"
        worst = (max if upper else min)(range(len(rows)), key=values.__getitem__)
        got = values[worst]
        met = got <= target.least if upper else got >= target.least
        judged.append(Verdict(target.label(), "maximum" if upper else "minimum", target.least, got, met, rows[worst].name))
    return judged
