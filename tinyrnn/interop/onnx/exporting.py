"""export: a model and example inputs become an ONNX file."""

from __future__ import annotations

import inspect
import itertools
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.grad_modes import no_grad
from tinyrnn.interop.onnx.graph import IR_VERSION, OPSET, Graph, onnx_package
from tinyrnn.interop.onnx.tracing import Call, Place, Trace, Traced, in_package, leaves, mapped, tracing
from tinyrnn.nn.module import Module


class OpenSize(NamedTuple):
    """A size that may differ: its name, the (number of input, axis) that have it, how much larger it is in the other run."""

    name: str
    axes: list[tuple[int, int]]
    extra: int


def export(
    model: Module,
    args: Any,
    f: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_axes: Mapping[str, Any] | None = None,
) -> Any:
    """Write `model`, in evaluation mode, to an ONNX file (opset 17).

    The model is run on the inputs, and what it calls becomes the graph: layers of the library, also within a `forward` of your
    own, and most operations on tensors. Loops, branches and other Python leave only what ran; that an open size decides is an
    error.

    Parameters
    ----------
    model : Module
    args : tensor, or tuple of what `model` is called with; tensors may stand in tuples, as states do
        Example inputs. Their numbers do not matter, but have to be allowed.
    f : path or binary file, optional
        Where to write to.
    kwargs : dict, optional
        Arguments by name, such as ``{"lengths": lengths}``.
    input_names, output_names : list of str, optional
        For the tensors in `args` and `kwargs`, and in the result. By default the names of the parameters of ``model.forward``,
        with a number for each tensor of a tuple; and ``output``, ``output_1``, ...
    dynamic_axes : dict, optional
        Which sizes may differ from those of the example, by input: ``{"x": {0: "batch", 1: "time"}}``, or ``{"x": [0, -2]}``;
        axes with one name are one size. ``{}``: none. By default all with which the model runs when they change: usually
        batch and time.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    NotImplementedError
        If something cannot be expressed; the message names it and the line that called it.
    ValueError
        If names are too few or clash, or `dynamic_axes` names what is not there.
    ImportError
        If onnx is not installed.
    """
    onnx = onnx_package()
    example = Example(model, args if isinstance(args, tuple) else (args,), dict(kwargs or {}), input_names)
    arrays = *example.arrays, *[each.array for each in model.state_dict().values()]
    if not all(isinstance(array, np.ndarray) for array in arrays):
        raise NotImplementedError(
            "export: the model or an input lies on a GPU; export it from main memory, with model.cpu() and inputs.cpu()"
        )
    if any(array.dtype.kind == "V" for array in arrays):
        raise NotImplementedError(
            "export: the model or an input is in bfloat16, which ONNX Runtime computes few operators in; export it in float32, "
            "with model.float()"
        )
    outputs = list(output_names or [])
    for name in (names := example.names + outputs):
        if names.count(name) > 1:
            raise ValueError(f"export: {name!r} names several inputs or outputs, expected names that differ, got {names}")
    before = _State(model)
    try:
        model.eval()
        with no_grad():
            sizes = example.open_sizes() if dynamic_axes is None else example.named_sizes(dynamic_axes)
            graph, results = _traced(example, sizes, outputs)
    finally:
        changed = before.restore()
    if changed:
        raise NotImplementedError(
            f"export: forward changes {changed}, which a file cannot; return it, and take it as an argument"
        )
    proto = _model_proto(graph, example, sizes, results)
    onnx.checker.check_model(proto, full_check=True)
    if f is not None:
        onnx.save_model(proto, f if hasattr(f, "write") else str(f))
    return proto


class _State:
    """Attributes and buffers of all modules, to be put back after the runs."""

    def __init__(self, model: Module) -> None:
        self.model = model
        self.attributes = {module: dict(vars(module)) for module in model.modules()}
        self.buffers = {name: (buffer, buffer.array.copy()) for name, buffer in model.named_buffers()}

    def restore(self) -> str | None:
        """The name of something that had changed, other than `training`; None if nothing had."""
        changed = None
        now = dict(self.model.named_buffers())
        for name, (buffer, array) in self.buffers.items():
            if now.get(name) is not buffer or not np.array_equal(buffer.array, array, equal_nan=array.dtype.kind == "f"):
                changed = f"the buffer {name}"
                buffer.array[...] = array
                owner, _, last = name.rpartition(".")
                self.model.get_submodule(owner)._buffers[last] = buffer
        for path, module in self.model.named_modules():
            before, attributes = self.attributes[module], vars(module)
            for name in {*before, *attributes} - {"training"}:
                if before.get(name) is not attributes.get(name):
                    changed = f"the attribute {path}.{name}" if path else f"the attribute {name}"
            attributes.clear()
            attributes.update(before)
        return changed


class Example:
    """A model and what it is called with; `arrays` are the tensors among it."""

    def __init__(self, model: Module, args: tuple, kwargs: dict, names: Sequence[str] | None) -> None:
        self.model = model
        self.given = (args, kwargs)
        self.arrays = [leaf.array for leaf in leaves(self.given) if isinstance(leaf, TensorBase)]
        if not self.arrays:
            raise TypeError("export: there is no tensor among the arguments, expected at least one example input")
        self.names = self._default_names() if names is None else list(names)
        if len(self.names) != len(self.arrays):
            raise ValueError(
                f"export: got {len(self.names)} input_names, expected {len(self.arrays)}, one for each tensor that is given"
            )

    def _default_names(self) -> list[str]:
        """Those of the parameters of `forward`."""
        args, kwargs = self.given
        names = []
        for name, value in inspect.signature(self.model.forward).bind(*args, **kwargs).arguments.items():
            count = sum(isinstance(leaf, TensorBase) for leaf in leaves(value))
            names += [name] if isinstance(value, TensorBase) else [f"{name}_{k}" for k in range(count)]
        return names

    def run(self, tensors: Sequence[Any]) -> Any:
        """Call the model with other tensors in the place of those that were given."""
        others = iter(tensors)
        args, kwargs = mapped(self.given, lambda x: next(others) if isinstance(x, TensorBase) else x)
        return self.model(*args, **kwargs)

    def changed(self, groups: Iterable[OpenSize], rolled: bool = False) -> list[np.ndarray]:
        """The arrays with some sizes larger: their elements come again; `rolled` also to other places."""
        arrays = [np.roll(array, 1) if rolled else array.copy() for array in self.arrays]
        for size in groups:
            for number, axis in size.axes:
                n = arrays[number].shape[axis]
                arrays[number] = arrays[number].take(np.arange(n + size.extra) % n, axis)
        return [_falling(array) if _falls(original) else array for array, original in zip(arrays, self.arrays)]

    # ---- which sizes are open ----------------------------------------------------------------------------------------

    def named_sizes(self, dynamic_axes: Mapping[str, Any]) -> list[OpenSize]:
        """What the user says."""
        groups: dict[str, dict[tuple[int, int], None]] = {}
        for input, axes in dynamic_axes.items():
            if input not in self.names:
                raise ValueError(f"export: dynamic_axes names {input!r}, expected one of the inputs {', '.join(self.names)}")
            number = self.names.index(input)
            ndim = self.arrays[number].ndim
            for given in axes:
                if not -ndim <= given < ndim:
                    raise ValueError(
                        f"export: dynamic_axes names axis {given} of {input!r}, expected one of its {ndim} dimensions"
                    )
                axis = given % ndim
                name = axes[given] if isinstance(axes, Mapping) else f"{input}_{axis}"
                groups.setdefault(name, {})[number, axis] = None
        return [OpenSize(name, list(axes), 2 + k) for k, (name, axes) in enumerate(groups.items())]

    def open_sizes(self) -> list[OpenSize]:
        """Every axis with which the model runs when it is longer, alone or together with those of other inputs."""
        axes = [(k, axis) for k, array in enumerate(self.arrays) for axis, n in enumerate(array.shape) if n > 0]
        groups = [[axis] for axis in axes if self._runs_with([axis])]
        left = [axis for axis in axes if [axis] not in groups]
        for count in range(len(self.arrays), 1, -1):
            for together in itertools.combinations(left, count):
                inputs = {number for number, _ in together}
                sizes = {self.arrays[number].shape[axis] for number, axis in together}
                if len(inputs) == count and len(sizes) == 1 and set(together) <= set(left) and self._runs_with(together):
                    groups.append(list(together))
                    left = [axis for axis in left if axis not in together]
        names = [f"{self.names[number]}_{axis}" for (number, axis), *_ in groups]
        return [OpenSize(name, group, 2 + k) for k, (name, group) in enumerate(zip(names, groups))]

    def _runs_with(self, axes: Sequence[tuple[int, int]]) -> bool:
        try:
            self.run([wrap(array) for array in self.changed([OpenSize("", list(axes), 2)])])
        except Exception:  # whatever the model, or its author, says against this size
            return False
        return True


def _falls(array: np.ndarray) -> bool:
    """Whether these may be lengths of sequences, longest first."""
    return array.ndim == 1 and array.dtype.kind in "iu" and bool((array[1:] <= array[:-1]).all())


def _falling(array: np.ndarray) -> np.ndarray:
    return np.sort(array)[::-1].copy()


def _traced(example: Example, sizes: list[OpenSize], output_names: list[str]) -> tuple[Graph, list[Traced]]:
    """The graph, and what it returns."""
    changed = example.changed(sizes, rolled=True)
    first = _run(example, changed, changed, None, output_names)[0]

    def run(turned: Place | None = None) -> tuple[Trace, list[Traced]]:
        return _run(example, [array.copy() for array in example.arrays], changed, first.calls, output_names, turned)

    trace, results = run()
    for place in trace.compared:
        if not _is_check(place, run, trace.graph):
            raise NotImplementedError(
                f"export: the comparison of sizes at {place.line} decides what runs, and a graph has no such branch; fix that "
                f"size by dynamic_axes=, or do the same for all sizes"
            )
    return trace.graph, results


def _is_check(place: Place, run: Callable[[Place], Any], graph: Graph) -> bool:
    """Whether the contrary of a comparison leads to the same graph, or to an error that the user's code raises."""
    try:
        return run(place)[0].graph.same_as(graph)
    except Exception as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        return not in_package(frame)


def _run(
    example: Example,
    arrays: list[np.ndarray],
    others: list[np.ndarray],
    calls: list[Call] | None,
    output_names: list[str],
    turned: Place | None = None,
) -> tuple[Trace, list[Traced]]:
    graph = Graph({id(tensor.array): name for name, tensor in example.model.state_dict(keep_vars=True).items()})
    graph.names.update(example.names, output_names)
    trace = Trace(graph, calls, turned)
    inputs = [trace.tensor(array, name, other.shape) for array, name, other in zip(arrays, example.names, others)]

    def emit(g: Graph, out: Any, *tensors: Any) -> list[str]:
        names = output_names or [g.unique(f"output_{k}" if k else "output") for k in range(len(tensors))]
        if len(names) != len(tensors):
            raise ValueError(
                f"export: got {len(names)} output_names, expected {len(tensors)}, one for each tensor that returns"
            )
        return [g("Identity", g.value(x), outputs=[name]) for x, name in zip(tensors, names)]

    with tracing(trace, example.model):
        result = leaves(example.run(inputs))
        tensors = [each for each in result if isinstance(each, TensorBase)]
        if not tensors:
            raise TypeError("export: the model returns no tensor, expected one or several, also within tuples, lists or dicts")
        return trace, trace.run("the result", lambda *each: list(each), emit, tuple(tensors), {})


def _model_proto(graph: Graph, example: Example, sizes: list[OpenSize], results: list[Traced]) -> Any:
    onnx = onnx_package()
    names = {axis: size.name for size in sizes for axis in size.axes}
    # A size of a result is called after the one that changed from and to the same numbers.
    by_change = {}
    for size in sizes:
        number, axis = size.axes[0]
        n = example.arrays[number].shape[axis]
        by_change[n, n + size.extra] = size.name

    def info(name: str, array: np.ndarray, shape: Sequence[Any]) -> Any:
        return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), shape)

    inputs = [
        info(name, array, [names.get((k, axis), n) for axis, n in enumerate(array.shape)])
        for k, (name, array) in enumerate(zip(example.names, example.arrays))
    ]
    outputs = [
        info(each.value, each.array, [by_change.get((int(n), n.other)) if n.source else int(n) for n in each.sizes])
        for each in results
    ]
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in graph.initializers.items()]
    proto = onnx.helper.make_graph(graph.nodes, type(example.model).__name__, inputs, outputs, initializers)
    opset = onnx.helper.make_opsetid("", OPSET)
    return onnx.helper.make_model(proto, opset_imports=[opset], ir_version=IR_VERSION, producer_name="tinyrnn")
