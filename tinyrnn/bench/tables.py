"""Numbers and tables as text: one look for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinyrnn.bench.cases import OURS
from tinyrnn.bench.results import Row
from tinyrnn.bench.summaries import Group
from tinyrnn.bench.targets import Verdict

Cells = Sequence[str]


def amount(value: float, unit: str) -> str:
    """A time, a size or a speed as people read it."""
    if unit == "bytes":
        return f"{value / 1e6:.3g} MB"
    if unit == "s per token":
        return f"{1 / value:.0f} tokens/s"
    for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= scale:
            return f"{value / scale:.3g} {name}"
    return f"{value / 1e-9:.3g} ns"


def header(peers: Sequence[str]) -> list[str]:
    """The names of the columns of `cells`."""
    names = ["case", OURS, "GFLOP/s", "% peak"]
    for peer in peers:
        names += [peer, "ratio", "(quartiles)"]
    return names


def cells(row: Row, peers: Sequence[str]) -> list[str]:
    """One row of the table, with columns for each of these peers."""
    if row.error is not None:
        return [row.name, f"failed: {row.error}"]
    rate, share = row.gflops, row.share_of_peak
    line = [
        row.name,
        amount(row.median(), row.unit),
        "" if rate is None else f"{rate:.3g}" if rate < 100 else f"{rate:.0f}",
        "" if share is None else f"{share:.0%}",
    ]
    for peer in peers:
        line += _beside(row, peer) if peer in row.samples else ["", "", ""]
    return line


def _beside(row: Row, peer: str) -> list[str]:
    ratio = row.ratio(peer)
    return [amount(row.median(peer), row.unit), f"{ratio.median:.2f}", f"({ratio.lower:.2f} .. {ratio.upper:.2f})"]


def summary_cells(groups: Iterable[Group]) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table of groups."""
    lines = []
    for group in groups:
        wanted_mean, wanted_least = (group.target.mean, group.target.least) if group.target else (None, None)
        figures = [f"{group.mean:.2f}", _bound(wanted_mean), f"{group.least:.2f}", _bound(wanted_least), group.where]
        lines.append([group.suite, group.name, group.peer, str(group.count), *figures])
    return ["suite", "group", "peer", "rows", "geometric mean", "target", "minimum", "target", "at"], lines


def _bound(value: float | None) -> str:
    return "" if value is None else f">= {value:g}"


def verdict_cells(verdicts: Iterable[Verdict]) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table of targets."""
    lines = [
        [verdict.label, verdict.bound, f"{verdict.wanted:g}", f"{verdict.got:.3g}", miss(verdict), verdict.where]
        for verdict in verdicts
    ]
    return ["figure", "bound", "target", "measured", "verdict", "at"], lines


def miss(verdict: Verdict) -> str:
    """By how much a target is missed, if it is."""
    return "met" if verdict.met else f"missed by {abs(1 - verdict.got / verdict.wanted):.1%}"


def aligned(header: Cells, lines: Sequence[Cells], widths: Sequence[int] | None = None) -> list[str]:
    """Lines of text in columns: the first on the left, numbers on the right."""
    widths = widths or widths_of(header, lines)
    return [_line(cells, widths) for cells in (header, *lines)]


def widths_of(header: Cells, lines: Sequence[Cells]) -> list[int]:
    """The width of each column."""
    return [max(len(cells[i]) for cells in (header, *lines) if i < len(cells)) for i in range(len(header))]


def _line(cells: Cells, widths: Sequence[int]) -> str:
    padded = [cell.rjust(width) if _is_number(cell) else cell.ljust(width) for cell, width in zip(cells, widths)]
    return "  ".join(padded).rstrip()


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit()


def markdown(header: Cells, lines: Iterable[Cells]) -> list[str]:
    """The same table in Markdown."""
    rows = [header, ["-"] * len(header), *([*line, *[""] * (len(header) - len(line))] for line in lines)]
    return ["| " + " | ".join(row) + " |" for row in rows]
