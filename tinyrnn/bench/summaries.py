"""Rows that belong together: geometric mean and minimum of their ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from tinyrnn.bench.results import Row
from tinyrnn.bench.targets import TARGETS, Target


@dataclass(frozen=True)
class Group:
    """The ratios of some rows.

    Attributes
    ----------
    suite, name, peer : str
        `name` is kind and work, or "all".
    count : int
    mean : float
        Geometric.
    least : float
    where : str
        Name of the row with the least ratio.
    target : Target, optional
        What this group is meant to reach.
    """

    suite: str
    name: str
    peer: str
    count: int
    mean: float
    least: float
    where: str
    target: Target | None = None


def summarize(rows: Iterable[Row]) -> list[Group]:
    """Group rows by suite, kind, work and peer, in the order in which they come, then whole suites that have a target."""
    rows = list(rows)
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        for peer in row.peers:
            groups.setdefault((row.suite, row.kind, row.work, peer), []).append(row)
    by_group = {(t.suite, t.kind, t.work, t.peer): t for t in TARGETS if t.figure == "ratio" and not t.shapes}
    whole = {key: chosen for key, target in by_group.items() if not target.kind and (chosen := target.rows(rows))}
    return [_group(key, members, by_group.get(key)) for key, members in [*groups.items(), *whole.items()]]


def _group(key: tuple[str, str, str, str], rows: list[Row], target: Target | None) -> Group:
    suite, kind, work, peer = key
    ratios = [row.ratio(peer).median for row in rows]
    least = min(range(len(rows)), key=ratios.__getitem__)
    name = f"{kind} {work}".strip() or "all"
    return Group(suite, name, peer, len(rows), statistics.geometric_mean(ratios), ratios[least], rows[least].name, target)
