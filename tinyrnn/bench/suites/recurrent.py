"""One layer in one direction over dense sequences."""

from __future__ import annotations

from tinyrnn.bench.cases import Case, PairedCase, Setting
from tinyrnn.bench.peers import ONNX_RUNTIME, TORCH
from tinyrnn.bench.suites.layers import KINDS, SHAPES, WORKS, Shape, flops, layer_sides
from tinyrnn.bench.timing import Side


class RecurrentCase(PairedCase):
    suite = "recurrent"
    beside = (TORCH, ONNX_RUNTIME)

    def __init__(self, kind: str, work: str, shape: Shape) -> None:
        super().__init__(kind, work, str(shape), flops(kind, shape, work))
        self.sizes = shape

    def sides(self, setting: Setting) -> dict[str, Side]:
        return layer_sides(setting, self.kind, self.sizes, self.work, onnx=True)


def cases() -> list[Case]:
    return [RecurrentCase(kind, work, shape) for kind in KINDS for work in WORKS for shape in SHAPES]
