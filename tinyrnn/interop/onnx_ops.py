"""What becomes of each operation in ONNX: a function of the graph and the step gives the names of its outputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyrnn.interop.onnx_graph import END, Graph, Pair

_SAME = {
    "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "exp": "Exp", "log": "Log", "neg": "Neg", "sqrt": "Sqrt",
    "abs": "Abs", "erf": "Erf", "sin": "Sin", "cos": "Cos", "reciprocal": "Reciprocal", "add": "Add", "sub": "Sub",
    "mul": "Mul", "div": "Div", "pow": "Pow", "maximum": "Max", "minimum": "Min", "clone": "Identity",
}  # fmt: skip
_REDUCTIONS = {  # and where the op saves its axes
    "mean": ("ReduceMean", 1),
    "amax": ("ReduceMax", 2),
    "amin": ("ReduceMin", 2),
    "logsumexp": ("ReduceLogSumExp", 2),
}


def _same(kind: str) -> Any:
    def export(graph: Graph, step: Pair) -> str:
        inputs = step.inputs()
        dtype = step.first.outputs[0].array.dtype
        for number, given in enumerate(step.first.inputs):  # a number takes the dtype of the tensor beside it
            if not hasattr(given, "shape"):
                inputs[number] = graph.constant(np.array(given, dtype))
        return graph.add(kind, *inputs)

    return export


def _reduction(kind: str, axes_at: int) -> Any:
    def export(graph: Graph, step: Pair) -> str:
        kept = len(step.shapes()[0]) == len(step.output_shapes()[0])
        return graph.add(kind, step.input(0), axes=list(step.saved(axes_at)), keepdims=int(kept))

    return export


def _sum(graph: Graph, step: Pair) -> str:
    kept = len(step.shapes()[0]) == len(step.output_shapes()[0])
    axes = step.saved(1)
    return graph.add("ReduceSum", step.input(0), graph.integers(*axes), keepdims=int(kept))


# ---- products and normalization ----------------------------------------------------------------------------------------


def _product(graph: Graph, step: Pair) -> str:
    sides = []
    for number in (0, 1):
        name, ndim = step.input(number), len(step.shapes(number)[0])
        order = [*range(ndim - 2), ndim - 1, ndim - 2]
        sides.append(graph.transposed(name, order) if step.saved(4 + number) else name)
    return graph.add("MatMul", *sides)


def _linear(graph: Graph, step: Pair) -> str:
    x, weight, *bias = step.inputs()
    product = graph.add("MatMul", x, graph.transposed(weight, (1, 0)))
    return graph.add("Add", product, *bias) if bias else product


def _layer_norm(graph: Graph, step: Pair) -> str:
    shape, dtype = step.saved(4), step.first.outputs[0].array.dtype
    weight = graph.constant(np.ones(shape, dtype)) if step.first.inputs[1] is None else step.input(1)
    bias = graph.constant(np.zeros(shape, dtype)) if step.first.inputs[2] is None else step.input(2)
    return graph.add("LayerNormalization", step.input(0), weight, bias, axis=-len(shape), epsilon=step.saved(5))


def _softmax(kind: str) -> Any:
    return lambda graph, step: graph.add(kind, step.input(0), axis=step.saved(1))


def _masked_softmax(graph: Graph, step: Pair) -> str:
    return graph.masked_softmax(step.input(0), step.saved_array(1), step.saved(2), step.first.outputs[0])


# ---- activations with parameters -----------------------------------------------------------------------------------------


def _logsigmoid(graph: Graph, step: Pair) -> str:
    return graph.add("Neg", graph.add("Softplus", graph.add("Neg", step.input(0))))


def _silu(graph: Graph, step: Pair) -> str:
    return graph.add("Mul", step.input(0), graph.add("Sigmoid", step.input(0)))


def _softplus(graph: Graph, step: Pair) -> str:
    beta = graph.like(float(step.saved(1)), step.first.outputs[0])
    return graph.add("Div", graph.add("Softplus", graph.add("Mul", step.input(0), beta)), beta)


def _gelu(graph: Graph, step: Pair) -> str:
    x, like = step.input(0), step.first.outputs[0]
    if step.saved(1) != "none":
        step.fail("gelu with approximate='tanh' has no counterpart here; the exact one has")
    error = graph.add("Erf", graph.add("Mul", x, graph.like(math.sqrt(0.5), like)))
    half = graph.add("Mul", x, graph.like(0.5, like))
    return graph.add("Mul", half, graph.add("Add", error, graph.like(1.0, like)))


def _clip(graph: Graph, step: Pair) -> str:
    low, high = (step.saved(k) for k in (1, 2))
    like = step.first.outputs[0]
    bounds = ["" if bound is None else graph.like(float(bound), like) for bound in (low, high)]
    return graph.add("Clip", step.input(0), *bounds)


def _rsqrt(graph: Graph, step: Pair) -> str:
    return graph.add("Reciprocal", graph.add("Sqrt", step.input(0)))


# ---- shapes --------------------------------------------------------------------------------------------------------------


def _reshape(graph: Graph, step: Pair) -> str:
    return graph.add("Reshape", step.input(0), graph.shape(step, step.output_shapes(), one_open=True))


def _expand(graph: Graph, step: Pair) -> str:
    return graph.add("Expand", step.input(0), graph.shape(step, step.output_shapes(), one_open=False))


def _transpose(graph: Graph, step: Pair) -> str:
    order = list(range(len(step.shapes()[0])))
    first, second = step.saved(0), step.saved(1)
    order[first], order[second] = order[second], order[first]
    return graph.transposed(step.input(0), order)


def _cat(graph: Graph, step: Pair) -> str:
    return graph.add("Concat", *step.inputs(), axis=step.saved(0))


def _stack(graph: Graph, step: Pair) -> str:
    dim = step.saved(0)
    return graph.add("Concat", *[graph.unsqueezed(name, dim) for name in step.inputs()], axis=dim)


def _split(graph: Graph, step: Pair) -> list[str]:
    dim, x, pieces = step.saved(0), step.input(0), []
    sizes, starts = [shape[dim] for shape in step.shapes()], [0, 0]
    for number in range(len(step.first.outputs)):
        ends = [start + shape[dim] for start, shape in zip(starts, step.output_shapes(number))]
        pieces.append(_sliced_between(graph, step, x, dim, starts, ends, sizes))
        starts = ends
    return pieces


def _unbind(graph: Graph, step: Pair) -> list[str]:
    dim, x = step.saved(0), step.input(0)
    return [graph.squeezed(graph.sliced(x, k, k + 1, dim), dim) for k in range(len(step.first.outputs))]


def _flip(graph: Graph, step: Pair) -> str:
    x = step.input(0)
    for axis in step.saved(0):
        x = graph.sliced(x, -1, -END, axis, -1)
    return x


def _window(graph: Graph, step: Pair) -> str:
    """Basic indexing: ints, slices, None and Ellipsis."""
    x, axis = step.input(0), 0
    dropped: list[int] = []
    added: list[int] = []
    keys = [_full_key(saved[0], len(shape)) for saved, shape in zip((step.first.saved, step.second.saved), step.shapes())]
    for out, (a, b) in enumerate(zip(*keys)):
        if a is None:
            added.append(out - len(dropped))
            continue
        x = _cut(graph, step, x, axis, a, b)
        if isinstance(a, int):
            dropped.append(axis)
        axis += 1
    x = graph.squeezed(x, *dropped) if dropped else x
    return graph.unsqueezed(x, *added) if added else x


def _full_key(key: tuple, ndim: int) -> list:
    """One entry for each dimension, and None for each new one."""
    used = sum(each is not None and each is not Ellipsis for each in key)
    key = key if Ellipsis in key else (*key, Ellipsis)
    at = key.index(Ellipsis)
    return [*key[:at], *[slice(None)] * (ndim - used), *key[at + 1 :]]


def _cut(graph: Graph, step: Pair, x: str, axis: int, a: Any, b: Any) -> str:
    sizes = [shape[axis] for shape in step.shapes()]
    if isinstance(a, int):
        start = _position(step, [k + n if k < 0 else k for k, n in zip((a, b), sizes)], sizes)
        return graph.sliced(x, start, END if start == -1 else start + 1, axis)
    if a == b == slice(None):
        return x
    starts, ends, steps = zip(*[key.indices(size) for key, size in zip((a, b), sizes)])
    if steps[0] != 1 or steps[1] != 1:
        step.fail("a slice with a step other than 1 has no counterpart here")
    return _sliced_between(graph, step, x, axis, starts, ends, sizes)


def _sliced_between(graph: Graph, step: Pair, x: str, axis: int, starts: Any, ends: Any, sizes: list[int]) -> str:
    end = END if list(ends) == sizes else _position(step, ends, sizes)
    return graph.sliced(x, _position(step, starts, sizes), end, axis)


def _position(step: Pair, positions: Any, sizes: Any) -> int:
    """A place along a dimension: the same from its start in both runs, or from its end."""
    if positions[0] == positions[1]:
        return positions[0]
    from_end = [position - size for position, size in zip(positions, sizes)]
    if from_end[0] != from_end[1] or from_end[0] >= 0:
        step.fail(f"an index depends on the inputs: {positions[0]} of {sizes[0]}, and {positions[1]} of {sizes[1]}")
    return from_end[0]


EXPORTERS: dict[str, Any] = {
    **{name: _same(kind) for name, kind in _SAME.items()},
    **{name: _reduction(*where) for name, where in _REDUCTIONS.items()},
    "sum": _sum,
    "product": _product,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "masked_softmax": _masked_softmax,
    "logsigmoid": _logsigmoid,
    "silu": _silu,
    "softplus": _softplus,
    "gelu": _gelu,
    "leaky_relu": lambda graph, step: graph.add("LeakyRelu", step.input(0), alpha=float(step.saved(1))),
    "elu": lambda graph, step: graph.add("Elu", step.input(0), alpha=float(step.saved(1))),
    "hardtanh": _clip,
    "clamp": _clip,
    "rsqrt": _rsqrt,
    "keep_where": lambda graph, step: graph.add(
        "Where", step.saved_array(0), step.input(0), graph.like(0.0, step.first.outputs[0])
    ),
    "where": lambda graph, step: graph.add("Where", step.saved_array(0), step.input(0), step.input(1)),
    "masked_fill": lambda graph, step: graph.add("Where", step.saved_array(0), step.input(1), step.input(0)),
    "reshape": _reshape,
    "expand": _expand,
    "transpose": _transpose,
    "permute": lambda graph, step: graph.transposed(step.input(0), step.saved(0)),
    "cat": _cat,
    "stack": _stack,
    "split": _split,
    "unbind": _unbind,
    "flip": _flip,
    "window": _window,
}
