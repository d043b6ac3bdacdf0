"""Recurrent layers as ONNX's RNN, LSTM and GRU; what those cannot say goes to scan.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from tinyrnn import nn
from tinyrnn.interop.onnx.graph import Graph
from tinyrnn.interop.onnx.packing import packed_values
from tinyrnn.interop.onnx.scan import Sweep, inside_sequences, scanned_sweep, zero_state
from tinyrnn.nn.utils.rnn import PackedSequence

# The gates in ONNX's order, as numbers of ours: LSTM i f g o -> i o f c; GRU r z n -> z r h.
_GATES: Final = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def onnx_weights(kind: str, layer: Any, suffixes: Sequence[str]) -> dict[str, np.ndarray]:
    """The inputs W, R and, if there are any, B and P of an ONNX operator.

    Parameters
    ----------
    kind : "LSTM", "GRU" or "RNN"
    layer : nn.LSTM, nn.GRU, nn.RNN or one of their cells
    suffixes : endings of the names of its parameters, one for each direction

    Returns
    -------
    W (D, G*H, I), R (D, G*H, H), B (D, 2*G*H), P (D, 3*H)
    """
    weight_ih, weight_hh, bias_ih, bias_hh = zip(*[layer._weights_of(suffix) for suffix in suffixes])

    def stacked(tensors: Sequence[Any], order: Sequence[int] = _GATES[kind]) -> np.ndarray:
        return np.stack([_reordered(tensor.array, order) for tensor in tensors])

    weights = {"W": stacked(weight_ih), "R": stacked(weight_hh)}
    if bias_ih[0] is not None:
        bias = stacked(bias_ih)
        weights["B"] = np.concatenate([bias, np.zeros_like(bias) if bias_hh[0] is None else stacked(bias_hh)], 1)
    if getattr(layer, "peephole", False):
        peepholes = [getattr(layer, f"peephole{suffix}") for suffix in suffixes]
        weights["P"] = stacked(peepholes, (0, 2, 1)).reshape(len(suffixes), -1)  # ours i f o, theirs i o f
    return weights


def _reordered(rows: np.ndarray, order: Sequence[int]) -> np.ndarray:
    return np.concatenate([np.split(rows, len(order))[gate] for gate in order])


class Batch(NamedTuple):
    """What a layer runs over.

    x : the value (T, B, I). states : h (and c), each (L*D, B, size), or empty for zeros. lengths : int32 (B,), or "".
    dtype : of x.
    """

    x: str
    states: tuple[str, ...]
    lengths: str
    dtype: np.dtype


def recurrent_layer(
    layer: Any, g: Graph, out: Any, input: Any, hx: Any = None, lengths: Any = None, **wanted: bool
) -> list[str]:
    """The nodes of an RNN, LSTM, GRU or Bidirectional; returns output and final states."""
    if any(wanted.values()):
        raise NotImplementedError("states of all steps and gates cannot be exported")
    run = _bidirectional if isinstance(layer, nn.Bidirectional) else _stack
    first = layer.forward_layer if isinstance(layer, nn.Bidirectional) else layer
    states = () if hx is None else tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
    if isinstance(input, PackedSequence):
        packed = input.data.value
        batch = Batch(packed.padded, tuple(map(g.value, states)), packed.lengths, input.data.array.dtype)
        y, finals = run(g, layer, batch)
        return [*packed_values(out[0], y, packed.lengths, packed.steps), *finals]
    unbatched = input.array.ndim == 2
    values = [g.value(state) if not unbatched else g("Unsqueeze", g.value(state), g.ints(1)) for state in states]
    x = g.value(input)
    if unbatched:
        x = g("Unsqueeze", x, g.ints(1))
    elif first.batch_first:
        x = g("Transpose", x, perm=[1, 0, 2])
    counts = "" if lengths is None else g.value(lengths, np.dtype(np.int32))
    y, finals = run(g, layer, Batch(x, tuple(values), counts, input.array.dtype))
    if unbatched:
        return [g("Squeeze", each, g.ints(1)) for each in (y, *finals)]
    return [g("Transpose", y, perm=[1, 0, 2]) if first.batch_first else y, *finals]


def _stack(g: Graph, layer: Any, batch: Batch, reverse: bool = False) -> tuple[str, list[str]]:
    """Output and final states of all layers above each other; `reverse`: each reads backward."""
    L, D = layer.num_layers, layer._directions
    initial = [_pieces(g, state, [D] * L) for state in batch.states]
    x, finals = batch.x, []
    for number in range(L):
        suffixes = layer._suffixes[number * D : (number + 1) * D]
        directions = ["reverse"] if reverse else ["forward", "reverse"][:D]
        states = tuple(pieces[number] for pieces in initial)
        y, last = _one_layer(g, layer, suffixes, directions, batch._replace(x=x, states=states))
        x = g("Add", y, x) if layer.residual and number > 0 else y
        finals.append(last)
    return x, [_joined(g, each) for each in zip(*finals)]


def _one_layer(g: Graph, layer: Any, suffixes: list[str], directions: list[str], batch: Batch) -> tuple[str, list[str]]:
    if layer.proj_size or layer.layer_norm or layer.zoneout:
        return _scanned(g, layer, suffixes, directions, batch)
    output, *finals = operator(g, layer, suffixes, directions, batch.x, batch.states, batch.lengths)
    if batch.states and batch.lengths:  # of an empty sequence ONNX Runtime returns zeros in place of its initial state
        begun = g("Unsqueeze", g("Greater", batch.lengths, g.value(0, np.dtype(np.int32))), g.ints(1))
        finals = [g("Where", begun, final, initial) for final, initial in zip(finals, batch.states)]
    if len(suffixes) == 1:
        return g("Squeeze", output, g.ints(1)), finals
    side_by_side = g("Transpose", output, perm=[0, 2, 1, 3])
    return g("Reshape", side_by_side, g.ints(0, 0, len(suffixes) * layer.hidden_size)), finals


def operator(
    g: Graph, layer: Any, suffixes: list[str], directions: list[str], x: str, states: Sequence[str], lengths: str = ""
) -> list[str]:
    """One of ONNX's recurrent operators, for one layer or a cell: Y (T, D, B, H), and the final states (D, B, H)."""
    kind = layer.mode.split("_")[0]
    weights = onnx_weights(kind, layer, suffixes)
    named = {"W": "weight_ih", "R": "weight_hh", "B": "bias_ih", "P": "peephole"}
    W, R, B, P = [
        g.constant(weights[name], like=getattr(layer, ours + suffixes[0]).array) if name in weights else ""
        for name, ours in named.items()
    ]
    options: dict[str, Any] = {}
    if kind == "RNN":
        options["activations"] = [layer.mode.partition("_")[2].capitalize()] * len(suffixes)
    elif kind == "GRU":
        options["linear_before_reset"] = int(layer.mode == "GRU")
    h_0, c_0 = (*states, "", "")[:2]
    inputs = [x, W, R, B, lengths, h_0, *([c_0, P] if kind == "LSTM" else [])]
    while not inputs[-1]:
        inputs.pop()
    direction = "bidirectional" if len(directions) == 2 else directions[0]
    count = 3 if kind == "LSTM" else 2
    return list(g(kind, *inputs, outputs=count, hidden_size=layer.hidden_size, direction=direction, **options))


def _scanned(g: Graph, layer: Any, suffixes: list[str], directions: list[str], batch: Batch) -> tuple[str, list[str]]:
    kept = inside_sequences(g, batch.x, batch.lengths) if batch.lengths else ""
    outputs, finals = [], []
    for d, (suffix, direction) in enumerate(zip(suffixes, directions)):
        sweep = Sweep(g, layer, suffix)
        if batch.states:
            states = [g("Gather", state, g.value(np.int64(d)), axis=0) for state in batch.states]
        else:
            states = [zero_state(g, batch.x, size, batch.dtype) for size in sweep.state_sizes]
        output, last = scanned_sweep(g, sweep, batch.x, states, kept, direction == "reverse")
        outputs.append(output)
        finals.append([g("Unsqueeze", each, g.ints(0)) for each in last])
    return _joined(g, outputs, -1), [_joined(g, each) for each in zip(*finals)]


# ---- both directions with a layer each, single steps ------------------------------------------------------------------


def _bidirectional(g: Graph, module: Any, batch: Batch) -> tuple[str, list[str]]:
    """Of states (2*L, B, size), layer by layer, those of the forward layer stand in front."""
    L = module.forward_layer.num_layers
    pieces = [_pieces(g, state, [1] * 2 * L) for state in batch.states]
    halves = [tuple(_joined(g, each[d::2]) for each in pieces) for d in range(2)]
    ahead, ahead_finals = _stack(g, module.forward_layer, batch._replace(states=halves[0]))
    back, back_finals = _stack(g, module.backward_layer, batch._replace(states=halves[1]), reverse=True)
    both = [(_pieces(g, one, [1] * L), _pieces(g, two, [1] * L)) for one, two in zip(ahead_finals, back_finals)]
    finals = [_joined(g, [each for pair in zip(*sides) for each in pair]) for sides in both]
    if module.merge_mode == "concat":
        return _joined(g, [ahead, back], -1), finals
    merged = g("Mul" if module.merge_mode == "mul" else "Add", ahead, back)
    return g("Mul", merged, g.value(0.5, batch.dtype)) if module.merge_mode == "ave" else merged, finals


def recurrent_cell(cell: Any, g: Graph, out: Any, input: Any, hx: Any = None) -> list[str]:
    """The nodes of an RNNCell, LSTMCell or GRUCell: the operator of the layer, over a sequence of one step."""
    axes = g.ints(*(range(2) if input.array.ndim == 1 else range(1)))
    states = () if hx is None else tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
    x, *initial = [g("Unsqueeze", g.value(each), axes) for each in (input, *states)]
    _, *finals = operator(g, cell, [""], ["forward"], x, initial)
    return [g("Squeeze", final, axes) for final in finals]


def recurrent_step(layer: Any, g: Graph, out: Any, input: Any, hx: Any = None) -> list[str]:
    """The nodes of `RecurrentLayer.step`: the layer over a sequence of one step."""
    time = int(layer.batch_first and input.array.ndim == 2)
    y, *finals = recurrent_layer(layer, g, out, input.unsqueeze(time), hx)
    return [g("Squeeze", y, g.ints(time)), *finals]


def custom_layer(layer: Any, g: Graph, out: Any, *args: Any, **kwargs: Any) -> list[str]:
    raise NotImplementedError("its cell runs step by step in Python, which a graph cannot express")


def _joined(g: Graph, values: Sequence[str], axis: int = 0) -> str:
    return values[0] if len(values) == 1 else g("Concat", *values, axis=axis)


def _pieces(g: Graph, value: str, sizes: list[int]) -> list[str]:
    """A value cut along its first dimension."""
    return [value] if len(sizes) == 1 else list(g("Split", value, g.ints(*sizes), outputs=len(sizes), axis=0))
