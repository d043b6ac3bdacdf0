"""Layers that are exported as a whole: tables from their class to what adds the nodes of a method.

Every other module is traced through its `forward`. An emitter is called as ``emit(layer, graph, result, *arguments)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tinyrnn import nn
from tinyrnn.interop.onnx.attention import SCORES, attention_layer, stepwise_attention
from tinyrnn.interop.onnx.graph import Graph
from tinyrnn.interop.onnx.multihead import multihead_layer
from tinyrnn.interop.onnx.recurrent import custom_layer, recurrent_cell, recurrent_layer, recurrent_step
from tinyrnn.nn.aligned_attention import AlignedAttention
from tinyrnn.nn.recurrent import RNNBase
from tinyrnn.nn.recurrent_cells import RNNCellBase

LAYERS: dict[Any, Callable] = {
    RNNBase: recurrent_layer,
    nn.Bidirectional: recurrent_layer,
    RNNCellBase: recurrent_cell,
    nn.CustomRNN: custom_layer,
    nn.MultiheadAttention: multihead_layer,
    AlignedAttention: stepwise_attention,
    **dict.fromkeys(SCORES, attention_layer),
}
STEPS: dict[Any, Callable] = {RNNBase: recurrent_step, nn.CustomRNN: custom_layer}


def emitted_methods() -> Iterator[tuple[type, str, dict]]:
    """The methods that add nodes: the class that has them, their name, and their table."""
    for name, table in (("forward", LAYERS), ("step", STEPS)):
        for owner in {next(base for base in cls.__mro__ if name in vars(base)) for cls in table}:
            yield owner, name, table


def emit_layer(layer: nn.Module, table: dict[Any, Callable], g: Graph, out: Any, *args: Any, **kwargs: Any) -> Any:
    """The nodes of the layer of the library that `layer` is; around it may be a `forward` of its own, and hooks."""
    cls = next((cls for cls in table if isinstance(layer, cls)), None)
    if cls is None:
        raise NotImplementedError("it derives from no layer that can be exported")
    inside = set(dir(cls)) - set(dir(nn.Module)) - {"step", "reset_parameters", "flatten_parameters"}
    for base in type(layer).__mro__[: type(layer).__mro__.index(cls)]:
        for name in inside.intersection(vars(base)):
            if not (base.__module__.startswith("tinyrnn.") or name.startswith("__")):
                raise NotImplementedError(f"{base.__name__} has a {name} of its own; the file would have {cls.__name__}'s")
    return table[cls](layer, g, out, *args, **kwargs)
