"""One layer over sequences of different lengths: our `lengths=` beside PyTorch's packed sequences, padded again."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyrnn
from tinyrnn.bench.cases import OURS, Case, PairedCase, Setting
from tinyrnn.bench.peers import TORCH
from tinyrnn.bench.suites.layers import KINDS, SHAPES, WORKS, Shape, flops, layer_arrays, our_layer, side, torch_layer
from tinyrnn.bench.timing import Side


class PackedCase(PairedCase):
    """Lengths are drawn uniformly from 1..T, in no order; operations are those of the real steps."""

    suite = "packed"

    def __init__(self, kind: str, work: str, shape: Shape) -> None:
        self.lengths = np.random.default_rng(shape.T).integers(1, shape.T + 1, shape.B)
        super().__init__(kind, work, str(shape), flops(kind, shape, work, steps=int(self.lengths.sum())))
        self.sizes = shape

    def sides(self, setting: Setting) -> dict[str, Side]:
        ours = our_layer(self.kind, self.sizes)
        x, gradient = layer_arrays(self.sizes)
        lengths = tinyrnn.tensor(self.lengths)
        sides = {OURS: side(tinyrnn, ours, self.work, lambda x: ours(x, lengths=lengths), x, gradient)}
        torch = setting.peers.torch
        if torch is not None:
            theirs = torch_layer(torch, self.kind, ours)
            call = _packed(torch, theirs, torch.from_numpy(self.lengths), self.sizes.T)
            sides[TORCH] = side(torch, theirs, self.work, call, x, gradient)
        return sides


def _packed(torch: Any, layer: Any, lengths: Any, T: int) -> Any:
    utils = torch.nn.utils.rnn

    def call(x: Any) -> tuple[Any, Any]:
        output, state = layer(utils.pack_padded_sequence(x, lengths, enforce_sorted=False))
        return utils.pad_packed_sequence(output, total_length=T)[0], state

    return call


def cases() -> list[Case]:
    return [PackedCase(kind, work, shape) for kind in KINDS for work in WORKS for shape in SHAPES]
