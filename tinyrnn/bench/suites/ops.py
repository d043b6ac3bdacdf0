"""Single operations at the sizes at which recurrent models use them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

import tinyrnn
from tinyrnn.bench.cases import OURS, Case, DisagreementError, PairedCase, Setting, as_numpy
from tinyrnn.bench.peers import TORCH
from tinyrnn.bench.suites.layers import numbers
from tinyrnn.bench.timing import Side

Build = Callable[[Any], Side]
"""Makes the side of a framework."""

_CHAIN: Final = 25  # rounds of four ops each
_RATE: Final = 0.3
_SHAPES: Final = ((2048, 256), (2048, 512), (2048,), (2048,), (2048, 512), (2048, 512), (2048,), (2048,), (4000, 256))
_PARAMETERS: Final = f"{sum(map(math.prod, _SHAPES)) / 1e6:.1f} M numbers"


class OpCase(PairedCase):
    suite = "ops"

    def __init__(self, kind: str, work: str, shape: str, build: Build) -> None:
        super().__init__(kind, work, shape)
        self.build = build

    def sides(self, setting: Setting) -> dict[str, Side]:
        sides = {OURS: self.build(tinyrnn)}
        if setting.peers.torch is not None:
            sides[TORCH] = self.build(setting.peers.torch)
        return sides


class DropoutCase(OpCase):
    """The two sides draw different masks."""

    def check(self, outputs: Mapping[str, Sequence[Any]]) -> None:
        """See that each side zeroes the share it should and scales the rest."""
        for name, (y, gradient) in outputs.items():
            kept = as_numpy(y) != 0
            scales = as_numpy(gradient)[kept]
            if abs(kept.mean() + _RATE - 1) > 0.02 or not np.allclose(scales, 1 / (1 - _RATE)):
                raise DisagreementError(f"{name} drops {1 - kept.mean():.1%} of the elements, expected {_RATE:.0%}")


# ---- sides ----


def chain(framework: Any, size: int) -> Side:
    """Mul, add, sub and tanh, 25 times, forward and backward: on small tensors that is the engine's own time per op."""
    x = framework.from_numpy(np.linspace(-1, 1, size, dtype=np.float32)).requires_grad_()
    b, gradient = framework.full((size,), 0.5), framework.ones(size)

    def run() -> Sequence[Any]:
        x.grad = None
        y = x
        for _ in range(_CHAIN):
            y = ((y * b + b) - x).tanh()
        y.backward(gradient)
        return [y, x.grad]

    return Side(run, units=4 * _CHAIN)


def forward(framework: Any, op: Callable[..., Any], *arrays: np.ndarray) -> Side:
    """`op(framework, *tensors)` without a graph."""
    tensors = [framework.from_numpy(array) for array in arrays]
    return Side(lambda: [op(framework, *tensors)], mode=framework.inference_mode)


def training(framework: Any, op: Callable[..., Any], *arrays: np.ndarray, ones: bool = False) -> Side:
    """`op` forward and backward, to the gradients of all float arguments; `ones`: from a gradient of ones."""
    tensors = [framework.from_numpy(array.copy()) for array in arrays]
    leaves = [tensor.requires_grad_() for tensor, array in zip(tensors, arrays) if array.dtype == np.float32]
    shape = tuple(op(framework, *tensors).shape)
    gradient = framework.from_numpy(np.ones(shape, np.float32) if ones else np.array(numbers(*shape, seed=9)))

    def run() -> Sequence[Any]:
        for leaf in leaves:
            leaf.grad = None
        y = op(framework, *tensors)
        y.backward(gradient)
        return [y, *(leaf.grad for leaf in leaves)]

    return Side(run)


def clipping(framework: Any) -> Side:
    """`clip_grad_norm_` over the gradients of a model."""
    parameters = _model(framework)
    clip = functional(framework, "utils").clip_grad_norm_
    return Side(lambda: [clip(parameters, 1.0), *(parameter.grad for parameter in parameters)])


def optimizer_step(framework: Any, name: str, **options: Any) -> Side:
    """One step over all parameters of a model."""
    parameters = _model(framework)
    if framework is tinyrnn:
        options.pop("fused", None)  # ours always is
    optimizer = getattr(framework.optim, name)(parameters, lr=1e-3, **options)

    def run() -> Sequence[Any]:
        optimizer.step()
        return parameters

    return Side(run)


def _model(framework: Any) -> list[Any]:
    """The parameters of two LSTM layers of 512 and of an embedding, with gradients."""
    parameters = []
    for number, shape in enumerate(_SHAPES):
        parameter = framework.from_numpy(numbers(*shape, seed=number)).requires_grad_()
        parameter.grad = framework.from_numpy(numbers(*shape, seed=100 + number))
        parameters.append(parameter)
    return parameters


def functional(framework: Any, name: str = "functional") -> Any:
    """`nn.functional` of a framework, or another part of its `nn`."""
    return importlib.import_module(f"{framework.__name__}.nn.{name}")


# ---- cases ----


class Ids(NamedTuple):
    """An input of whole numbers in [0, below)."""

    shape: tuple[int, ...]
    below: int

    def __str__(self) -> str:
        return f"{_times(self.shape)} ids"


def _op(kind: str, work: str, op: Callable[..., Any], *inputs: tuple[int, ...] | Ids) -> OpCase:
    """A case of `op(framework, *tensors)`; inputs are shapes of float32 numbers, or `Ids`."""

    def build(framework: Any) -> Side:
        return (forward if work == "forward" else training)(framework, op, *map(_input, inputs))

    return OpCase(kind, work, ", ".join(str(each) if isinstance(each, Ids) else _times(each) for each in inputs), build)


def _input(wanted: tuple[int, ...] | Ids) -> np.ndarray:
    if isinstance(wanted, Ids):
        return np.random.default_rng(0).integers(0, wanted.below, wanted.shape)
    return numbers(*wanted, seed=len(wanted))


def _times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


_ELEMENTWISE: Final[dict[str, Callable[..., Any]]] = {
    "add": lambda f, a: a + a,
    "mul": lambda f, a: a * a,
    "tanh": lambda f, a: f.tanh(a),
    "sigmoid": lambda f, a: f.sigmoid(a),
    "exp": lambda f, a: f.exp(a),
    "sum": lambda f, a: a.sum(1),
}


def _softmax(f: Any, x: Any) -> Any:
    return f.softmax(x, -1)


def _log_softmax(f: Any, x: Any) -> Any:
    return f.log_softmax(x, -1)


def _cross_entropy(f: Any, x: Any, target: Any) -> Any:
    return functional(f).cross_entropy(x, target)


def _embedding(f: Any, ids: Any, weight: Any) -> Any:
    return functional(f).embedding(ids, weight)


def _layer_norm(f: Any, x: Any, weight: Any, bias: Any) -> Any:
    return functional(f).layer_norm(x, tuple(weight.shape), weight, bias)


def _linear(f: Any, x: Any, weight: Any, bias: Any) -> Any:
    return functional(f).linear(x, weight, bias)


def _bmm(f: Any, a: Any, b: Any) -> Any:
    return f.bmm(a, b)


def _dropout(framework: Any) -> Side:
    # No zeros in x: an element that is zero afterwards was dropped.
    x = np.abs(numbers(3200, 512)) + 1
    return training(framework, lambda f, x: functional(f).dropout(x, _RATE, True), x, ones=True)


def cases() -> list[Case]:
    elementwise = [_op(kind, "forward", op, shape) for kind, op in _ELEMENTWISE.items() for shape in ((64, 512), (3200, 512))]
    return [
        *(OpCase("chain", "training", f"{size}, per op", partial(chain, size=size)) for size in (1, 32)),
        *elementwise,
        *(_op("softmax", "training", _softmax, shape) for shape in ((64, 1000), (3200, 50))),
        *(_op("log_softmax", "training", _log_softmax, shape) for shape in ((64, 1000), (3200, 50))),
        *(_op("cross_entropy", "training", _cross_entropy, (B, C), Ids((B,), C)) for B, C in ((1280, 50), (2240, 10_000))),
        _op("embedding", "training", _embedding, Ids((64, 20), 10_000), (10_000, 128)),
        _op("layer_norm", "training", _layer_norm, (3200, 512), (512,), (512,)),
        DropoutCase("dropout", "training", "3200x512", _dropout),
        _op("linear", "training", _linear, (3200, 512), (512, 512), (512,)),
        _op("bmm", "training", _bmm, (64, 10, 512), (64, 512, 20)),
        OpCase("clip_grad_norm_", "step", _PARAMETERS, clipping),
        OpCase("Adam", "step", _PARAMETERS, partial(optimizer_step, name="Adam")),
        OpCase("Adam fused", "step", _PARAMETERS, partial(optimizer_step, name="Adam", fused=True)),
        OpCase("SGD momentum", "step", _PARAMETERS, partial(optimizer_step, name="SGD", momentum=0.9)),
    ]
