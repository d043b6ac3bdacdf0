"""grad and backward: what they are asked for is checked here, the walk is the engine's."""

from __future__ import annotations

import weakref
from typing import Any

from tinyrnn import dtypes
from tinyrnn.engine import backward as engine
from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.engine.tape import requires_grad, source_of
from tinyrnn.hooks import register_gradient_hook
from tinyrnn.ops.autocasting import outside
from tinyrnn.ops.transfer import require_one_device
from tinyrnn.size import Size


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    inputs: Any = None,
) -> None:
    """Add the derivatives of `tensors` to ``.grad`` of the leaves they were computed from.

    Parameters
    ----------
    tensors : a tensor or a sequence of tensors.
    grad_tensors : one weight tensor per tensor, of its shape; None for a scalar, which then has weight 1.
    retain_graph : keep what the graph has saved, so that it can be walked again; by default only with `create_graph`.
    create_graph : record the walk, so that the gradients can be differentiated.
    inputs : only these tensors' gradients; by default those of all leaves.

    Raises
    ------
    RuntimeError
        If a tensor does not require a gradient, a weight is missing or of the wrong shape, or the graph has been freed.
    """
    outputs = _as_tuple(tensors)
    weights = _weights(outputs, grad_tensors)
    if inputs is not None:
        inputs = _as_tuple(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        for tensor in inputs:
            _check_wanted(tensor)
    if inputs is None or all(source_of(tensor) is tensor for tensor in inputs):
        outside(engine.backward)(outputs, weights, retain_graph, create_graph, inputs)
    else:
        found = outside(engine.gradients_of)(outputs, inputs, weights, retain_graph, create_graph)
        for tensor, gradient in zip(inputs, found):
            if gradient is not None:
                tensor.grad = gradient if tensor.grad is None else tensor.grad + gradient


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    *,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The derivatives of `outputs` for `inputs`, as a tuple; no ``.grad`` is touched.

    Parameters
    ----------
    outputs, inputs : a tensor or a sequence of tensors; inputs need not be leaves.
    grad_outputs : one weight tensor per output, of its shape; None for a scalar, which then has weight 1.
    retain_graph : keep what the graph has saved, so that it can be walked again; by default only with `create_graph`.
    create_graph : record the walk, so that the gradients can be differentiated.
    only_inputs : True, as in PyTorch, where it does nothing.
    allow_unused : give None for inputs the outputs do not depend on, instead of an error.
    materialize_grads : give zeros for them.

    Raises
    ------
    RuntimeError
        If an output or input does not require a gradient, an input is not used, a weight is missing or of the wrong
        shape, or the graph has been freed.
    """
    if only_inputs is not True:
        raise NotImplementedError(f"grad: only_inputs={only_inputs!r}, expected True; backward() adds to .grad of all leaves")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    outputs, inputs = _as_tuple(outputs), _as_tuple(inputs)
    if not inputs:
        raise ValueError("grad requires non-empty inputs.")
    weights = _weights(outputs, grad_outputs)
    for tensor in inputs:
        _check_wanted(tensor)
    found = outside(engine.gradients_of)(outputs, inputs, weights, retain_graph, create_graph)
    for number, (tensor, gradient) in enumerate(zip(inputs, found)):
        if gradient is None and materialize_grads:
            found[number] = _filled(tensor, 0)
        elif gradient is None and not allow_unused:
            raise RuntimeError(
                f"One of the differentiated Tensors appears to not have been used in the graph: input {number}, shape "
                f"{tensor.array.shape}. Set allow_unused=True if this is the desired behavior."
            )
    return tuple(found)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, TensorBase) else tuple(value)


def _filled(tensor: Any, number: int) -> Any:
    array = tensor.array.copy()
    array[...] = number
    return wrap(array)


def _check_wanted(tensor: Any) -> None:
    if not isinstance(tensor, TensorBase):
        raise TypeError(f"expected a tensor to differentiate for, got {type(tensor).__name__}")
    if not requires_grad(tensor):
        raise RuntimeError(
            f"One of the differentiated Tensors does not require grad: a tensor of shape {tensor.array.shape}; call "
            f"requires_grad_() on it before it is used"
        )


def _weights(outputs: tuple[Any, ...], given: Any) -> list[Any]:
    """A weight for every output: what was given, checked, or 1 for a scalar."""
    if given is None or isinstance(given, TensorBase):
        given = (given,) if isinstance(given, TensorBase) else (None,) * len(outputs)
    if len(given) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(given)} gradients")
    return [_weight(number, output, weight) for number, (output, weight) in enumerate(zip(outputs, given))]


def _weight(number: int, output: Any, weight: Any) -> Any:
    if not isinstance(output, TensorBase):
        raise TypeError(f"element {number} of tensors: expected a tensor, got {type(output).__name__}")
    array = output.array
    if not requires_grad(output):
        raise RuntimeError(
            f"element {number} of tensors does not require grad and does not have a grad_fn: nothing it was computed from "
            f"has requires_grad=True, or it was computed under no_grad()"
        )
    if weight is None:
        if array.size != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, this one has shape {array.shape}; reduce it first, "
                f"as in loss.sum().backward(), or pass gradient=ones_like(output)"
            )
        return _filled(output, 1)
    if not isinstance(weight, TensorBase):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(weight).__name__}")
    require_one_device(output, weight)
    if weight.array.shape != array.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{number}] has a shape of {Size(weight.array.shape)} and output[{number}] has a "
            f"shape of {Size(array.shape)}."
        )
    if weight.array.dtype != array.dtype:
        weight = weight.to(dtypes.of_array(array))  # type: ignore[attr-defined]
    return weight


class _Keep:
    """The hook behind `retain_grad`: writes a copy of the gradient to ``.grad`` of a tensor, if that is still alive."""

    runs_last = True  # it sees what the other hooks made of the gradient

    def __init__(self, tensor: Any) -> None:
        self.tensor = weakref.ref(tensor)

    def __call__(self, gradient: Any) -> None:
        tensor = self.tensor()
        if tensor is not None:
            if not requires_grad(gradient):
                gradient = wrap(gradient.array.copy())
            tensor.grad = gradient if tensor.grad is None else tensor.grad + gradient


def retain_grad(self) -> None:
    """Keep the gradient of a tensor that is not a leaf in its ``.grad``, where leaves have theirs anyway."""
    source = source_of(self)
    if source is None:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if source is not self and not retains_grad(self):
        register_gradient_hook(self, _Keep(self))


def retains_grad(self) -> bool:
    """Whether `retain_grad` was called on this tensor, which is not a leaf."""
    source = source_of(self)
    if source is None or source is self or not source.hooks:
        return False
    return any([isinstance(hook, _Keep) and hook.tensor() is self for _, hook in source.hooks.values()])


def register_hook(self, hook: Any) -> Any:
    """Call ``hook(gradient)`` when the gradient of this tensor is complete; a tensor it returns takes its place.

    Returns a handle whose `remove()` takes the hook away again.
    """
    return register_gradient_hook(self, hook)


def set_requires_grad(self, value: bool) -> None:
    if not isinstance(value, bool):
        raise RuntimeError("requires_grad must be a bool")
    if requires_grad(self) and self.node is not None:
        if not value:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
    elif value and self.array.dtype.kind not in dtypes.FLOATS:
        found = dtypes.of_array(self.array)
        raise RuntimeError(f"only Tensors of floating point dtype can require gradients, this one is {found}")
    else:
        self.tracked = value


def check_gradient(self, value: Any) -> None:
    """Whether `value` may be this tensor's ``.grad``."""
    if value is None:
        return
    if not isinstance(value, TensorBase):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
    if value is self:
        raise RuntimeError("can't assign Variable as its own grad")
    require_one_device(self, value)
    if value.array.shape != self.array.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(value.array.shape)}' to a tensor of size "
            f"'{list(self.array.shape)}'. Please ensure that the gradient and the tensor are the same size"
        )
    if value.array.dtype != self.array.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient of {dtypes.of_array(value.array)} to a tensor of {dtypes.of_array(self.array)}: "
            f"they must have the same dtype"
        )
