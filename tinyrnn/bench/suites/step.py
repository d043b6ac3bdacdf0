"""One step of a stream: B=1, T=1, from a given state."""

from __future__ import annotations

from typing import Any, Final

import tinyrnn
from tinyrnn.bench.cases import OURS, Case, PairedCase, Setting
from tinyrnn.bench.peers import ONNX_RUNTIME, TORCH
from tinyrnn.bench.suites.layers import KINDS, Shape, flat, flops, numbers, onnx_side, our_layer, torch_layer
from tinyrnn.bench.timing import Side

_SIZES: Final = ((64, 64), (128, 256))


class StepCase(PairedCase):
    """The time of a call: "step" is our `layer.step(x_t, state)`, "call" our layer on a sequence of one step.

    The peers have only the latter. Tensors in, tensors out; ONNX Runtime arrays in, arrays out.
    """

    suite = "step"
    beside = (TORCH, ONNX_RUNTIME)

    def __init__(self, kind: str, work: str, I: int, H: int) -> None:  # noqa: E741
        self.sizes = Shape(1, 1, I, H)
        super().__init__(kind, work, f"I{I} H{H}", flops(kind, self.sizes, "forward"))

    def sides(self, setting: Setting) -> dict[str, Side]:
        ours = our_layer(self.kind, self.sizes)
        x = numbers(1, 1, self.sizes.I, seed=1)
        states = [numbers(1, 1, self.sizes.H, seed=seed) for seed in (2, 3)[: 2 if self.kind == "LSTM" else 1]]
        sides = {OURS: self._stepping(ours, x, states) if self.work == "step" else _calling(tinyrnn, ours, x, states)}
        if setting.peers.torch is not None:
            sides[TORCH] = _calling(setting.peers.torch, torch_layer(setting.peers.torch, self.kind, ours), x, states)
        if setting.peers.onnxruntime is not None:
            fed = {"X": x, **{f"initial_{name}": state for name, state in zip("hc", states)}}
            sides[ONNX_RUNTIME] = onnx_side(setting, self.kind, ours, fed)
        return sides

    def _stepping(self, layer: Any, x: Any, states: list[Any]) -> Side:
        x_t, state = tinyrnn.from_numpy(x[0]), _state(tinyrnn, states)
        return Side(lambda: flat(layer.step(x_t, state)), mode=tinyrnn.inference_mode)

    def check(self, outputs: Any) -> None:
        # A step returns (B, H), a sequence of one step (1, B, H).
        super().check({name: [each[None] if each.ndim == 2 else each for each in side] for name, side in outputs.items()})


def _calling(framework: Any, layer: Any, x: Any, states: list[Any]) -> Side:
    sequence, state = framework.from_numpy(x), _state(framework, states)
    return Side(lambda: flat(layer(sequence, state)), mode=framework.inference_mode)


def _state(framework: Any, states: list[Any]) -> Any:
    tensors = tuple(map(framework.from_numpy, states))
    return tensors if len(tensors) > 1 else tensors[0]


def cases() -> list[Case]:
    return [StepCase(kind, work, *sizes) for kind in KINDS for work in ("step", "call") for sizes in _SIZES]
