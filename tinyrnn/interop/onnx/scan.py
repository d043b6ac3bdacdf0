"""Recurrent layers with options that ONNX's operators do not have, projection, layer norm, zoneout: one Scan per direction.

The equations are those of kernels/sweeps.py and ops/recurrent_composed.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyrnn.interop.onnx.graph import Graph, onnx_package


class Sweep:
    """The parameters of one direction of a layer, and the terms that its equations are made of.

    Every method adds nodes to the graph `g`, which may be the body of a loop.
    """

    def __init__(self, g: Graph, layer: Any, suffix: str) -> None:
        self.mode = layer.mode
        self.hidden_size = layer.hidden_size
        self.state_sizes = layer._state_sizes
        self.zoneout = layer.zoneout if isinstance(layer.zoneout, tuple) else (layer.zoneout,) * len(self.state_sizes)
        weights = zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), layer._weights_of(suffix))
        self.parameters = {name: weight for name, weight in weights if weight is not None}
        self.parameters |= {name: getattr(layer, name + suffix) for name in layer._option_shapes()}
        self.dtype = self.parameters["weight_hh"].array.dtype
        matrices = [name for name in ("weight_ih", "weight_hh", "weight_hr") if name in self.parameters]
        self._transposed = {name: g("Transpose", g.value(self.parameters[name]), perm=[1, 0]) for name in matrices}

    def vector(self, g: Graph, name: str, rows: slice = slice(None)) -> str:
        """A parameter, or some of its rows as a constant."""
        parameter = self.parameters[name]
        return g.value(parameter if rows == slice(None) else parameter.array[rows])

    def plus(self, g: Graph, x: str, bias: str, rows: slice = slice(None)) -> str:
        return g("Add", x, self.vector(g, bias, rows)) if bias in self.parameters else x

    def normalized(self, g: Graph, x: str, norm: str, rows: slice = slice(None)) -> str:
        if f"{norm}_weight" not in self.parameters:
            return x
        weight, bias = (self.vector(g, f"{norm}_{part}", rows) for part in ("weight", "bias"))
        return g("LayerNormalization", x, weight, bias, axis=-1, epsilon=1e-5)

    def gates_of_input(self, g: Graph, x: str) -> str:
        """``norm_x(W_ih x) + b_ih``, for all steps at once."""
        return self.plus(g, self.normalized(g, g("MatMul", x, self._transposed["weight_ih"]), "norm_x"), "bias_ih")

    def gates_of_state(self, g: Graph, h: str, rows: slice = slice(None)) -> str:
        """``norm_h(W_hh h) + b_hh``, or some of its rows."""
        weight = self._transposed["weight_hh"]
        if rows != slice(None):
            stop = self.hidden_size * 3 if rows.stop is None else rows.stop
            weight = g("Slice", weight, g.ints(rows.start or 0), g.ints(stop), g.ints(1))
        return self.plus(g, self.normalized(g, g("MatMul", h, weight), "norm_h", rows), "bias_hh", rows)

    # ---- cells: gates of the input and old states -> new states, before zoneout -------------------------------------------

    def step(self, g: Graph, gates_x: str, states: Sequence[str]) -> list[str]:
        cells: dict[str, Callable] = {"LSTM": self._lstm, "GRU": self._gru, "GRU_RESET_BEFORE": self._gru_reset_before}
        new = cells.get(self.mode, self._rnn)(g, gates_x, *states)
        if "weight_hr" in self.parameters:
            new[0] = g("MatMul", new[0], self._transposed["weight_hr"])
        kept = zip(states, new, self.zoneout)
        return [self._mixed(g, fresh, old, g.value(share, self.dtype)) if share else fresh for old, fresh, share in kept]

    def _rnn(self, g: Graph, gates_x: str, h: str) -> list[str]:
        return [g("Relu" if self.mode == "RNN_RELU" else "Tanh", g("Add", gates_x, self.gates_of_state(g, h)))]

    def _lstm(self, g: Graph, gates_x: str, h: str, c: str) -> list[str]:
        i, f, cell, o = self._split(g, g("Add", gates_x, self.gates_of_state(g, h)), 4)
        peepholes = [""] * 3
        if "peephole" in self.parameters:
            peepholes = [g.constant(row) for row in self.parameters["peephole"].array]

        def gate(x: str, seen: str, peephole: str) -> str:
            return g("Sigmoid", g("Add", x, g("Mul", seen, peephole)) if peephole else x)

        forgotten = g("Mul", gate(f, c, peepholes[1]), c)
        new_c = g("Add", forgotten, g("Mul", gate(i, c, peepholes[0]), g("Tanh", cell)))
        shown = g("Tanh", self.normalized(g, new_c, "norm_c"))
        return [g("Mul", gate(o, new_c, peepholes[2]), shown), new_c]

    def _gru(self, g: Graph, gates_x: str, h: str) -> list[str]:
        (xr, xz, xn), (hr, hz, hn) = self._split(g, gates_x, 3), self._split(g, self.gates_of_state(g, h), 3)
        r, z = g("Sigmoid", g("Add", xr, hr)), g("Sigmoid", g("Add", xz, hz))
        return [self._mixed(g, g("Tanh", g("Add", xn, g("Mul", r, hn))), h, z)]

    def _gru_reset_before(self, g: Graph, gates_x: str, h: str) -> list[str]:
        first_two, last = slice(0, 2 * self.hidden_size), slice(2 * self.hidden_size, None)
        xr, xz, xn = self._split(g, gates_x, 3)
        hr, hz = self._split(g, self.gates_of_state(g, h, first_two), 2)
        r, z = g("Sigmoid", g("Add", xr, hr)), g("Sigmoid", g("Add", xz, hz))
        hn = self.gates_of_state(g, g("Mul", r, h), last)
        return [self._mixed(g, g("Tanh", g("Add", xn, hn)), h, z)]

    def _split(self, g: Graph, gates: str, count: int) -> Sequence[str]:
        return g("Split", gates, g.ints(*[self.hidden_size] * count), outputs=count, axis=-1)

    def _mixed(self, g: Graph, new: str, old: str, share: str) -> str:
        """``new + share (old - new)``."""
        return g("Add", new, g("Mul", share, g("Sub", old, new)))


def scanned_sweep(g: Graph, sweep: Sweep, x: str, states: Sequence[str], kept: str, reverse: bool) -> tuple[str, list[str]]:
    """One direction of a layer.

    Parameters
    ----------
    x : (T, B, I). states : each (B, size). kept : bool (T, B, 1), True within the sequences, or "".

    Returns
    -------
    output (T, B, P), zero behind the end of a sequence, and the final states.
    """
    onnx = onnx_package()
    element = onnx.helper.np_dtype_to_tensor_dtype(sweep.dtype)
    body = g.body()
    scanned = [sweep.gates_of_input(g, x), *([kept] if kept else [])]
    olds = [body.unique("state") for _ in states]
    gates, inside = body.unique("gates"), body.unique("inside") if kept else ""
    news = sweep.step(body, gates, olds)
    output = news[0]
    if kept:
        news = [body("Where", inside, new, old) for new, old in zip(news, olds)]
        output = body("Where", inside, output, body.value(0, sweep.dtype))
    tensor = onnx.helper.make_tensor_value_info
    inputs = [tensor(old, element, [None, size]) for old, size in zip(olds, sweep.state_sizes)]
    inputs.append(tensor(gates, element, None))
    if kept:
        inputs.append(tensor(inside, onnx.TensorProto.BOOL, [None, 1]))
    results = [*news, body("Identity", output)]  # a value may be an output only once
    outputs = [tensor(each, element, [None, size]) for each, size in zip(results, (*sweep.state_sizes, sweep.state_sizes[0]))]
    *finals, y = g(
        "Scan", *states, *scanned, outputs=len(states) + 1, num_scan_inputs=len(scanned),
        scan_input_directions=[int(reverse)] * len(scanned), scan_output_directions=[int(reverse)],
        body=onnx.helper.make_graph(body.nodes, "step", inputs, outputs),
    )  # fmt: skip
    return y, finals


def inside_sequences(g: Graph, x: str, lengths: str) -> str:
    """bool (T, B, 1), True at the steps within the sequences of x (T, B, I)."""
    int32 = np.dtype(np.int32)
    T = g.cast(g("Squeeze", g("Shape", x, start=0, end=1)), np.dtype(np.int64), int32)
    steps = g("Range", g.value(0, int32), T, g.value(1, int32))
    return g("Unsqueeze", g("Less", g("Unsqueeze", steps, g.ints(1)), lengths), g.ints(2))


def zero_state(g: Graph, x: str, size: int, dtype: np.dtype) -> str:
    """Zeros (B, size) for x (T, B, I)."""
    shape = g("Concat", g("Shape", x, start=1, end=2), g.ints(size), axis=0)
    return g("Expand", g.value(0, dtype), shape)
