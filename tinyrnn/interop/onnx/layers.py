"""Layers that are exported as a whole: a table from their class to what adds their nodes.

Every other module is traced through its `forward`. An emitter is called as ``emit(layer, graph, result, *arguments)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyrnn import nn
from tinyrnn.interop.onnx.attention import SCORES, attention_layer, stepwise_attention
from tinyrnn.interop.onnx.multihead import multihead_layer
from tinyrnn.interop.onnx.recurrent import custom_layer, recurrent_cell, recurrent_layer
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


def emitter_of(module: nn.Module) -> Callable | None:
    """The entry of the class of `module`; None for one whose `forward` is its own, or that has hooks."""
    if module._forward_hooks or module._forward_pre_hooks:
        return None
    for cls, emit in LAYERS.items():
        if isinstance(module, cls) and type(module).forward is cls.forward:
            return emit
    return None
