"""Two layers in both directions over dense sequences."""

from __future__ import annotations

from tinyrnn.bench.cases import Case, PairedCase, Setting
from tinyrnn.bench.suites.layers import KINDS, SHAPES, WORKS, Shape, flops, layer_sides
from tinyrnn.bench.timing import Side


class BidirectionalCase(PairedCase):
    suite = "bidirectional"

    def __init__(self, kind: str, work: str, shape: Shape) -> None:
        super().__init__(kind, work, str(shape), flops(kind, shape, work, layers=2, directions=2))
        self.sizes = shape

    def sides(self, setting: Setting) -> dict[str, Side]:
        return layer_sides(setting, self.kind, self.sizes, self.work, num_layers=2, bidirectional=True)


def cases() -> list[Case]:
    return [BidirectionalCase(kind, work, shape) for kind in KINDS for work in WORKS for shape in SHAPES]
