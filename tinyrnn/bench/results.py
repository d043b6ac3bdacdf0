"""What was measured: rows with all their samples, the figures that follow, and the JSON file."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from tinyrnn.bench import BenchError
from tinyrnn.bench.cases import OURS

FORMAT: Final = 1


class Ratio(NamedTuple):
    """The middle of the paired ratios peer / ours, above 1 where we need less, and their quartiles."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Row:
    """A measured case.

    Attributes
    ----------
    suite, kind, work, shape, unit, flops
        As in `Case`.
    peak : float
        The operations per second that the machine reached just before.
    samples : dict
        For every side what was measured in each round, per piece of work.
    error : str, optional
        Why there are no samples.
    """

    suite: str
    kind: str
    work: str
    shape: str
    unit: str
    flops: int | None
    peak: float
    samples: dict[str, list[float]] = field(default_factory=dict)
    error: str | None = None

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.kind, self.work, self.shape)))

    @property
    def peers(self) -> list[str]:
        return [name for name in self.samples if name != OURS]

    def median(self, side: str = OURS) -> float:
        """The median of a side's samples."""
        return statistics.median(self.samples[side])

    def ratio(self, peer: str) -> Ratio:
        """The ratios peer / ours of each round."""
        ratios = [theirs / ours for theirs, ours in zip(self.samples[peer], self.samples[OURS], strict=True)]
        lower, upper = (statistics.quantiles(ratios, n=4)[::2]) if len(ratios) > 1 else ratios * 2
        return Ratio(statistics.median(ratios), lower, upper)

    @property
    def gflops(self) -> float | None:
        """Our 10^9 operations per second."""
        return None if self.flops is None else self.flops / self.median() / 1e9

    @property
    def share_of_peak(self) -> float | None:
        """Our operations per second as a part of the machine's peak."""
        return None if self.flops is None else self.flops / self.median() / self.peak


@dataclass(frozen=True)
class Results:
    """Everything about one run of the command.

    Attributes
    ----------
    date, command : str
    options : dict
        Threads of each side, effort.
    machine : dict
        As `machine.describe` gives it.
    notes : list of str
        What was left out, and why.
    rows : list of Row
    """

    date: str
    command: str
    options: dict[str, Any]
    machine: dict[str, Any]
    notes: list[str]
    rows: list[Row]

    @property
    def failures(self) -> list[Row]:
        return [row for row in self.rows if row.error is not None]

    @property
    def measured(self) -> list[Row]:
        return [row for row in self.rows if row.error is None]

    def write(self, path: str) -> None:
        """Write a JSON file that `read` reads."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"format": FORMAT, **asdict(self)}, file, indent=1)
            file.write("\n")


def read(path: str) -> Results:
    """Read what `Results.write` wrote.

    Raises
    ------
    BenchError
        If there is no such file, or it is another one.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        if data.pop("format") != FORMAT:
            raise BenchError(f"{path}: expected format {FORMAT}; measure again with this version")
        return Results(**{**data, "rows": [Row(**row) for row in data["rows"]]})
    except OSError as error:
        raise BenchError(f"{path}: expected a file that 'tinyrnn bench --json' wrote: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BenchError):
            raise
        raise BenchError(f"{path}: expected a file that 'tinyrnn bench --json' wrote, got another one") from error
