"""Recurrent layers on every side, with the same weights: what several suites run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

import tinyrnn
from tinyrnn import nn
from tinyrnn.bench import onnx_models
from tinyrnn.bench.cases import OURS, Setting
from tinyrnn.bench.peers import ONNX_RUNTIME, TORCH
from tinyrnn.bench.timing import Side
from tinyrnn.nn.recurrent import RNNBase

KINDS: Final = ("LSTM", "GRU", "RNN")
GATES: Final = {"LSTM": 4, "GRU": 3, "RNN": 1}
WORKS: Final = ("forward", "training")

Run = Callable[[], Sequence[Any]]


class Shape(NamedTuple):
    """Of a recurrent layer and its input, (T, B, I) to (T, B, H)."""

    B: int
    T: int
    I: int  # noqa: E741 (the fixed letter of the dimension)
    H: int

    def __str__(self) -> str:
        return f"B{self.B} T{self.T} I{self.I} H{self.H}"


SHAPES: Final = (
    Shape(1, 100, 64, 64),
    Shape(1, 100, 128, 256),
    Shape(32, 100, 128, 128),
    Shape(32, 100, 256, 256),
    Shape(64, 50, 512, 512),
    Shape(128, 35, 650, 650),
    Shape(16, 200, 32, 64),
    Shape(64, 8, 128, 256),  # as in seq2seq
    Shape(64, 8, 512, 512),
    Shape(8, 60, 80, 100),  # odd
    Shape(24, 80, 200, 300),
)


def flops(kind: str, shape: Shape, work: str, layers: int = 1, directions: int = 1, steps: int | None = None) -> int:
    """Operations of one call: 2 G H (I + H) for each step, layer and direction; training counts three times forward.

    `steps` are those of all rows together, B T if left out. The backward pass has two products for each of the forward
    pass: one for the gradient of the inputs, one for that of the weights.
    """
    steps = shape.B * shape.T if steps is None else steps
    inputs = [shape.I] + [directions * shape.H] * (layers - 1)
    forward = sum(2 * GATES[kind] * shape.H * (size + shape.H) * directions * steps for size in inputs)
    return 3 * forward if work == "training" else forward


def our_layer(kind: str, shape: Shape, **options: Any) -> RNNBase:
    """A layer with the same weights in every run."""
    tinyrnn.manual_seed(0)
    return getattr(nn, kind)(shape.I, shape.H, **options)


def torch_layer(torch: Any, kind: str, ours: RNNBase) -> Any:
    """PyTorch's layer with the weights of ours."""
    layer = getattr(torch.nn, kind)(
        ours.input_size, ours.hidden_size, num_layers=ours.num_layers, bidirectional=ours.bidirectional
    )
    layer.load_state_dict({name: torch.from_numpy(p.detach().numpy().copy()) for name, p in ours.named_parameters()})
    return layer


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal float32 numbers, the same in every run."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def layer_arrays(shape: Shape, directions: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """An input, (T, B, I), and a gradient of the output, (T, B, D H)."""
    return numbers(shape.T, shape.B, shape.I, seed=1), numbers(shape.T, shape.B, directions * shape.H, seed=2)


def forward_side(framework: Any, call: Callable[[Any], Any], x: np.ndarray) -> Side:
    """`call` on `x` without a graph; `call` returns (output, state)."""
    tensor = framework.from_numpy(x)

    return Side(lambda: flat(call(tensor)), mode=framework.inference_mode)


def training_side(framework: Any, layer: Any, call: Callable[[Any], Any], x: np.ndarray, gradient: np.ndarray) -> Side:
    """`call` on `x` and back from the gradient of the output, to those of the input and of all weights."""
    tensor, output_gradient = framework.from_numpy(x.copy()).requires_grad_(), framework.from_numpy(gradient)
    leaves = [tensor, *(parameter for _, parameter in sorted(layer.named_parameters()))]

    def run() -> Sequence[Any]:
        for leaf in leaves:
            leaf.grad = None
        output, _ = call(tensor)
        output.backward(output_gradient)
        return [output, *(leaf.grad for leaf in leaves)]

    return Side(run)


def side(framework: Any, layer: Any, work: str, call: Callable[[Any], Any], x: np.ndarray, gradient: np.ndarray) -> Side:
    """`forward_side` or `training_side`, as `work` says."""
    if work == "forward":
        return forward_side(framework, call, x)
    return training_side(framework, layer, call, x, gradient)


def layer_sides(setting: Setting, kind: str, shape: Shape, work: str, onnx: bool = False, **options: Any) -> dict[str, Side]:
    """Our layer and its peers over dense sequences; `onnx`: ONNX Runtime too, which only goes forward."""
    ours = our_layer(kind, shape, **options)
    x, gradient = layer_arrays(shape, 2 if ours.bidirectional else 1)
    sides = {OURS: side(tinyrnn, ours, work, ours, x, gradient)}
    if setting.peers.torch is not None:
        theirs = torch_layer(setting.peers.torch, kind, ours)
        sides[TORCH] = side(setting.peers.torch, theirs, work, theirs, x, gradient)
    if onnx and work == "forward" and setting.peers.onnxruntime is not None:
        sides[ONNX_RUNTIME] = onnx_side(setting, kind, ours, {"X": x})
    return sides


def onnx_side(setting: Setting, kind: str, layer: RNNBase, fed: dict[str, np.ndarray]) -> Side:
    """ONNX Runtime with the weights of our layer, fed with "X", (T, B, I), and maybe initial states."""
    session = onnx_models.session(setting.peers.onnxruntime, kind, layer, setting.threads, with_state=len(fed) > 1)

    def run() -> Sequence[Any]:
        output, *states = session.run(None, fed)
        return [output[:, 0], *states]

    return Side(run)


def flat(result: Any) -> list[Any]:
    """[output, h] or [output, h, c] of what a layer returns."""
    output, state = result
    return [output, *state] if isinstance(state, tuple) else [output, state]
