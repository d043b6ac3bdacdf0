"""Function: an op of one's own, forward and backward written by hand, as in ``torch.autograd.Function``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyrnn import _lazy
from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.base import TensorBase, version_of, wrap
from tinyrnn.engine.tape import SavedOutput, record, requires_grad
from tinyrnn.grad_modes import no_grad
from tinyrnn.ops.broadcasting import sum_to
from tinyrnn.ops.casting import cast

__all__ = ["Function", "FunctionCtx", "once_differentiable"]

__getattr__ = _lazy.answering(__name__)


class FunctionCtx:
    """What the forward of a `Function` hands to its backward: tensors by `save_for_backward`, the rest as attributes.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For every argument of forward, whether somebody wants its gradient.
    saved_tensors : tuple of Tensor
        In backward: what was saved, with its history.
    """

    needs_input_grad: tuple[bool, ...] = ()
    saved_tensors: tuple[Any, ...] = ()
    _to_save: tuple[Any, ...] = ()
    _constant_outputs: tuple[Any, ...] = ()
    _materialize = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs, outputs or other tensors (or None) for backward, which raises if they have been written to since."""
        for number, tensor in enumerate(tensors):
            if tensor is not None and not isinstance(tensor, TensorBase):
                raise TypeError(
                    f"save_for_backward can only save tensors, but argument {number} is of type {type(tensor).__name__}; "
                    f"keep other things as attributes of ctx"
                )
        self._to_save = tensors

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Say that no gradient flows through these outputs."""
        self._constant_outputs = outputs

    def mark_dirty(self, *inputs: Any) -> None:
        """Not in the subset: a Function may not return an input that it has written to."""
        raise NotImplementedError("mark_dirty: a Function cannot work in place here; return a new tensor, e.g. input.clone()")

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (the default) or None for an output that nothing was computed from."""
        self._materialize = value


class Function:
    """Base class of ops written by hand; they are called by ``MyFunction.apply(*args)``.

    Subclasses define two static methods: ``forward(ctx, *args)`` computes the output, a tensor or a tuple of tensors and
    other values, with nothing recorded; ``backward(ctx, *gradients)`` gets one gradient per output and returns one per
    argument of forward, None for arguments that are no tensors. With a static ``setup_context(ctx, inputs, output)``,
    forward has no ctx. Backward can itself be differentiated if it uses differentiable ops.
    """

    def __init__(self) -> None:
        raise RuntimeError(f"{type(self).__name__}: a Function is not instantiated; call {type(self).__name__}.apply(...)")

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what backward needs, for a forward without ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the inputs from those of the outputs; every subclass defines it."""
        raise NotImplementedError("You must implement the backward function for your custom autograd.Function.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward, and write the op onto the tape if a gradient is wanted.

        Raises
        ------
        TypeError
            For arguments by keyword, unless `setup_context` is defined.
        """
        separate = cls.setup_context is not Function.setup_context
        if separate:
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
        elif kwargs:
            raise TypeError(f"{cls.__name__}.apply() takes no keyword arguments unless the class defines setup_context")
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple([isinstance(x, TensorBase) and requires_grad(x) for x in args])
        with no_grad():
            output = cls.forward(*args) if separate else cls.forward(ctx, *args)
            if separate:
                cls.setup_context(ctx, args, output)
        return _recorded(cls, ctx, args, output)


def _recorded(function: type[Function], ctx: FunctionCtx, args: tuple[Any, ...], output: Any) -> Any:
    """What forward returned, its tensors with their place on the tape."""
    outputs = list(output) if isinstance(output, tuple) else [output]
    places = [index for index, value in enumerate(outputs) if isinstance(value, TensorBase)]
    if any(isinstance(x, TensorBase) for x in args) and places:
        computed = [outputs[place] for place in places]
        op = _Backward(function, ctx, args, outputs, places)
        tensors = record(op, args, tuple([tensor.array for tensor in computed]), _saved(ctx, args, computed))
        for place, before, tensor in zip(places, computed, tensors, strict=True):
            if any(before is each for each in ctx._constant_outputs) or before.array.dtype.kind not in FLOATS:
                tensor.node, tensor.output = None, 0
            if _shares_memory(before, ctx, args):  # one memory, one counter of writes
                tensor.version = version_of(before)
            outputs[place] = tensor
    ctx._to_save = ctx._constant_outputs = ()
    return tuple(outputs) if isinstance(output, tuple) else outputs[0]


def _shares_memory(output: Any, ctx: FunctionCtx, args: tuple[Any, ...]) -> bool:
    """Whether an output is an input, or a view that was not saved (what was saved counts the writes to itself)."""
    if any(output is x for x in args):
        return True
    return output.window is not None and not any(output is x for x in ctx._to_save)


def _saved(ctx: FunctionCtx, args: tuple[Any, ...], computed: list[Any]) -> tuple[Any, ...]:
    """What was saved, outputs as the arrays by which `record` knows them."""
    own = [tensor for tensor in computed if not any(tensor is x for x in args)]
    return tuple([x.array if any(x is y for y in own) else x for x in ctx._to_save])


class _Backward:
    """The backward function of one call, as the engine wants it: arrays, or tensors under ``create_graph``."""

    def __init__(self, function: type[Function], ctx: FunctionCtx, args: tuple, outputs: list, places: list[int]) -> None:
        self.__name__ = function.__name__
        self.function = function
        self.ctx = ctx
        self.inputs = [(x.array.shape, x.array.dtype) if isinstance(x, TensorBase) else None for x in args]
        self.outputs = [(outputs[i].array.shape, outputs[i].array.dtype) for i in places]
        self.places = places
        self.count = len(outputs)

    def __call__(self, node: Any, *values: Any) -> tuple[Any, ...]:
        arrived = values[: len(self.outputs)]  # the rest is saved: `node` has it with its history
        with_graph = any(isinstance(g, TensorBase) for g in arrived)
        gradients: list[Any] = [None] * self.count
        for place, gradient, kind in zip(self.places, arrived, self.outputs, strict=True):
            gradients[place] = self._given(gradient, kind)
        self.ctx.saved_tensors = tuple([_unpacked(node, item) for item in node.saved])
        try:
            returned = self.function.backward(self.ctx, *gradients)
        finally:
            self.ctx.saved_tensors = ()
        results = self._checked(returned if isinstance(returned, tuple) else (returned,))
        # without a graph views, not the arrays themselves: the engine may write to what backward has made, but not to those
        return tuple([g if g is None or with_graph else g.array[...] for g in results])

    def _given(self, gradient: Any, kind: tuple) -> Any:
        if gradient is None:
            return wrap(np.zeros(*kind)) if self.ctx._materialize else None
        return gradient if isinstance(gradient, TensorBase) else wrap(gradient)

    def _checked(self, results: tuple[Any, ...]) -> list[Any]:
        """One gradient per input, of its shape and dtype."""
        count = len(self.inputs)
        if len(results) < count or any(extra is not None for extra in results[count:]):
            raise RuntimeError(
                f"function {self.__name__} returned an incorrect number of gradients (expected {count}, got {len(results)}): "
                f"backward returns one per argument of forward, None for those that need none"
            )
        return [self._fitted(index, gradient) for index, gradient in enumerate(results[:count])]

    def _fitted(self, index: int, gradient: Any) -> Any:
        if gradient is None:
            return None
        where = f"function {self.__name__} returned a gradient"
        kind = self.inputs[index]
        if kind is None:
            raise RuntimeError(f"{where} different from None at position {index}, but that argument of forward is no tensor")
        if not isinstance(gradient, TensorBase):
            raise TypeError(f"{where} of type {type(gradient).__name__} at position {index}, expected a tensor or None")
        shape, dtype = kind
        if gradient.array.shape != shape:
            try:
                fits = np.broadcast_shapes(gradient.array.shape, shape) == gradient.array.shape
            except ValueError:
                fits = False
            if not fits:
                raise RuntimeError(f"{where} of shape {gradient.array.shape} at position {index}, expected {shape}")
            gradient = sum_to(gradient, shape)
        return gradient if gradient.array.dtype == dtype or dtype.kind not in FLOATS else cast(gradient, dtype)


def _unpacked(node: Any, item: Any) -> Any:
    """A saved tensor with its history; the engine has checked that it was not written to."""
    if not isinstance(item, SavedOutput):
        return item
    output: Any = item
    tensor = wrap(output.array)
    tensor.version, tensor.node, tensor.output = output.version, node, output.index
    return tensor


def once_differentiable(fn: Callable) -> Callable:
    """Decorator for a backward that is not made of differentiable ops: a gradient through its result is an error."""

    @functools.wraps(fn)
    def backward(ctx: Any, *gradients: Any) -> Any:
        with no_grad():
            results = fn(ctx, *gradients)
        inputs = tuple([g for g in (*gradients, *ctx.saved_tensors) if isinstance(g, TensorBase)])
        if not any(requires_grad(g) for g in inputs):
            return results
        listed = results if isinstance(results, tuple) else (results,)
        return tuple([g if g is None else record(_refuse, inputs, g.array) for g in listed])

    return backward


def _refuse(node: Any, gradient: Any) -> Any:
    raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


class _VariableMeta(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, TensorBase)


class Variable(metaclass=_VariableMeta):
    """A tensor, under the name it had before PyTorch 0.4: ``Variable(data)`` shares the memory of the tensor `data`."""

    def __new__(cls, data: Any, requires_grad: bool = False) -> Any:
        if not isinstance(data, TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        variable: Any = wrap(data.array)
        variable.version = version_of(data)
        variable.requires_grad = requires_grad
        return variable
