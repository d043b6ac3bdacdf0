"""Whether the time per step stays the same when sequences get longer."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tinyrnn.bench.cases import OURS, Case, PairedCase, Setting
from tinyrnn.bench.peers import TORCH
from tinyrnn.bench.suites.layers import KINDS, WORKS, Shape, flops, layer_sides
from tinyrnn.bench.timing import Side

_LENGTHS: Final = (100, 1_000, 10_000)
SHORT: Final = f"tinyrnn, T={_LENGTHS[0]}"
"""The name of our side at the shortest length: the ratio is its time per step over that of the long sequence."""


class LongCase(PairedCase):
    suite = "long"
    beside = (TORCH, SHORT)

    def __init__(self, kind: str, work: str, shape: Shape) -> None:
        # Times are those of a step, and so are the operations.
        super().__init__(kind, work, str(shape), flops(kind, shape, work, steps=shape.B))
        self.sizes = shape

    def sides(self, setting: Setting) -> dict[str, Side]:
        length = self.sizes.T
        whole = layer_sides(setting, self.kind, self.sizes, self.work)
        sides = {name: replace(side, units=length) for name, side in whole.items()}
        if length > _LENGTHS[0]:
            short = layer_sides(setting, self.kind, self.sizes._replace(T=_LENGTHS[0]), self.work)[OURS]
            sides[SHORT] = replace(short, units=_LENGTHS[0], comparable=False)
        return sides


def cases() -> list[Case]:
    return [LongCase(kind, work, Shape(16, T, 32, 64)) for kind in KINDS for work in WORKS for T in _LENGTHS]
