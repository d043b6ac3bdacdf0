"""What each option of a recurrent layer costs: the layer with it beside the same layer without."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

import tinyrnn
from tinyrnn import nn
from tinyrnn.bench.cases import OURS, Case, PairedCase, Setting
from tinyrnn.bench.suites.layers import WORKS, Shape, layer_arrays, our_layer, side
from tinyrnn.bench.timing import Side

PLAIN: Final = "tinyrnn, plain layer"
"""The name of our side without the option."""
_SHAPES: Final = (Shape(32, 100, 128, 128), Shape(64, 50, 512, 512))


@dataclass(frozen=True)
class Option:
    """An option of a layer, or of its call; what both sides of a case have in common is `always`."""

    kind: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    always: dict[str, Any] = field(default_factory=dict)


_EVERY: Final = (
    ("recurrent_dropout", {"recurrent_dropout": 0.3}),
    ("input_dropout", {"input_dropout": 0.3}),
    ("zoneout", {"zoneout": 0.1}),
    ("layer_norm", {"layer_norm": True}),
    ("single_bias", {"single_bias": True}),
)
OPTIONS: Final = (
    *[Option(kind, name, options) for kind in ("LSTM", "GRU", "RNN") for name, options in _EVERY],
    Option("LSTM", "proj_size", {"proj_size": 64}),
    Option("LSTM", "peephole", {"peephole": True}),
    Option("LSTM", "forget_bias", {"forget_bias": 1.0}),
    Option("GRU", "reset_before", {"reset_after": False}),
    Option("RNN", "relu", {"nonlinearity": "relu"}),
    Option("LSTM", "residual", {"residual": True}, always={"num_layers": 2}),
    Option("LSTM", "return_all_states", call={"return_all_states": True}),
    Option("LSTM", "gates", call={"gates": True}),
    Option("LSTM", "lengths", call={"lengths": True}),
    Option("LSTM", "batch_first", {"batch_first": True}),
    Option("LSTM", "Bidirectional", always={"bidirectional": True}),
    Option("LSTM", "unbatched"),
)
NAMES: Final = tuple(dict.fromkeys(option.name for option in OPTIONS))


class OptionCase(PairedCase):
    suite = "options"
    beside = (PLAIN,)

    def __init__(self, option: Option, work: str, shape: Shape) -> None:
        super().__init__(option.name, work, f"{option.kind} {shape}")
        self.option = option
        self.sizes = shape

    def sides(self, setting: Setting) -> dict[str, Side]:
        given, call = self.option, dict(self.option.call)
        if "lengths" in call:
            call["lengths"] = np.full(self.sizes.B, self.sizes.T)
        with_it: Any = our_layer(given.kind, self.sizes, **given.always, **given.options)
        plain = our_layer(given.kind, self.sizes, **given.always)
        x, gradient = layer_arrays(self.sizes, 2 if plain.bidirectional else 1)
        if given.name == "Bidirectional":
            with_it = nn.Bidirectional(our_layer(given.kind, self.sizes))
        ours = self._side(with_it, call, x, gradient[..., : getattr(with_it, "proj_size", 0) or None])
        beside = side(tinyrnn, plain, self.work, plain, x, gradient)
        return {OURS: ours, PLAIN: replace(beside, comparable=False)}

    def _side(self, layer: Any, call: dict[str, Any], x: Any, gradient: Any) -> Side:
        if self.option.name == "unbatched":
            x, gradient = x[:, 0], gradient[:, 0]
        elif "batch_first" in self.option.options:
            x, gradient = (np.ascontiguousarray(each.swapaxes(0, 1)) for each in (x, gradient))
        return side(tinyrnn, layer, self.work, lambda x: layer(x, **call)[:2], x, gradient)


def cases() -> list[Case]:
    return [
        OptionCase(option, work, shape._replace(B=1) if option.name == "unbatched" else shape)
        for option in OPTIONS
        for work in WORKS
        for shape in _SHAPES
    ]
