"""Two runs beside each other: what got slower."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from tinyrnn.bench.results import Results, Row
from tinyrnn.bench.tables import aligned

SLOWER: Final = 1.05
"""A new sample over the old one beyond this is flagged."""


class Change(NamedTuple):
    """Of one row in both runs.

    Attributes
    ----------
    name : str
        Suite and case.
    ours : float
        Our new median over the old one: above 1 is slower, or larger.
    peer : float or None
        The same of the first peer in both runs: what of the change is the machine's.
    """

    name: str
    ours: float
    peer: float | None

    @property
    def is_slower(self) -> bool:
        return self.ours > SLOWER


def compare(old: Results, new: Results) -> list[Change]:
    """Changes of the rows that both runs have, in the order of `new`."""
    before = {(row.suite, row.name): row for row in old.measured}
    pairs = [(before[row.suite, row.name], row) for row in new.measured if (row.suite, row.name) in before]
    return [_change(*pair) for pair in pairs]


def _change(old: Row, new: Row) -> Change:
    shared = [peer for peer in new.peers if peer in old.samples]
    peer = new.median(shared[0]) / old.median(shared[0]) if shared else None
    return Change(f"{new.suite}: {new.name}", new.median() / old.median(), peer)


def comparison_lines(changes: Iterable[Change]) -> list[str]:
    """The table of changes, flagged where we got slower, and a sentence."""
    changes = list(changes)
    if not changes:
        return ["The two runs have no case in common."]
    cells = [
        [c.name, f"{c.ours:.3f}", "" if c.peer is None else f"{c.peer:.3f}", "SLOWER" if c.is_slower else ""] for c in changes
    ]
    slower = sum(change.is_slower for change in changes)
    return [
        "New / old times",
        *aligned(["case", "tinyrnn", "first peer", ""], cells),
        f"{slower} of {len(changes)} cases are more than {SLOWER - 1:.0%} slower than before",
    ]
