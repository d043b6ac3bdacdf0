"""Double backward through a recurrent layer: a gradient penalty on the input, trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import tinyrnn
from tinyrnn.bench.cases import OURS, Case, PairedCase, Setting
from tinyrnn.bench.peers import TORCH
from tinyrnn.bench.suites.layers import KINDS, Shape, numbers, our_layer, torch_layer
from tinyrnn.bench.timing import Side
from tinyrnn.ops.recurrent import run_stack, stack_of_cells
from tinyrnn.ops.recurrent_options import Options, layers_with_options

STEPPED: Final = "tinyrnn, one node per step"
"""The name of our side on the rung below the fused sweep."""
_SHAPES: Final = (Shape(1, 50, 64, 64), Shape(32, 50, 128, 128))


class DoubleCase(PairedCase):
    suite = "double"
    beside = (TORCH, STEPPED)

    def __init__(self, kind: str, shape: Shape) -> None:
        super().__init__(kind, "gradient penalty", str(shape))
        self.sizes = shape

    def sides(self, setting: Setting) -> dict[str, Side]:
        ours = our_layer(self.kind, self.sizes)
        x = numbers(self.sizes.T, self.sizes.B, self.sizes.I, seed=1)
        weights = [ours._weights_of("_l0")]
        run_layer = layers_with_options(ours.mode, weights, [Options()], rung="L1")

        def stepped(x: Any) -> Any:
            return run_stack(stack_of_cells(ours.mode, weights, run_layer=run_layer), x, None)[0]

        sides = {
            OURS: _penalty_side(tinyrnn, ours, lambda x: ours(x)[0], x),
            STEPPED: _penalty_side(tinyrnn, ours, stepped, x),
        }
        torch: Any = setting.peers.torch
        if torch is not None:
            theirs = torch_layer(torch, self.kind, ours)
            sides[TORCH] = _penalty_side(torch, theirs, lambda x: theirs(x)[0], x)
        return sides


def _penalty_side(framework: Any, layer: Any, call: Callable[[Any], Any], x: Any) -> Side:
    """The gradient of |d output / d x|^2 for all weights."""
    leaf = framework.from_numpy(x.copy()).requires_grad_()
    parameters = [parameter for _, parameter in sorted(layer.named_parameters())]

    def run() -> Sequence[Any]:
        (gradient,) = framework.autograd.grad(call(leaf).sum(), leaf, create_graph=True)
        return [gradient, *framework.autograd.grad((gradient * gradient).sum(), parameters)]

    return Side(run)


def cases() -> list[Case]:
    return [DoubleCase(kind, shape) for kind in KINDS for shape in _SHAPES]
