"""The picture: one bar for each ratio, one panel for each suite."""

from __future__ import annotations

import importlib.util
from itertools import groupby
from typing import Any

from tinyrnn.bench import BenchError
from tinyrnn.bench.results import Results, Row

_BAR, _COLOURS = 0.22, ("tab:blue", "tab:orange", "tab:green")


def require_matplotlib() -> None:
    """See that there is something to draw with.

    Raises
    ------
    BenchError
        With the command that installs it.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise BenchError('--plot: expected matplotlib to be installed; pip install "tinyrnn[plot]"')


def draw(measured: Results, path: str) -> None:
    """Draw the ratios peer / tinyrnn of all rows that have one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in measured.measured if row.peers]
    suites = [(suite, list(group)) for suite, group in groupby(rows, key=lambda row: row.suite)]
    heights = [sum(len(row.peers) for row in group) + 2 for _, group in suites] or [1]
    figure = Figure(figsize=(10, 1 + _BAR * sum(heights)), layout="constrained")
    figure.suptitle(f"{measured.machine['processor']}, {measured.options['threads']} threads, {measured.date[:10]}")
    axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axis, (suite, group) in zip(axes, suites):
        _draw_suite(axis, suite, group)
    FigureCanvasAgg(figure).print_png(path)


def _draw_suite(axis: Any, suite: str, rows: list[Row]) -> None:
    bars = [(row, peer, row.ratio(peer)) for row in rows for peer in row.peers]
    peers = list(dict.fromkeys(peer for _, peer, _ in bars))
    for number, peer in enumerate(peers):
        places = [place for place, bar in enumerate(bars) if bar[1] == peer]
        ratios = [bars[place][2] for place in places]
        spread = [[r.median - r.lower for r in ratios], [r.upper - r.median for r in ratios]]
        axis.barh(places, [r.median for r in ratios], color=_COLOURS[number % 3], xerr=spread, label=peer)
    axis.axvline(1.0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(bars)), [row.name for row, _, _ in bars], fontsize=7)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlabel(f"{suite}: peer / tinyrnn (above 1 we need less)", fontsize=8)
    axis.legend(fontsize=7)
