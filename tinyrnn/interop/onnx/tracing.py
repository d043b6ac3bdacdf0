"""Tracing: a model runs, and every op that it calls on its inputs becomes nodes of a graph.

It runs twice, on inputs of other sizes and other numbers first. What is a size, what a constant, and what only looks like one
(a loop over time written out, a number read out of a tensor) shows in the difference.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinyrnn
from tinyrnn import conversion, nn
from tinyrnn._tensor import Tensor
from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.interop.onnx.graph import Dim, Graph
from tinyrnn.interop.onnx.layers import emit_layer, emitted_methods
from tinyrnn.interop.onnx.table import OPERATIONS
from tinyrnn.size import Size

_PACKAGE = str(Path(tinyrnn.__file__).parent)


class Call(NamedTuple):
    """An op or a layer that was called: where, with which constants (None for what is traced); the shapes of its results."""

    name: str
    where: str
    constants: list[Any]
    shapes: list[tuple[int, ...]]


class Place(NamedTuple):
    """A line of the user's code, and the instruction within it."""

    line: str
    instruction: int


class Trace:
    """One run of a model.

    Parameters
    ----------
    graph : Graph
        Gets the nodes.
    other : list of Call, optional
        Of the run before, on other sizes.
    turned : Place, optional
        Of a comparison of sizes that stay open, which once answers the contrary.
    """

    def __init__(self, graph: Graph, other: list[Call] | None = None, turned: Place | None = None) -> None:
        self.graph = graph
        self.turned = turned
        self.compared: dict[Place, None] = {}  # where the user's code compares sizes that stay open
        self.calls: list[Call] = []
        self.arrays: list[np.ndarray] = []  # of all traced tensors
        self.other = other

    def tensor(self, array: Any, value: str, other_shape: Iterable[int] | None = None) -> Traced:
        """A traced tensor; sizes that differ from `other_shape` stay open."""
        tensor = Traced.__new__(Traced)
        TensorBase.__init__(tensor, array)
        tensor.trace, tensor.value = self, value
        shape = array.shape if other_shape is None else other_shape
        ragged = getattr(value, "open_axis", None)
        sources = [
            None if n == m and axis != ragged else ("Shape", str(value), axis)
            for axis, (n, m) in enumerate(zip(array.shape, shape))
        ]
        tensor.sizes = Size([Dim(*each) for each in zip(array.shape, sources, shape)])
        self.arrays.append(array)
        return tensor

    def check_alone(self, tensor: Any) -> None:
        """Refuse to write over memory that other tensors of the graph see too."""
        others = [array for array in self.arrays if array is not tensor.array]
        if any(np.may_share_memory(tensor.array, other) for other in others):
            raise NotImplementedError(
                "it writes over memory that a view sees too, which a graph does not have; write to a clone()"
            )

    def run(self, name: str, function: Callable, emit: Callable | None, args: tuple, kwargs: dict) -> Any:
        """Call `function`, and let `emit` add the nodes that do the same."""
        if emit is None:
            raise NotImplementedError(f"{name}, called at {_where()}, cannot be exported to ONNX")
        given = (args, kwargs)
        plain_args, plain_kwargs = mapped(given, _untraced)
        result = function(*plain_args, **plain_kwargs)
        constants = list(map(_constant, leaves(given)))  # now: what writes over its input changes its value
        try:
            values = emit(self.graph, result, *args, **kwargs)
        except NotImplementedError as error:
            raise NotImplementedError(f"{name}, called at {_where()}: {error}") from None
        tensors = [leaf for leaf in leaves(result) if isinstance(leaf, TensorBase)]
        call = Call(name, _where(), constants, [each.array.shape for each in tensors])
        shapes = call.shapes if self.other is None else self._compared(call)
        self.calls.append(call)
        names, others = iter([values] if isinstance(values, str) else values), iter(shapes)
        return mapped(
            result, lambda x: self.tensor(x.array, next(names), next(others)) if isinstance(x, TensorBase) else x
        )  # fmt: skip

    def _compared(self, call: Call) -> list[tuple[int, ...]]:
        """The shapes of the same call in the other run; an error if what should be the same there is not."""
        assert self.other is not None
        number = len(self.calls)
        other = self.other[number] if number < len(self.other) else None
        if other is None or (other.name, other.where) != (call.name, call.where):
            raise NotImplementedError(
                f"{call.name}, called at {call.where}: inputs of other sizes or numbers lead to other operations, which a "
                f"graph cannot express; is there a loop over a size? Fix that size by dynamic_axes=, or use a layer"
            )
        for constant, its_other in zip(call.constants, other.constants):
            if not _same(constant, its_other):
                raise NotImplementedError(
                    f"{call.name}, called at {call.where}, is given {_described(constant)} that depends on the inputs, but "
                    f"by nothing that was seen: call x.f(...), tinyrnn.f(...) or nn.functional.f(...); take sizes from x.shape"
                )
        if [len(shape) for shape in call.shapes] != [len(shape) for shape in other.shapes]:
            raise NotImplementedError(
                f"{call.name}, called at {call.where}, gives results of shapes {call.shapes}, but {other.shapes} for other "
                f"inputs: how many there are, and their dimensions, may not depend on sizes; fix a size by dynamic_axes="
            )
        return other.shapes


# ---- what goes in and out of a call ----------------------------------------------------------------------------------


def mapped(x: Any, change: Callable) -> Any:
    """`x` with every leaf of its tuples, lists, dicts and slices changed."""
    if isinstance(x, Size):
        return Size([mapped(each, change) for each in x])
    if isinstance(x, tuple):
        items = [mapped(each, change) for each in x]
        return type(x)(*items) if hasattr(x, "_fields") else tuple(items)
    if isinstance(x, list):
        return [mapped(each, change) for each in x]
    if isinstance(x, dict):
        return {key: mapped(each, change) for key, each in x.items()}
    if isinstance(x, slice):
        return slice(*[mapped(each, change) for each in (x.start, x.stop, x.step)])
    return change(x)


def leaves(x: Any) -> list[Any]:
    """What is in the tuples, lists, dicts and slices of `x`."""
    if isinstance(x, slice):
        return [x.start, x.stop, x.step]
    if isinstance(x, dict):
        x = list(x.values())
    return [leaf for each in x for leaf in leaves(each)] if isinstance(x, (tuple, list)) else [x]


def _untraced(x: Any) -> Any:
    if isinstance(x, Traced):
        return wrap(x.array)
    return int(x) if isinstance(x, Dim) else x


def _constant(x: Any) -> Any:
    """What a call is given, if it may not differ from run to run."""
    if isinstance(x, Traced) or (isinstance(x, Dim) and x.source):
        return None
    if isinstance(x, TensorBase):
        return x.array
    return int(x) if isinstance(x, Dim) else x


def _same(x: Any, y: Any) -> bool:
    if x is None or x is y:
        return True
    if isinstance(x, (np.ndarray, np.generic)) or isinstance(y, (np.ndarray, np.generic)):
        return np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind == "f")
    return type(x) is type(y) and (x == y or x != x) if isinstance(x, (int, float, str)) else True


def _described(constant: Any) -> str:
    return f"a tensor of shape {constant.shape}" if isinstance(constant, np.ndarray) else f"the number {constant!r}"


def _where() -> str:
    """The user's line that is running."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and in_package(frame):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# ---- tensors that are traced -----------------------------------------------------------------------------------------


class Traced(Tensor):
    """A tensor that knows its value in a graph. Every operation on it is handed to its trace."""

    trace: Trace
    value: str
    sizes: Size

    @property
    def shape(self) -> Size:
        return self.sizes

    data = property(lambda self: self)

    def size(self, dim: int | None = None) -> Any:
        return self.sizes if dim is None else self.sizes[dim]

    def numel(self) -> int:
        return functools.reduce(lambda total, n: total * n, self.sizes, Dim(1))

    nelement = numel

    def __len__(self) -> int:
        size = self.sizes[0] if self.sizes else len(wrap(self.array))
        if isinstance(size, Dim) and size.source and not in_package(sys._getframe(1)):
            raise NotImplementedError(
                f"len() at {_where()} is of a size that stays open, and gives a plain number; use x.shape[0]"
            )
        return int(size)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.unbind(0))

    def detach(self) -> Traced:
        return self

    cpu = detach

    def contiguous(self, memory_format: Any = None) -> Traced:
        return self

    def clone(self, *, memory_format: Any = None) -> Traced:
        copy = self.trace.tensor(self.array.copy(), self.value)
        copy.sizes = self.sizes
        return copy


# What a traced tensor answers like any other: all of it independent of the numbers.
_KEPT = {
    "__init__", "__getattr__", "__hash__", "__repr__", "__format__", "__copy__", "__deepcopy__", "dim", "element_size",
    "is_floating_point", "is_contiguous", "requires_grad_",
}  # fmt: skip


def _hand_over(name: str, function: Callable) -> Callable:
    """`function` for calls that may have something traced among their arguments."""
    emit = OPERATIONS.get(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        traces = [x.trace for x in leaves((args, kwargs)) if isinstance(x, Traced)]
        if not traces and not any(isinstance(x, Dim) for x in leaves((args, kwargs))):
            return function(*args, **kwargs)
        trace = traces[0] if traces else _running[-1]
        return trace.run(name, function, emit, args, kwargs)

    return call


_METHODS: dict[str, Callable] = {}


def _hand_over_methods() -> None:
    for name, member in vars(Tensor).items():
        function = getattr(member, "fget", member)
        if name in vars(Traced) or name in _KEPT or not callable(function):
            continue
        if function is member:
            _METHODS[name] = _hand_over(name, function)
            setattr(Traced, name, _METHODS[name])
        elif function in OPERATIONS:
            setattr(Traced, name, property(_hand_over(name, function)))


_hand_over_methods()


_running: list[Trace] = []

# ---- branches on sizes -----------------------------------------------------------------------------------------------


def _watched(compare: Callable) -> Callable:
    """A comparison of sizes, which its trace is told of if the user's code makes it."""

    def answer(*sizes: Any) -> bool:
        dims = [x for x in sizes if isinstance(x, Dim)]
        result = compare(*[int(x) if isinstance(x, Dim) else x for x in sizes])
        one_size = len({(int(dim), dim.other) for dim in dims}) < len(dims)  # as far as both runs tell
        caller = sys._getframe(1)
        if one_size or not _running or not any(dim.source for dim in dims) or in_package(caller):
            return result
        trace, place = _running[-1], Place(_where(), caller.f_lasti)
        trace.compared[place] = None
        if place != trace.turned:
            return result
        trace.turned = None  # once: there may be a loop until it answers so
        return not result

    return answer


Dim.__bool__ = _watched(operator.truth)  # type: ignore[method-assign]
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Dim, f"__{_name}__", _watched(getattr(operator, _name)))


def _guarded(name: str) -> Callable:
    """An operation that gives a plain number, of which a branch would not be seen: refused for sizes that stay open."""
    plain = getattr(int, f"__{name}__")

    def compute(*sizes: Any) -> Any:
        if any(isinstance(x, Dim) and x.source for x in sizes) and not in_package(sys._getframe(1)):
            raise NotImplementedError(
                f"the operation {name!r} at {_where()} on a size that stays open gives a plain number; use + - * // %"
            )
        return plain(*[int(x) if isinstance(x, Dim) else x for x in sizes])

    return compute


for _name in ("and", "or", "xor", "lshift", "rshift", "truediv", "pow", "divmod"):
    for _side in ("", "r"):
        setattr(Dim, f"__{_side}{_name}__", _guarded(f"{_side}{_name}"))
for _name in ("neg", "abs"):
    setattr(Dim, f"__{_name}__", _guarded(_name))


def in_package(frame: Any) -> bool:
    """Whether it is our code that runs there."""
    return frame.f_code.co_filename.startswith(_PACKAGE)


# ---- while a model is traced -----------------------------------------------------------------------------------------

_NEUTRAL = (conversion.is_tensor, conversion.is_floating_point, conversion.is_complex, conversion.numel)


@contextlib.contextmanager
def tracing(trace: Trace, model: nn.Module) -> Iterator[None]:
    """Within it, what `model` calls on traced tensors goes into the graph of `trace`.

    Functions are exchanged in `tinyrnn`, in `nn.functional`, and where the classes of the model import them by name.
    """
    namespaces = [vars(tinyrnn), vars(nn.functional), vars(nn.utils.rnn)]
    namespaces += [vars(sys.modules[name]) for name in {type(module).__module__ for module in model.modules()}]
    public = {id(f): f for names in (tinyrnn, nn.functional, nn.utils.rnn) for f in map(vars(names).get, names.__all__)}
    changed = []
    for namespace in namespaces:
        for name, function in list(namespace.items()):
            ours = id(function) in public or (callable(function) and _hashable(function) and function in OPERATIONS)
            if ours and callable(function) and not isinstance(function, type) and function not in _NEUTRAL:
                changed.append((namespace, name, function))
                namespace[name] = _hand_over(name, function)
    methods: list[tuple] = [(cls, name, _of_layers(trace, cls, name, table)) for cls, name, table in emitted_methods()]
    methods += [(Tensor, *each) for each in _METHODS.items()]  # of a parameter on the left: its operator is asked first
    own_methods = [(cls, name, vars(cls)[name]) for cls, name, _ in methods]
    for each in methods:
        setattr(*each)
    _running.append(trace)
    try:
        yield
    finally:
        _running.pop()
        for each in own_methods:
            setattr(*each)
        for namespace, name, function in changed:
            namespace[name] = function


def _of_layers(trace: Trace, cls: type, method: str, table: dict) -> Callable:
    """A method of layers that are exported as a whole."""
    function = vars(cls)[method]

    @functools.wraps(function)
    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(x, Traced) for x in leaves((args, kwargs))):
            return function(layer, *args, **kwargs)
        name = ("" if method == "forward" else f"{method} of ") + f"the layer {type(layer).__name__}"
        emit = functools.partial(emit_layer, layer, table)
        return trace.run(name, functools.partial(function, layer), emit, args, kwargs)

    return call


def _hashable(x: Any) -> bool:
    return type(x).__hash__ is not None
