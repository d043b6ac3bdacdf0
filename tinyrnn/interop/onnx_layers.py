"""What becomes of the layers that are exported whole: recurrent ones, embeddings, and attention with lengths or a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyrnn.nn.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention, ScaledDotAttention
from tinyrnn.nn.embedding import Embedding
from tinyrnn.nn.module import Module
from tinyrnn.nn.recurrent import GRU, LSTM, RNN, RNNBase
from tinyrnn.nn.recurrent_cells import GRUCell, LSTMCell, RNNCell
from tinyrnn.nn.recurrent_module import WeightedModule
from tinyrnn.ops.recurrent_cells import CELLS

# (our name of the gate rows, in ONNX's order) as indices into ours: LSTM i f g o -> i o f c; GRU r z n -> z r h.
GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def in_onnx_order(kind: str, rows: np.ndarray) -> np.ndarray:
    """The rows of a weight or bias of ours, gate by gate, in ONNX's order."""
    parts = np.split(rows, len(GATES[kind]))
    return np.ascontiguousarray(np.concatenate([parts[gate] for gate in GATES[kind]]))


def recurrent_weights(layer: WeightedModule, suffixes: Sequence[str]) -> dict[str, np.ndarray]:
    """The inputs W, R, B and P of ONNX's operator for the sweeps of one layer, (D, ...) each; B and P only if there are any."""
    kind = kind_of(layer)
    parameters = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}

    def stacked(name: str) -> np.ndarray:
        return np.stack([in_onnx_order(kind, parameters[name + suffix]) for suffix in suffixes])

    found = {"W": stacked("weight_ih"), "R": stacked("weight_hh")}
    if layer.bias:
        ours = stacked("bias_ih")
        hidden = stacked("bias_hh") if f"bias_hh{suffixes[0]}" in parameters else np.zeros_like(ours)
        found["B"] = np.concatenate([ours, hidden], 1)
    if f"peephole{suffixes[0]}" in parameters:  # ours are i f o, ONNX's i o f
        found["P"] = np.stack([parameters[f"peephole{suffix}"][[0, 2, 1]].reshape(-1) for suffix in suffixes])
    return found


def kind_of(layer: WeightedModule) -> str:
    """The name of ONNX's operator."""
    return "LSTM" if layer.mode == "LSTM" else "GRU" if layer.mode.startswith("GRU") else "RNN"


def attributes_of(layer: WeightedModule, directions: int = 1) -> dict[str, Any]:
    """The attributes of ONNX's operator."""
    attributes: dict[str, Any] = {"hidden_size": layer.hidden_size}
    if directions == 2:
        attributes["direction"] = "bidirectional"
    if layer.mode == "RNN_RELU":
        attributes["activations"] = ["Relu"] * directions
    if kind_of(layer) == "GRU":
        attributes["linear_before_reset"] = int(layer.mode == "GRU")
    return attributes


def name_of_layer(layer: Module) -> str | None:
    """The name in EXPORTERS of a layer that is exported whole; None if its ops are, or it has a `forward` of its own."""
    for kind in type(layer).__mro__:
        if kind.__name__ in EXPORTERS and kind.__module__.startswith("tinyrnn."):
            return kind.__name__ if type(layer).forward is kind.forward else None  # type: ignore[attr-defined]
    return None


class _Arguments:
    """The arguments of a layer's call, by name, as names of values."""

    def __init__(self, graph: Any, step: Any) -> None:
        self.graph, self.step = graph, step
        self.layer, self.first = step.first.inputs
        self.second = step.second.inputs[1]

    def given(self, name: str) -> bool:
        value = self.first.get(name)
        return value is not None and value is not False

    def __call__(self, name: str) -> str:
        return self.graph.value(self.step, self.first[name], self.second[name])

    def several(self, name: str) -> list[str]:
        values = [each if isinstance(each, (tuple, list)) else (each,) for each in (self.first[name], self.second[name])]
        return [self.graph.value(self.step, a, b) for a, b in zip(*values)]

    def ndim(self, name: str) -> int:
        return self.first[name].array.ndim


def _embedding(graph: Any, step: Any) -> str:
    arguments = _Arguments(graph, step)
    weight = graph.value(step, arguments.layer.weight, arguments.layer.weight)
    return graph.add("Gather", weight, arguments("input"), axis=0)


# ---- recurrent layers --------------------------------------------------------------------------------------------------


def _recurrent(graph: Any, step: Any) -> list[str]:
    arguments = _Arguments(graph, step)
    layer = arguments.layer
    _refuse_options(step, layer, arguments)
    unbatched, x = arguments.ndim("input") == 2, arguments("input")
    x = graph.unsqueezed(x, 1) if unbatched else graph.transposed(x, (1, 0, 2)) if layer.batch_first else x
    lengths = graph.add("Cast", arguments("lengths"), to=graph.onnx.TensorProto.INT32) if arguments.given("lengths") else ""
    states = arguments.several("hx") if arguments.given("hx") else []
    states = [graph.unsqueezed(state, 1) for state in states] if unbatched else states
    finals = []
    for number in range(layer.num_layers):
        output, *final = _one_layer(graph, layer, number, x, lengths, states)
        x = graph.add("Add", output, x) if layer.residual and number > 0 else output
        finals.append(final)
    x = graph.squeezed(x, 1) if unbatched else graph.transposed(x, (1, 0, 2)) if layer.batch_first else x
    ends = [each[0] if len(each) == 1 else graph.add("Concat", *each, axis=0) for each in zip(*finals)]
    return [x, *[graph.squeezed(each, 1) if unbatched else each for each in ends]]


def _refuse_options(step: Any, layer: RNNBase, arguments: _Arguments) -> None:
    name = type(layer).__name__
    for option in ("proj_size", "layer_norm", "zoneout"):
        if getattr(layer, option):
            step.fail(f"{name} with {option}={getattr(layer, option)} is not what ONNX's operator {kind_of(layer)} computes")
    for option in ("return_all_states", "gates"):
        if arguments.given(option):
            step.fail(f"{name} was called with {option}=True, which ONNX's operator {kind_of(layer)} does not give")


def _one_layer(graph: Any, layer: RNNBase, number: int, x: str, lengths: str, states: list[str]) -> list[str]:
    """The output (T, B, D*H) and the final states (D, B, H)."""
    D = layer._directions
    if states and layer.num_layers > 1:
        states = [graph.sliced(state, number * D, (number + 1) * D, 0) for state in states]
    output, *finals = _operator(graph, layer, layer._suffixes[number * D : (number + 1) * D], x, lengths, states)
    if D == 1:
        return [graph.squeezed(output, 1), *finals]
    side_by_side = graph.transposed(output, (0, 2, 1, 3))
    return [graph.add("Reshape", side_by_side, graph.integers(0, 0, D * layer.hidden_size)), *finals]


def _operator(graph: Any, layer: WeightedModule, suffixes: Sequence[str], x: str, lengths: str, states: list[str]) -> list[str]:
    """ONNX's operator: the output (T, D, B, H) and the final states (D, B, H)."""
    constants = {name: graph.constant(array) for name, array in recurrent_weights(layer, suffixes).items()}
    inputs = [x, constants["W"], constants["R"], constants.get("B", ""), lengths, *(states or [""])]
    if "P" in constants:
        inputs += [*[""] * (7 - len(inputs)), constants["P"]]
    outputs = 1 + len(CELLS[layer.mode].states)
    return graph.add_several(kind_of(layer), inputs, outputs, **attributes_of(layer, len(suffixes)))


def _cell(graph: Any, step: Any) -> list[str]:
    """A cell is a layer over one step."""
    arguments = _Arguments(graph, step)
    lead = (0,) if arguments.ndim("input") == 2 else (0, 1)  # time, and batch where there is none
    states = arguments.several("hx") if arguments.given("hx") else []
    states = [graph.unsqueezed(state, *lead) for state in states]
    _, *finals = _operator(graph, arguments.layer, ("",), graph.unsqueezed(arguments("input"), *lead), "", states)
    return [graph.squeezed(each, *lead) for each in finals]


# ---- attention ---------------------------------------------------------------------------------------------------------


def _attention(graph: Any, step: Any) -> list[str]:
    arguments = _Arguments(graph, step)
    layer, query, keys = arguments.layer, arguments("query"), arguments("keys")
    single = arguments.ndim("query") == 2
    query = graph.unsqueezed(query, 1) if single else query
    mask = _mask(graph, step, arguments)
    blank = None if mask is None else mask[0]
    keys = _blanked(graph, step, keys, blank)
    values = _blanked(graph, step, arguments("values"), blank) if arguments.given("values") else keys
    scores = _scores(graph, step, layer, query, keys)
    if mask is None:
        weights = graph.add("Softmax", scores, axis=-1)
    else:
        weights = graph.masked_softmax(scores, mask[1], -1, step.first.outputs[0])
    context = graph.add("MatMul", weights, values)
    return [graph.squeezed(each, 1) if single else each for each in (context, weights)]


def _mask(graph: Any, step: Any, arguments: _Arguments) -> tuple[str, str] | None:
    """(B, S, 1) of positions that some query keeps, and (B, 1 or Tq, S) of those that each does."""
    kept = None
    if arguments.given("mask"):
        kept = arguments("mask")
        rank = np.ndim(getattr(arguments.first["mask"], "array", arguments.first["mask"]))
        kept = kept if rank == 3 else graph.unsqueezed(kept, 1)
    if arguments.given("lengths"):
        S = graph.size(step, *[given["keys"].array.shape[1] for given in (arguments.first, arguments.second)])
        scalar = graph.constant(np.array(0, np.int64)), graph.squeezed(S, 0), graph.constant(np.array(1, np.int64))
        lengths = graph.add("Cast", arguments("lengths"), to=graph.onnx.TensorProto.INT64)
        valid = graph.add("Less", graph.add("Range", *scalar), graph.unsqueezed(lengths, 1))
        valid = graph.unsqueezed(valid, 1)
        kept = valid if kept is None else graph.add("And", kept, valid)
    if kept is None:
        return None
    numbers = graph.add("Cast", kept, to=graph.onnx.TensorProto.FLOAT)
    some = graph.add("Cast", graph.add("ReduceMax", numbers, axes=[1], keepdims=0), to=graph.onnx.TensorProto.BOOL)
    return graph.unsqueezed(some, 2), kept


def _blanked(graph: Any, step: Any, source: str, kept: str | None) -> str:
    if kept is None:
        return source
    return graph.add("Where", kept, source, graph.like(0.0, step.first.outputs[0]))


def _scores(graph: Any, step: Any, layer: Attention, query: str, keys: str) -> str:
    def projected(x: str, projection: Any) -> str:
        return graph.add("MatMul", x, graph.constant(projection.weight.array.T))

    if isinstance(layer, AdditiveAttention):
        query = graph.unsqueezed(projected(query, layer.query_projection), 2)
        keys = graph.unsqueezed(projected(keys, layer.key_projection), 1)
        together = graph.add("Tanh", graph.add("Add", query, keys))
        return graph.squeezed(graph.add("MatMul", together, graph.constant(layer.v.array[:, None])), 3)
    keys = projected(keys, layer.key_projection) if isinstance(layer, GeneralAttention) else keys
    scores = graph.add("MatMul", query, graph.transposed(keys, (0, 2, 1)))
    if isinstance(layer, ScaledDotAttention):
        like = step.first.outputs[0]
        size = step.first.inputs[1]["query"].array.shape[-1]
        scores = graph.add("Mul", scores, graph.like(size**-0.5, like))
    return scores


_ATTENTIONS = (DotAttention, ScaledDotAttention, GeneralAttention, AdditiveAttention)
EXPORTERS: dict[str, Any] = {
    **{kind.__name__: _recurrent for kind in (RNN, LSTM, GRU)},
    **{kind.__name__: _cell for kind in (RNNCell, LSTMCell, GRUCell)},
    **{kind.__name__: _attention for kind in _ATTENTIONS},
    Embedding.__name__: _embedding,
}
