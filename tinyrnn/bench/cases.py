"""What is measured: a case, and what a case needs to know of its surroundings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from tinyrnn.bench.peers import PEERS, TORCH, Peers
from tinyrnn.bench.timing import Effort, Side, measure

OURS: Final = "tinyrnn"
TOLERANCE: Final = 2e-4
"""Greatest difference of two sides, relative to the largest magnitude: float32 sums of thousands of terms in another order."""
_NOTHING: Final = 1e-30  # and absolute: gradients below this may be flushed to zero


@dataclass(frozen=True)
class Setting:
    """What the command was asked for, as far as cases need it.

    Attributes
    ----------
    threads : int
        For every side.
    effort : Effort
    peers : Peers
    data, twin : str, optional
        Directory and PyTorch program of the suite `g2p`.
    """

    threads: int
    effort: Effort
    peers: Peers
    data: str | None = None
    twin: str | None = None


class DisagreementError(Exception):
    """Two sides that should have computed the same and did not: their times mean nothing."""


class Case(ABC):
    """One row of the table.

    Attributes
    ----------
    suite, kind, work : str
        Rows with the same three are summarised together; `work` is "forward", "training", ...
    shape : str
        What tells rows of one group apart.
    flops : int, optional
        Floating-point operations: two for each multiply-add of the matrix products, nothing else counted.
    unit : str
        Of the samples: "s" or "bytes"; less is better in both.
    beside : tuple of str
        Names of the sides that stand beside ours, where they are installed: the columns of the suite's table.
    """

    suite: ClassVar[str]
    beside: ClassVar[tuple[str, ...]] = (TORCH,)
    unit: str = "s"

    def __init__(self, kind: str, work: str, shape: str, flops: int | None = None) -> None:
        self.kind = kind
        self.work = work
        self.shape = shape
        self.flops = flops

    @property
    def name(self) -> str:
        """Kind, work and shape: the same in every run."""
        return " ".join(filter(None, (self.kind, self.work, self.shape)))

    def requirement(self, setting: Setting) -> str | None:
        """What the suite needs and does not have, as a sentence; None if it can run."""
        return None

    @abstractmethod
    def measure(self, setting: Setting) -> dict[str, list[float]]:
        """Give the samples of each side, ours under `OURS`; those at the same place were taken together.

        Raises
        ------
        DisagreementError
            If the sides do not compute the same.
        """


def columns(case: Case, peers: Peers) -> list[str]:
    """The sides beside ours in the table of a case's suite: without the peers that are not there."""
    return [name for name in case.beside if name not in PEERS.values() or name in peers.loaded]


class PairedCase(Case):
    """A case whose sides run in this process, in turns, after it was checked that they agree."""

    @abstractmethod
    def sides(self, setting: Setting) -> dict[str, Side]:
        """Give the sides, ours under `OURS`, with the same weights and inputs; peers that are not there are left out."""

    def check(self, outputs: Mapping[str, Sequence[Any]]) -> None:
        """Compare what the comparable sides returned; override it where sides draw random numbers."""
        check_agreement(outputs)

    def measure(self, setting: Setting) -> dict[str, list[float]]:
        sides = self.sides(setting)
        self.check({name: side.outputs() for name, side in sides.items() if side.comparable})
        return measure(sides, setting.effort)


def check_agreement(outputs: Mapping[str, Sequence[Any]], tolerance: float = TOLERANCE) -> None:
    """See that all sides returned the same numbers, to rounding.

    Parameters
    ----------
    outputs : mapping of a side's name to its outputs
        Ours is the one under `OURS`. Tensors of any framework, or arrays.
    tolerance : float
        Relative to the largest magnitude of the peer's array.

    Raises
    ------
    DisagreementError
        Naming the side, the output and the difference.
    """
    ours = [as_numpy(output) for output in outputs[OURS]]
    for name, theirs in outputs.items():
        if len(ours) != len(theirs):
            raise DisagreementError(f"{OURS} returned {len(ours)} arrays, {name} {len(theirs)}")
        for number, (a, b) in enumerate(zip(ours, map(as_numpy, theirs))):
            if a.shape != b.shape:
                raise DisagreementError(f"output {number}: {OURS} has shape {a.shape}, {name} {b.shape}")
            difference = float(np.abs(a - b).max(initial=0.0))
            allowed = tolerance * float(np.abs(b).max(initial=0.0)) + _NOTHING
            if not difference <= allowed:
                raise DisagreementError(
                    f"output {number}: {OURS} and {name} differ by {difference:.3g}, expected at most {allowed:.3g}"
                )


def as_numpy(output: Any) -> np.ndarray:
    """The numbers of a tensor of either framework."""
    return output if isinstance(output, np.ndarray) else np.asarray(output.detach().numpy())
