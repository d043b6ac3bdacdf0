"""The ONNX graph while it grows: values and their names, constants, and sizes that follow those of the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from tinyrnn.engine.base import TensorBase
from tinyrnn.interop.onnx_trace import Axes, Step, Trace
from tinyrnn.nn.module import Module

OPSET, IR_VERSION = 17, 8  # that every ONNX Runtime of the last years reads
END = 2**63 - 1  # of a slice: to the end


def import_onnx() -> Any:
    """The package onnx; an ImportError that says how to install it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError('export needs onnx; install it with: pip install "tinyrnn[onnx]"') from error
    return onnx


class Pair:
    """A step as both runs did it: every value comes from the first and from the second."""

    def __init__(self, graph: Graph, first: Step, second: Step) -> None:
        self.graph, self.first, self.second = graph, first, second

    def fail(self, message: str) -> NoReturn:
        raise NotImplementedError(f"export: {message}, at {self.first.where}")

    def input(self, number: int) -> str:
        """The name of an input: a tensor, an array or a number."""
        return self.graph.value(self, self.first.inputs[number], self.second.inputs[number])

    def inputs(self) -> list[str]:
        return [self.input(number) for number in range(len(self.first.inputs))]

    def shapes(self, number: int = 0) -> tuple[tuple, tuple]:
        """The shapes of an input in both runs."""
        a, b = self.first.inputs[number], self.second.inputs[number]
        return _shape(a), _shape(b)

    def output_shapes(self, number: int = 0) -> tuple[tuple, tuple]:
        return _shape(self.first.outputs[number]), _shape(self.second.outputs[number])

    def saved(self, number: int) -> Any:
        """Something that the op was called with, which has to be the same in both runs."""
        a, b = self.first.saved[number], self.second.saved[number]
        if a != b:
            self.fail(f"{self.first.name} depends on the inputs: once {a}, once {b}")
        return a

    def saved_array(self, number: int) -> str:
        """A saved array, such as a mask, as a constant."""
        return self.graph.value(self, self.first.saved[number], self.second.saved[number])


def _shape(x: Any) -> tuple:
    return tuple(getattr(x.array if isinstance(x, TensorBase) else x, "shape", ()))


class Graph:
    """Nodes, constants and names. `axes` are the free ones of the inputs."""

    def __init__(self, model: Module, names: Sequence[str], runs: tuple[Trace, Trace], axes: Axes) -> None:
        self.onnx = import_onnx()
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self._count = 0
        self._names: tuple[dict, dict] = ({}, {})  # of the tensors of either run, by identity
        self._parameters = {id(each): name for name, each in [*model.named_parameters(), *model.named_buffers()]}
        for known, run in zip(self._names, runs):
            known.update({id(tensor): name for name, tensor in zip(names, run.tensors)})
        self.inputs = list(zip(names, runs[0].tensors))
        self._free = {(number, axis): group for group, members in enumerate(axes) for number, axis in members}
        self._dims = [f"{names[members[0][0]]}_{members[0][1]}" for members in axes]  # named after where they come first
        self._sizes = {}  # (size in the first run, in the second) -> what group of axes has them
        for group, ((number, axis), *_) in enumerate(axes):
            self._sizes[tuple(run.tensors[number].array.shape[axis] for run in runs)] = (group, names[number], axis)

    def step(self, first: Step, second: Step) -> Pair:
        return Pair(self, first, second)

    def define(self, first: Step, second: Step, names: Sequence[str]) -> None:
        """Say what the outputs of a step are called."""
        for known, step in zip(self._names, (first, second)):
            known.update({id(tensor): name for tensor, name in zip(step.outputs, names)})

    # ---- values ------------------------------------------------------------------------------------------------------

    def value(self, step: Pair, a: Any, b: Any) -> str:
        """The name of a value; one that no step made is a parameter, or constant."""
        known = self._names[0].get(id(a))
        if known is not None and known == self._names[1].get(id(b)):
            return known
        if isinstance(a, TensorBase) and id(a) in self._parameters:
            return self.constant(a.array, self._parameters[id(a)])
        a, b = (np.asarray(each.array if isinstance(each, TensorBase) else each) for each in (a, b))
        if known is not None or a.shape != b.shape or not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            step.fail(f"{step.first.name} takes something computed from the inputs in a way that export does not follow")
        return self.constant(a)

    def constant(self, array: Any, name: str | None = None) -> str:
        """A constant; the same numbers under the same name are kept once."""
        array = np.asarray(array)
        if name is None:
            name = self._new_name("constant")
        self.constants.setdefault(name, array)
        return name

    def integers(self, *numbers: int) -> str:
        return self.constant(np.array(numbers, np.int64), f"integers_{'_'.join(map(str, numbers)).replace('-', 'm')}")

    def like(self, number: float, tensor: Any) -> str:
        """A number in the dtype of a tensor."""
        dtype = tensor.array.dtype
        return self.constant(np.array(number, dtype), f"{dtype}_{number}")

    def _new_name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"

    # ---- nodes -------------------------------------------------------------------------------------------------------

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, whose name comes back."""
        return self.add_several(kind, list(inputs), 1, **attributes)[0]

    def add_several(self, kind: str, inputs: list[str], outputs: int, **attributes: Any) -> list[str]:
        names = [self._new_name(kind.lower()) for _ in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, names, **attributes))
        return names

    def transposed(self, x: str, order: Sequence[int]) -> str:
        return self.add("Transpose", x, perm=list(order))

    def unsqueezed(self, x: str, *axes: int) -> str:
        return self.add("Unsqueeze", x, self.integers(*axes))

    def squeezed(self, x: str, *axes: int) -> str:
        return self.add("Squeeze", x, self.integers(*axes))

    def sliced(self, x: str, start: int, end: int, axis: int, step: int = 1) -> str:
        return self.add("Slice", x, *[self.integers(number) for number in (start, end, axis, step)])

    def masked_softmax(self, scores: str, mask: str, axis: int, like: Any) -> str:
        """Zeros where the mask is False, rows without anything to keep included."""
        lowest = self.like(float(np.finfo(like.array.dtype).min), like)
        weights = self.add("Softmax", self.add("Where", mask, scores, lowest), axis=axis)
        return self.add("Where", mask, weights, self.like(0.0, like))

    # ---- sizes -------------------------------------------------------------------------------------------------------

    def size(self, step: Pair, a: int, b: int) -> str:
        """A size of both runs as a vector of one integer: constant, or that of an input."""
        if a == b:
            return self.integers(a)
        if (a, b) not in self._sizes:
            step.fail(f"{step.first.name} has a size, {a} in one run and {b} in the other, that is none of an input's")
        _, name, axis = self._sizes[a, b]
        return self.add("Gather", self.add("Shape", name), self.integers(axis), axis=0)

    def shape(self, step: Pair, shapes: tuple[tuple, tuple], one_open: bool) -> str:
        """A shape of both runs as a vector; with `one_open` a single size that nothing says may be -1."""
        pairs = list(zip(*shapes))
        unknown = [pair for pair in pairs if pair[0] != pair[1] and pair not in self._sizes]
        if all(a == b for a, b in pairs):
            return self.integers(*shapes[0])
        if one_open and len(unknown) == 1:
            sizes = [self.integers(-1) if pair in unknown else self.size(step, *pair) for pair in pairs]
        else:
            sizes = [self.size(step, *pair) for pair in pairs]
        return sizes[0] if len(sizes) == 1 else self.add("Concat", *sizes, axis=0)

    def dim(self, a: int, b: int) -> int | str | None:
        """How a size is declared."""
        return a if a == b else self._dims[self._sizes[a, b][0]] if (a, b) in self._sizes else None

    # ---- the end -----------------------------------------------------------------------------------------------------

    def finish(self, outputs: Sequence[tuple[Any, Any]], names: Sequence[str]) -> None:
        """Say what comes out, (tensor of the first run, of the second) each."""
        if not outputs:
            raise NotImplementedError("export: the model returned no tensor, expected at least one")
        declared = []
        nothing = Pair(self, Step("the output", (), (), (), "the end of forward"), Step("", (), (), (), ""))
        for name, (a, b) in zip(names, outputs):
            made = self.value(nothing, a, b)
            self.nodes.append(self.onnx.helper.make_node("Identity", [made], [name]))
            dims = [self.dim(*sizes) for sizes in zip(_shape(a), _shape(b))]
            declared.append(self._declared(name, a.array.dtype, dims))
        self._outputs = declared

    def _declared(self, name: str, dtype: np.dtype, dims: Sequence) -> Any:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(dtype)
        return self.onnx.helper.make_tensor_value_info(name, kind, dims)

    def checked_model(self) -> Any:
        """The model, checked by onnx, shapes included."""
        helper = self.onnx.helper
        inputs = []
        for number, (name, tensor) in enumerate(self.inputs):
            sizes = enumerate(tensor.array.shape)
            dims = [self._dims[self._free[number, axis]] if (number, axis) in self._free else size for axis, size in sizes]
            inputs.append(self._declared(name, tensor.array.dtype, dims))
        used = {name for node in self.nodes for name in node.input}
        constants = [
            self.onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
            for name, array in self.constants.items()
            if name in used
        ]
        graph = helper.make_graph(self.nodes, "tinyrnn", inputs, self._outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        self.onnx.checker.check_model(model, full_check=True)
        return model
