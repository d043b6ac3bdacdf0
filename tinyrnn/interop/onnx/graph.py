"""Graph: an ONNX graph as it grows, node by node; Dim: a size that the file leaves open."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tinyrnn.engine.base import TensorBase

# Versions that every ONNX Runtime of the last years reads; the first opset with LayerNormalization.
OPSET, IR_VERSION = 17, 8


def onnx_package() -> Any:
    """The package onnx; an ImportError with what to install if it is missing."""
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise ImportError('exporting to ONNX needs onnx: pip install "tinyrnn[onnx]"') from error


class Dim(int):
    """A size of an input, or what is computed from one. While a model is traced, shapes are made of these.

    `source` says how the graph finds it: ("Shape", value, axis), or the name of an operator and its two operands, which are
    sources or numbers. None: it is the same for all inputs, a constant. `other` is the number in the other run.
    """

    source: tuple | None
    other: int

    def __new__(cls, number: int, source: tuple | None = None, other: int | None = None) -> Dim:
        dim = super().__new__(cls, number)
        dim.source, dim.other = source, number if other is None else other
        return dim


def _arithmetic(method: str, operator: str, swapped: bool = False) -> Any:
    def compute(self: Dim, other: Any) -> Any:
        number = getattr(int, method)(self, other)
        if number is NotImplemented:
            return number
        operands = (_source(other), _source(self)) if swapped else (_source(self), _source(other))
        if operator == "Div":  # ONNX rounds towards zero
            operands = (("Sub", operands[0], ("Mod", *operands)), operands[1])
        open_size = tuple in map(type, (_source(self), _source(other)))
        in_other_run = getattr(int, method)(self.other, getattr(other, "other", other))
        return Dim(number, (operator, *operands) if open_size else None, in_other_run)

    return compute


def _source(number: int) -> tuple | int:
    return getattr(number, "source", None) or int(number)


for _name, _operator in (("add", "Add"), ("sub", "Sub"), ("mul", "Mul"), ("floordiv", "Div"), ("mod", "Mod")):
    setattr(Dim, f"__{_name}__", _arithmetic(f"__{_name}__", _operator))
    setattr(Dim, f"__r{_name}__", _arithmetic(f"__r{_name}__", _operator, swapped=True))


class Graph:
    """Nodes and constants. ``graph("MatMul", a, b)`` adds a node to values named a and b, and returns the name of its result.

    Parameters
    ----------
    parameters : names of the arrays of a model, by ``id``
    outer : the graph in whose body (of a Scan) this one stands; its values can be used here
    """

    def __init__(self, parameters: dict[int, str], outer: Graph | None = None) -> None:
        self.parameters = parameters
        self.nodes: list[Any] = []
        self.names: set[str] = outer.names if outer else set()
        self.initializers: dict[str, np.ndarray] = outer.initializers if outer else {}
        self.constants: dict[tuple, str] = outer.constants if outer else {}
        self._sizes: dict[tuple, str] = {}

    def body(self) -> Graph:
        """A graph for the body of a node of this one."""
        return Graph(self.parameters, self)

    def unique(self, stem: str) -> str:
        """`stem`, with a number if it is taken."""
        name, number = stem, 1
        while name in self.names:
            name, number = f"{stem}_{number}", number + 1
        self.names.add(name)
        return name

    def __call__(self, operator: str, *inputs: str, outputs: int | list[str] = 1, **attributes: Any) -> Any:
        names = [self.unique(operator.lower()) for _ in range(outputs)] if isinstance(outputs, int) else outputs
        given = {name: value for name, value in attributes.items() if value is not None}
        self.nodes.append(onnx_package().helper.make_node(operator, list(inputs), names, name=names[0], **given))
        return names[0] if len(names) == 1 else tuple(names)

    def same_as(self, other: Graph) -> bool:
        return (self.nodes, self.constants) == (other.nodes, other.constants)

    # ---- values ------------------------------------------------------------------------------------------------------

    def value(self, x: Any, dtype: np.dtype | None = None) -> str:
        """The name of the value `x`: of a traced tensor, another tensor, an array, a size or a number; cast to `dtype`."""
        if hasattr(x, "value"):
            _check_is_in_graph(x.value)
            return x.value if dtype is None else self.cast(x.value, x.array.dtype, dtype)
        if isinstance(x, Dim) and x.source:
            scalar = self("Squeeze", self.size(x))
            return scalar if dtype is None else self.cast(scalar, np.dtype(np.int64), dtype)
        if isinstance(x, TensorBase):
            return self.constant(x.array if dtype is None else x.array.astype(dtype, copy=False))
        return self.constant(np.asarray(int(x) if isinstance(x, Dim) else x, dtype))

    def constant(self, array: Any, like: Any = None) -> str:
        """The name of an initializer with these numbers, called after a parameter: that itself, or one that it is made of."""
        array = np.asarray(array)
        key = (id(array),) if id(array) in self.parameters else (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            stem = self.parameters.get(id(array if like is None else like), "constant")
            name = self.constants[key] = self.unique(stem)
            self.initializers[name] = array
        return self.constants[key]

    def ints(self, *numbers: int) -> str:
        """A constant vector of integers: axes, starts."""
        return self.constant(np.array(numbers, np.int64))

    def cast(self, value: str, old: np.dtype, new: np.dtype) -> str:
        """The value in another dtype."""
        if np.dtype(new).kind == "V":
            raise NotImplementedError("ONNX Runtime computes few operators in bfloat16; leave the conversion to it out")
        return value if old == new else self("Cast", value, to=onnx_package().helper.np_dtype_to_tensor_dtype(np.dtype(new)))

    # ---- sizes -------------------------------------------------------------------------------------------------------

    def size(self, dim: int) -> str:
        """A size as a vector of one element."""
        return self._size(_source(dim))

    def _size(self, source: tuple | int) -> str:
        if isinstance(source, int):
            return self.ints(source)
        if source not in self._sizes:
            operator, *operands = source
            if operator == "Shape":
                value, axis = operands
                _check_is_in_graph(value)
                self._sizes[source] = self("Shape", value, start=axis, end=axis + 1)
            else:
                self._sizes[source] = self(operator, *map(self._size, operands))
        return self._sizes[source]

    def shape(self, sizes: Any) -> str:
        """Sizes as a vector, such as Reshape takes it."""
        if all(isinstance(_source(dim), int) for dim in sizes):
            return self.ints(*sizes)
        return self("Concat", *map(self.size, sizes), axis=0)


def _check_is_in_graph(value: str) -> None:
    if not value:
        raise NotImplementedError("the rows of a PackedSequence exist for recurrent layers and pad_packed_sequence alone")
