"""Whether gradients that vanish cost time: below 1e-38 numbers are denormal, and processors may take 100 times as long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

import tinyrnn
from tinyrnn.bench.cases import OURS, Case, PairedCase, Setting
from tinyrnn.bench.peers import TORCH
from tinyrnn.bench.suites.layers import KINDS, Shape, flops, layer_arrays, our_layer, torch_layer, training_side
from tinyrnn.bench.timing import Side
from tinyrnn.nn.recurrent import RNNBase

USUAL: Final = "tinyrnn, usual size"
"""The name of our side with gradients of the usual size."""
_SHAPE: Final = Shape(16, 200, 32, 64)
_TINY: Final = np.float32(1e-36)


class DenormalCase(PairedCase):
    """The gradient comes in at the last step only and fades by a tenth per step; from 1e-36 it soon is denormal."""

    suite = "denormals"
    beside = (TORCH, USUAL)

    def __init__(self, kind: str) -> None:
        super().__init__(kind, "training", str(_SHAPE), flops(kind, _SHAPE, "training"))

    def sides(self, setting: Setting) -> dict[str, Side]:
        ours = _remembering(self.kind)
        x, gradient = layer_arrays(_SHAPE)
        gradient[:-1] = 0
        sides = {
            OURS: training_side(tinyrnn, ours, ours, x, gradient * _TINY),
            USUAL: replace(training_side(tinyrnn, ours, ours, x, gradient), comparable=False),
        }
        torch: Any = setting.peers.torch
        if torch is not None:
            theirs = torch_layer(torch, self.kind, ours)
            sides[TORCH] = training_side(torch, theirs, theirs, x, gradient * _TINY)
        return sides


def _remembering(kind: str) -> RNNBase:
    """A layer whose state fades slowly, so that its gradients stay denormal for many steps."""
    H = _SHAPE.H
    layer = our_layer(kind, _SHAPE)
    with tinyrnn.no_grad():
        if kind == "RNN":
            layer.weight_ih_l0.mul_(0.1)
            layer.weight_hh_l0.copy_(tinyrnn.from_numpy(0.9 * np.eye(H, dtype=np.float32)))
        else:  # the forget gate of the LSTM and the update gate of the GRU are the second of their gates
            layer.bias_hh_l0[H : 2 * H].add_(2.0)
    return layer


def cases() -> list[Case]:
    return [DenormalCase(kind) for kind in KINDS]
