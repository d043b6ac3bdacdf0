"""What a model does, op by op: noted while it runs, for the export to ONNX."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.engine.tape import observers
from tinyrnn.grad_modes import enable_grad
from tinyrnn.interop.onnx_layers import name_of_layer
from tinyrnn.nn.module import Module

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Step(NamedTuple):
    """One op, or one call of a layer that is exported whole.

    name : of the op, or of the layer's class.
    inputs : tensors, arrays and numbers; of a layer (the layer, its arguments by name).
    outputs : tensors. saved : what the op keeps for backward, which says how it was called.
    where : the user's line.
    """

    name: str
    inputs: tuple
    outputs: tuple
    saved: tuple
    where: str


class Trace(NamedTuple):
    """All steps of one run; `tensors` are its inputs, `result` what the model returned."""

    steps: list[Step]
    tensors: list[Any]
    result: Any


def flat(values: Any) -> list[Any]:
    """The tensors in nested tuples, lists and dicts, in order."""
    if isinstance(values, TensorBase):
        return [values]
    if isinstance(values, dict):
        values = list(values.values())
    return [each for value in values for each in flat(value)] if isinstance(values, (tuple, list)) else []


def named_inputs(model: Module, args: tuple, kwargs: dict[str, Any]) -> tuple[list[str], list[Any]]:
    """A name for each tensor that the model is called with, from the parameters of its `forward`; and the tensors."""
    bound = inspect.signature(model.forward).bind(*args, **kwargs).arguments
    names, tensors = [], []
    for name, value in bound.items():
        found = flat(value)
        names += [name] if len(found) == 1 else [f"{name}_{number}" for number in range(len(found))]
        tensors += found
    return names, tensors


def trace(model: Module, args: tuple, kwargs: dict[str, Any], tensors: Sequence[Any]) -> Trace:
    """Run the model on `tensors` in place of those in its arguments, and note what it does."""
    fed = [_leaf(each) for each in tensors]
    steps: list[Step] = []
    with _noting(steps), enable_grad():
        result = _call(model, args, kwargs, fed)
    return Trace(steps, fed, result)


def _leaf(tensor: Any) -> Any:
    """The same numbers as a tensor of their own, on the tape if they are floating-point: so writes to them are ops too."""
    leaf = wrap(tensor.array.copy())
    return leaf.requires_grad_() if leaf.is_floating_point() else leaf


def _call(model: Module, args: tuple, kwargs: dict[str, Any], tensors: Sequence[Any]) -> Any:
    rest = iter(tensors)

    def filled(value: Any) -> Any:
        if isinstance(value, TensorBase):
            return next(rest)
        return type(value)(filled(each) for each in value) if type(value) in (tuple, list) else value

    bound = inspect.signature(model.forward).bind(*args, **kwargs)
    for name, value in bound.arguments.items():
        bound.arguments[name] = filled(value)
    return model(*bound.args, **bound.kwargs)


@contextmanager
def _noting(steps: list[Step]) -> Iterator[None]:
    """Have every op noted, and the calls of layers that are exported whole in place of the ops inside them."""
    original = Module.__call__
    inside_layer = False

    def note_op(op: Any, inputs: tuple, outputs: tuple, saved: tuple) -> None:
        if not inside_layer:
            steps.append(Step(op.__name__.removesuffix("_backward"), inputs, outputs, saved, _where()))

    def call(layer: Module, *args: Any, **kwargs: Any) -> Any:
        nonlocal inside_layer
        name = name_of_layer(layer)
        if inside_layer or name is None:
            return original(layer, *args, **kwargs)
        inside_layer = True
        try:
            output = original(layer, *args, **kwargs)
        finally:
            inside_layer = False
        bound = inspect.signature(layer.forward).bind(*args, **kwargs)
        bound.apply_defaults()
        steps.append(Step(name, (layer, bound.arguments), tuple(flat(output)), (), _where()))
        return output

    observers.append(note_op)
    Module.__call__ = call  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Module.__call__ = original  # type: ignore[method-assign]
        observers.remove(note_op)


def _where() -> str:
    frame: Any = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# ---- which axes are free ---------------------------------------------------------------------------------------------

Axes = list[list[tuple[int, int]]]
"""Groups of (number of the input, axis) that have one size, which may be any."""


def growing_axes(model: Module, args: tuple, kwargs: dict[str, Any], tensors: Sequence[Any]) -> Axes:
    """Try which axes the model takes one longer: each alone, and else several of one size together."""

    def grows(axes: list[tuple[int, int]]) -> bool:
        try:
            with enable_grad():
                _call(model, args, kwargs, [_leaf(each) for each in resized(tensors, [axes])])
        except Exception:  # of any kind: the model does not take these sizes
            return False
        return True

    sizes: dict[int, list[tuple[int, int]]] = {}
    for number, tensor in enumerate(tensors):
        for axis, size in enumerate(tensor.array.shape):
            if size > 1:
                sizes.setdefault(size, []).append((number, axis))
    groups: Axes = []
    for axes in sizes.values():
        rest = axes
        for count in (1, *range(len(axes), 1, -1)):  # those that grow alone, then as many as possible together
            for together in combinations(axes, count):
                if set(together) <= set(rest) and grows(list(together)):
                    groups.append(list(together))
                    rest = [axis for axis in rest if axis not in together]
    return groups


def resized(tensors: Sequence[Any], groups: Axes) -> list[Any]:
    """Tensors of other sizes along the groups of axes, every group its own, and of other numbers."""
    arrays = [tensor.array for tensor in tensors]
    taken = {size for array in arrays for size in array.shape}
    for group in groups:
        number, axis = group[0]
        size = arrays[number].shape[axis] + 1
        while size in taken:
            size += 1
        taken.add(size)
        for number, axis in group:
            array = arrays[number]
            arrays[number] = array.take(np.arange(1, size + 1) % array.shape[axis], axis)
    random = np.random.default_rng(0)
    for number, array in enumerate(arrays):
        if array.dtype.kind == "f":
            arrays[number] = (array + 0.1 * random.standard_normal(array.shape)).astype(array.dtype)
    return [wrap(array) for array in arrays]


__all__ = ["Axes", "Step", "Trace", "flat", "growing_axes", "named_inputs", "resized", "trace"]
