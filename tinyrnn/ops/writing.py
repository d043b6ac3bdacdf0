"""In-place writes: ``x.add_(y)``, ``x[...] = y``, ``x.zero_()``, also through views.

A write is computed out of place like any other op, then copied into the memory of the tensor; the tensor takes
the place of the result on the tape, and the version counter tells every node that saved the old numbers. If the tensor
is a view, the write belongs to the tensor that owns the memory: its new node splits the gradient between the window and
the rest, and the engine leads the history of all views through it.
"""

from __future__ import annotations

import numpy as np

from tinyrnn import dtypes
from tinyrnn.devices import of_array
from tinyrnn.engine.base import TensorBase, View, version_of, wrap
from tinyrnn.engine.modes import recording
from tinyrnn.engine.tape import adopt, record, requires_grad
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.casting import array, cast, convert_number
from tinyrnn.ops.indexing import parse, put
from tinyrnn.ops.shaping import expand, squeeze, t, transpose, unsqueeze
from tinyrnn.ops.slicing import window
from tinyrnn.ops.transfer import transfer

_TYPE_NAMES = {
    "bool": "Bool", "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long",
    "float16": "Half", "bfloat16": "BFloat16", "float32": "Float", "float64": "Double",
}  # fmt: skip


# ---- the mechanism ----


def inplace(tensor, compute, others=(), keeps_old=True):
    """Replace the numbers of `tensor` by those of ``compute(tensor)``, on the tape too.

    Parameters
    ----------
    compute : gets a tensor with the old numbers and history, returns one of the same shape.
    others : the other operands, of which gradients may be wanted.
    keeps_old : whether the backward of `compute` uses the old numbers: always (True), never (False), or for the
        gradients of the `others` (None). If so they are copied first. Should an op use them all the same, backward
        finds them overwritten and raises.

    Raises
    ------
    RuntimeError
        If a leaf that requires a gradient, or a view of one, is written to while recording; if several elements of
        `tensor` are one in memory; or if the result has another shape or cannot be converted to the dtype of `tensor`.
    """
    check_writable(tensor)
    old = tensor
    if recording() and (requires_grad(tensor) or _any_requires_grad(others)):
        keeps_old = _any_requires_grad(others) if keeps_old is None else keeps_old
        old = wrap(tensor.array.copy(order="K") if keeps_old else tensor.array)
        adopt(old, tensor)
        if not keeps_old:
            old.version = version_of(tensor)
    new = compute(old)
    if array(new).shape != tensor.array.shape:
        raise RuntimeError(
            f"output with shape {list(tensor.array.shape)} doesn't match the broadcast shape {list(array(new).shape)}: "
            f"an in-place operation cannot enlarge its tensor"
        )
    _write(tensor, cast(new, _castable(array(new), tensor.array)))
    return tensor


def assign(tensor, value):
    """Replace the numbers of `tensor` by `value`: a number, or a tensor or array that broadcasts to its shape."""
    check_writable(tensor)
    value = _values(tensor, value, tensor.array.shape)
    if recording() and tensor.window is None and (requires_grad(tensor) or _any_requires_grad((value,))):
        value = record(assign_backward, (tensor, value), np.broadcast_to(array(value), tensor.array.shape))
    _write(tensor, value)
    return tensor


def assign_backward(node, g):
    zeros = np.zeros_like(array(g)) if node.needs(0) else None
    return wrap(zeros) if isinstance(g, TensorBase) and zeros is not None else zeros, g


def check_writable(tensor):
    """Raise if the tensor may not be written to in place."""
    data = tensor.array
    overlaps = 0 in data.strides and data.size > 1 and any([step == 0 and n > 1 for step, n in zip(data.strides, data.shape)])
    if overlaps or not getattr(data.flags, "writeable", True):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location, "
            "or the memory is read-only. Please clone() the tensor before performing the operation."
        )
    if not recording():
        return
    view = tensor.window
    if tensor.tracked:
        what = "a leaf Variable that requires grad"
    elif view is not None and view.base.tracked:
        what = "a view of a leaf Variable that requires grad"
    else:
        return
    raise RuntimeError(f"{what} is being used in an in-place operation. Wrap the write in `with no_grad():`")


def _write(tensor, new):
    """Put the array or tensor `new` into the memory of `tensor`, and its history into the tape."""
    view = tensor.window
    if recording() and view is None:
        if isinstance(new, TensorBase):
            adopt(tensor, new)
    elif recording() and (requires_grad(view.base) or _any_requires_grad((new,))):
        if view.replay is None:
            raise RuntimeError(
                "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Make the "
                "view outside of no_grad(), or write inside of it."
            )
        written = record(write_backward, (view.base, new), view.base.array, (view.replay, _layout(view.base.array)))
        adopt(view.base, written)
    tensor.array[...] = array(new)
    version = version_of(tensor)
    version.count += 1


def write_backward(node, g, replay, layout):
    """Of a write through a view: the window's part of the gradient is that of the value, the rest that of the base."""
    outside = without_window(g, replay, layout) if node.needs(0) else None
    return outside, replay(g) if node.needs(1) else None


def without_window(x, replay, layout):
    """A copy of `x` with zeros in the window ``replay(x)``."""
    copied = array(x).transpose(layout).copy(order="C").transpose(tuple([layout.index(d) for d in range(len(layout))]))
    seen = replay(copied)
    seen[...] = 0
    if seen.size and not np.may_share_memory(seen, copied):
        raise RuntimeError("the window of an in-place write cannot be found again in its gradient: clone() before writing")
    return record(without_window_backward, (x,), copied, (replay, layout))


def without_window_backward(node, g, replay, layout):
    return without_window(g, replay, layout)


def _layout(data):
    """The dimensions from the slowest to the fastest in memory: a copy in this order permits the same views."""
    if data.flags.c_contiguous:
        return tuple(range(data.ndim))
    return tuple(sorted(range(data.ndim), key=lambda dim: -abs(data.strides[dim])))


def _any_requires_grad(values):
    for value in values:
        if isinstance(value, TensorBase) and requires_grad(value):
            return True
    return False


def _castable(new, data):
    source, target = dtypes.of_array(new), dtypes.of_array(data)
    if source.category > target.category:
        raise RuntimeError(
            f"result type {_TYPE_NAMES[source.name]} can't be cast to the desired output type {_TYPE_NAMES[target.name]}"
        )
    return data.dtype


def _values(tensor, value, shape):
    """`value` in the dtype of `tensor`, a tensor or array of `shape`; of a number a 0-d array."""
    dtype = tensor.array.dtype
    if not hasattr(array(value), "shape"):
        if not isinstance(value, (bool, int, float)):
            raise TypeError(f"can't assign a {type(value).__name__} to a tensor; convert it with tinyrnn.tensor(...)")
        number = convert_number(value, dtype)
        return number if type(tensor.array) is np.ndarray else np.asarray(number, like=tensor.array)
    extra = array(value).ndim - len(shape)
    if extra > 0 and array(value).shape[:extra] == (1,) * extra:
        value = window(value, (0,) * extra)
    return expand(cast(transfer(value, of_array(tensor.array)), dtype), shape)


# ---- the methods ----


def copy_(input, src, non_blocking=False):
    """Copy the elements of `src`, which broadcasts and is converted, into `input`."""
    if not isinstance(src, TensorBase):
        raise TypeError(f"copy_(): argument 'other' must be Tensor, not {type(src).__name__}")
    if _directly(input, src, lambda y, x: y.__setitem__(..., x)):
        return input
    return assign(input, src)


def fill_(input, value):
    """Set every element to `value`, a number or a 0-d tensor."""
    if getattr(array(value), "ndim", 0):
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {array(value).ndim} dimensions.")
    if _directly(input, value, _fill):
        return input
    return assign(input, value)


def _fill(y, value):
    if not hasattr(value, "dtype"):
        value = convert_number(value, y.dtype).item()  # which refuses what the dtype has no place for
    backend(y).fill_into(y, value)


def zero_(input):
    """Set every element to zero."""
    return fill_(input, 0)


def setitem(input, index, value):
    """``input[index] = value``: any index that can be read, and a value that broadcasts to what it reads.

    Where an index tensor names an element twice, the last value stays, and gets the gradient.
    """
    basic, key, distinct = parse(index, input.array.shape)
    if key is None:
        assign(window(input, basic), value)
        return
    target = window(input, basic) if basic else input
    check_writable(target)
    value = _values(target, value, target.array[key].shape)
    if recording():
        inplace(target, lambda old: put(old, key, value, distinct), (value,), keeps_old=False)
        return
    target.array[key] = array(value)
    version = version_of(target)
    version.count += 1


def addcmul_(input, tensor1, tensor2, *, value=1):
    """``input += value * tensor1 * tensor2``."""
    return inplace(input, lambda old: old + tensor1 * tensor2 * value, (tensor1, tensor2), keeps_old=False)


def addcdiv_(input, tensor1, tensor2, *, value=1):
    """``input += value * tensor1 / tensor2``."""
    return inplace(input, lambda old: old + tensor1 / tensor2 * value, (tensor1, tensor2), keeps_old=False)


def lerp_(input, end, weight):
    """``input += weight * (end - input)``."""
    is_number = type(weight) in (int, float) and isinstance(end, TensorBase)
    if is_number and _directly(input, end, lambda y, x: backend(y).lerp_into(y, x, weight)):
        return input
    return inplace(input, lambda old: old.lerp(end, weight), (end, weight), keeps_old=False)


def _directly(input, other, write):
    """Let ``write(y, x)`` change the array of `input`, and say so, if `other` fits as it is and nothing is to be recorded."""
    y, x = input.array, array(other)
    if type(x) is type(y):
        fits = x.dtype is y.dtype and x.shape == y.shape
    else:
        fits = (type(x) is float or type(x) is int) and y.itemsize > 2  # beside 16 bits some ops round numbers
    view = input.window
    if not fits or y.dtype.kind not in dtypes.FLOATS:
        return False
    if recording() and _any_requires_grad((input, other, None if view is None else view.base)):
        return False
    check_writable(input)
    write(y, x)
    version = version_of(input)
    version.count += 1
    return True


def add_(input, other, *, alpha=1):
    """`add`, written into the tensor itself, which is returned."""
    if type(alpha) in (int, float) and _directly(input, other, lambda y, x: backend(y).add_into(y, x, alpha)):
        return input
    return inplace(input, lambda old: old.add(other, alpha=alpha), (other,), keeps_old=False)


def sub_(input, other, *, alpha=1):
    """`sub`, written into the tensor itself, which is returned."""
    if type(alpha) in (int, float) and _directly(input, other, lambda y, x: backend(y).add_into(y, x, -alpha)):
        return input
    return inplace(input, lambda old: old.sub(other, alpha=alpha), (other,), keeps_old=False)


def mul_(input, other):
    """`mul`, written into the tensor itself, which is returned."""
    if _directly(input, other, lambda y, x: backend(y).mul_into(y, x)):
        return input
    return inplace(input, lambda old: old.mul(other), (other,), keeps_old=None)


def div_(input, other, *, rounding_mode=None):
    """`div`, written into the tensor itself, which is returned."""
    if rounding_mode is None and _directly(input, other, lambda y, x: backend(y).div_into(y, x)):
        return input
    return inplace(input, lambda old: old.div(other, rounding_mode=rounding_mode), (other,), keeps_old=None)


subtract_, multiply_ = sub_, mul_
divide_ = true_divide_ = div_


def clamp_(input, min=None, max=None):
    """`clamp`, written into the tensor itself, which is returned."""
    bounds = [type(bound) for bound in (min, max) if bound is not None]
    are_numbers = bounds and all([kind in (int, float) for kind in bounds])
    if are_numbers and _directly(input, 0, lambda y, x: backend(y).clamp_into(y, min, max)):
        return input
    return inplace(input, lambda old: old.clamp(min, max), (min, max))


clip_ = clamp_


def _in_place(name, keeps_old=True):
    """The in-place twin of the method `name` of tensors."""

    def write(input, *args, **kwargs):
        others = (*args, *kwargs.values())
        return inplace(input, lambda old: getattr(old, name)(*args, **kwargs), others, keeps_old)

    write.__name__ = write.__qualname__ = f"{name}_"
    write.__doc__ = f"`{name}`, written into the tensor itself, which is returned."
    return write


# `keeps_old` is False for those whose gradient needs no old numbers or only the new ones, None if the operand's does.
pow_ = _in_place("pow")
floor_divide_ = _in_place("floor_divide", keeps_old=False)
remainder_ = _in_place("remainder", keeps_old=None)
neg_ = negative_ = _in_place("neg", keeps_old=False)
floor_ = _in_place("floor", keeps_old=False)
ceil_ = _in_place("ceil", keeps_old=False)
round_ = _in_place("round", keeps_old=False)
trunc_ = _in_place("trunc", keeps_old=False)
bitwise_and_ = _in_place("bitwise_and", keeps_old=False)
bitwise_or_ = _in_place("bitwise_or", keeps_old=False)
bitwise_xor_ = _in_place("bitwise_xor", keeps_old=False)
logical_not_ = _in_place("logical_not", keeps_old=False)
reciprocal_ = _in_place("reciprocal", keeps_old=False)
rsqrt_ = _in_place("rsqrt", keeps_old=False)
abs_ = absolute_ = _in_place("abs")
exp_ = _in_place("exp", keeps_old=False)
log_ = _in_place("log")
sqrt_ = _in_place("sqrt", keeps_old=False)
sigmoid_ = _in_place("sigmoid", keeps_old=False)
tanh_ = _in_place("tanh", keeps_old=False)
relu_ = _in_place("relu")
clamp_min_ = _in_place("clamp_min")
clamp_max_ = _in_place("clamp_max")
nan_to_num_ = _in_place("nan_to_num")
square_ = _in_place("square")
tril_ = _in_place("tril", keeps_old=False)
triu_ = _in_place("triu", keeps_old=False)
masked_fill_ = _in_place("masked_fill", keeps_old=False)
scatter_ = _in_place("scatter", keeps_old=False)
scatter_add_ = _in_place("scatter_add", keeps_old=False)
index_add_ = _in_place("index_add", keeps_old=False)
index_copy_ = _in_place("index_copy", keeps_old=False)
index_fill_ = _in_place("index_fill", keeps_old=False)


# ---- another shape for the same tensor -------------------------------------------------------------------------------


def _reshaping(name, function):
    """``x.<name>_(...)``: `x` becomes ``function(x, ...)``, which has its memory."""

    def reshape_(self, *args, **kwargs):
        base = self if self.window is None else self.window.base
        if recording() and (requires_grad(self) or requires_grad(base)):
            raise NotImplementedError(f"{name}_ of a tensor that requires grad is not supported; write x = x.{name}(...)")
        self.array = function(self.array, *args, **kwargs)
        if self.window is not None:
            self.window = View(base, None, self.window.stamp)
        return self

    reshape_.__name__ = reshape_.__qualname__ = f"{name}_"
    reshape_.__doc__ = f"`{name}` in place: the tensor has another shape afterwards. Not while it requires a gradient."
    return reshape_


unsqueeze_ = _reshaping("unsqueeze", unsqueeze)
squeeze_ = _reshaping("squeeze", squeeze)
transpose_ = _reshaping("transpose", transpose)
t_ = _reshaping("t", t)
