"""Export to ONNX: a model as a file that ONNX Runtime and others run, for any batch and any time.

The model runs twice, on inputs of different sizes and values, and every op on tensors is noted (`trace`). What is equal in
both runs is constant, sizes that follow those of an input become computations on its shape, and anything else depends on the
input in a way that the file could not: an error then names the op and the line. onnx_ops.py and onnx_layers.py say what
becomes of each op and layer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tinyrnn.interop import onnx_layers, onnx_ops
from tinyrnn.interop.onnx_graph import Graph, import_onnx
from tinyrnn.interop.onnx_trace import Trace, flat, growing_axes, named_inputs, resized, trace
from tinyrnn.nn.module import Module


def export(
    model: Module,
    inputs: Any,
    path: str | os.PathLike[str],
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    kwargs: dict[str, Any] | None = None,
) -> None:
    """Write a model to an ONNX file (operator set 17) that gives the same numbers.

    Parameters
    ----------
    model : Module
        Of recurrent, attention and dense layers, and of a `forward` of one's own over them and over common tensor
        operations. It is exported as in evaluation, and left as it was.
    inputs : tuple
        What it is called with: tensors, None, or tuples of them, as the states of an LSTM. Axes that can have another size
        (batch, time) are found by trying, and are free in the file. They need a size other than 1 here.
    path : path
    input_names, output_names : sequence of str, optional
        One for each tensor, in order; else the names of the parameters of `forward`, and ``output`` or ``output_0``, ...
    kwargs : dict, optional
        What it is called with by name, as ``{"lengths": lengths}``; these tensors are inputs of the file too.

    Raises
    ------
    NotImplementedError
        If an op, or an option of a layer, has no counterpart, or something depends on the inputs in a way that cannot be
        written down (a loop over time steps, a number read with `item()`); with the op and the line.
    ValueError
        If there are more or fewer names than tensors.
    ImportError
        If onnx is not installed.
    """
    onnx = import_onnx()
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    names, tensors = named_inputs(model, args, kwargs or {})
    names = _checked_names("input_names", input_names, names)
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        first = trace(model, args, kwargs or {}, tensors)
        axes = growing_axes(model, args, kwargs or {}, tensors)
        grown = resized(tensors, axes)
        second = trace(model, args, kwargs or {}, grown)
    finally:
        for module, mode in training.items():
            module.training = mode
    graph = Graph(model, names, (first, second), axes)
    _add_steps(graph, first, second)
    outputs = list(zip(flat(first.result), flat(second.result)))
    default = ["output"] if len(outputs) == 1 else [f"output_{number}" for number in range(len(outputs))]
    graph.finish(outputs, _checked_names("output_names", output_names, default))
    onnx.save(graph.checked_model(), os.fspath(path))


def _checked_names(what: str, given: Sequence[str] | None, default: list[str]) -> list[str]:
    if given is None:
        return default
    if len(given) != len(default):
        raise ValueError(f"{what}: expected {len(default)} names, one for each tensor ({', '.join(default)}), got {len(given)}")
    return list(given)


def _add_steps(graph: Graph, first: Trace, second: Trace) -> None:
    """Put what both runs did into the graph."""
    for a, b in zip(first.steps, second.steps):
        if a.name != b.name:
            raise NotImplementedError(_unequal(a.where, f"one run has {a.name} where the other has {b.name}"))
        if len(a.outputs) != len(b.outputs):
            counts = f"{len(a.outputs)} tensors in one run and {len(b.outputs)} in the other"
            raise NotImplementedError(_unequal(a.where, f"{a.name} gives {counts}"))
        step = graph.step(a, b)
        exporter = onnx_layers.EXPORTERS.get(a.name) or onnx_ops.EXPORTERS.get(a.name)
        if exporter is None:
            step.fail(f"the operation {a.name} has no counterpart here")
        made = exporter(graph, step)
        graph.define(a, b, made if isinstance(made, (list, tuple)) else [made])
    if len(first.steps) != len(second.steps):
        longer = max(first, second, key=lambda run: len(run.steps))
        where = longer.steps[min(len(first.steps), len(second.steps))].where
        raise NotImplementedError(_unequal(where, "the number of operations depends on the sizes of the inputs"))


def _unequal(where: str, what: str) -> str:
    fix = "a file runs the same operations always: use a layer over the whole sequence, not a loop"
    return f"export: {what}, at {where}; {fix}"


__all__ = ["export"]
