"""Windows onto a tensor (views of a rectangular part), cutting into several of them, and joining: cat and stack."""

from __future__ import annotations

import itertools
import operator
from functools import partial

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import record
from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.transfer import require_one_device
from tinyrnn.ops.views import attach_view, record_view


def wrap_dim(dim, ndim):
    """The dimension `dim`, which may count from the end, as a number from 0; a 0-d tensor is taken to have one."""
    limit = ndim or 1
    number = operator.index(dim)
    if not -limit <= number < limit:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {number})")
    return number + limit if number < 0 else number


def wrap_dims(dims, ndim):
    """One dimension or several, as a tuple of numbers from 0."""
    if hasattr(dims, "__index__"):
        dims = (dims,)
    return tuple([wrap_dim(dim, ndim) for dim in dims])


def window(x, key):
    """The view ``x[key]`` for a tuple `key` of ints, slices, None and Ellipsis that is known to be in range."""
    data = array(x)
    seen = data[key if Ellipsis in key else (*key, Ellipsis)]  # with it NumPy gives a view, never a number
    return record_view(window_backward, x, seen, partial(window, key=key), (key, data.shape))


def window_backward(node, g, key, shape):
    return place(g, key, shape)


def place(x, key, shape):
    """Zeros of `shape` with `x` in the window `key`: the adjoint of `window`."""
    data = array(x)
    whole = np.zeros_like(data, shape=shape, order="C")
    whole[key] = data
    return record(place_backward, (x,), whole, (key,))


def place_backward(node, g, key):
    return window(g, key)


def _range_key(dim, start, stop):
    return (slice(None),) * dim + (slice(start, stop),)


def narrow(input, dim, start, length):
    """The view of `length` elements from `start` on along dimension `dim`."""
    shape = array(input).shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim = wrap_dim(dim, len(shape))
    start, length = operator.index(array(start)), operator.index(length)
    if not -shape[dim] <= start <= shape[dim]:
        raise IndexError(f"start out of range (expected to be in range of [{-shape[dim]}, {shape[dim]}], but got {start})")
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative, got {length}")
    start += shape[dim] if start < 0 else 0
    if start + length > shape[dim]:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({shape[dim]}).")
    return window(input, _range_key(dim, start, start + length))


def select(input, dim, index):
    """The view at `index` along dimension `dim`, which goes away."""
    shape = array(input).shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = wrap_dim(dim, len(shape))
    index = operator.index(index)
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(shape)} at dimension {dim}")
    return window(input, (slice(None),) * dim + (index,))


def plain_window(x, index):
    """``x[index]`` if that is a window for certain, else None: ints in range, slices without a step, None and an ellipsis."""
    key = index if type(index) is tuple else (index,)
    shape = array(x).shape
    dim, dots = 0, False
    for position, part in enumerate(key):
        if part is None:
            continue
        if part is Ellipsis and not dots:
            rest = len([other for other in key[position + 1 :] if other is not None])
            dim, dots = max(dim, len(shape) - rest), True
            continue
        if dim == len(shape):
            return None
        if type(part) is int:
            if not -shape[dim] <= part < shape[dim]:
                return None
        elif type(part) is not slice or part.step is not None or not (_is_bound(part.start) and _is_bound(part.stop)):
            return None
        dim += 1
    return window(x, key)


def _is_bound(value):
    return value is None or type(value) is int


# ---- cutting: one node with several outputs, so that a loop over the pieces takes linear time ----


def _pieces(op, input, keys, saved):
    """The windows `keys` as the outputs of one node, each a view of `input`."""
    x = array(input)
    pieces = record(op, (input,), tuple([x[(*key, Ellipsis)] for key in keys]), saved)
    if isinstance(input, TensorBase):
        for piece, key in zip(pieces, keys):
            attach_view(piece, input, partial(window, key=key))
    return pieces


def unbind(input, dim=0):
    """The views along dimension `dim`, which goes away, as a tuple."""
    shape = array(input).shape
    if not shape:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    dim = wrap_dim(dim, len(shape))
    keys = [(slice(None),) * dim + (index,) for index in range(shape[dim])]
    return _pieces(unbind_backward, input, keys, (dim,))


def unbind_backward(node, *arguments):
    *gradients, dim = arguments
    return stack(_with_zeros(gradients, node.shapes), dim)


def _with_zeros(gradients, shapes):
    """The gradients of several outputs, with zeros for those that nobody used."""
    given = array(next(g for g in gradients if g is not None))
    return [np.zeros_like(given, shape=s) if g is None else g for g, s in zip(gradients, shapes)]


def split(tensor, split_size_or_sections, dim=0):
    """Views of pieces along `dim`: each of the given size (the last may be smaller) or of the listed sizes."""
    shape = array(tensor).shape
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = wrap_dim(dim, len(shape))
    size = shape[dim]
    if isinstance(split_size_or_sections, (list, tuple)):
        sections = [operator.index(section) for section in split_size_or_sections]
        if sum(sections) != size or min(sections, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's size at dimension "
                f"{dim}), but got split_sizes={sections}"
            )
    else:
        step = operator.index(split_size_or_sections)
        if step < 0 or (step == 0 and size):
            raise RuntimeError(f"split expects split_size to be positive for a dimension of size {size}, got {step}")
        sections = [min(step, size - start) for start in range(0, size, step or 1)] or [0]
    ends = _ends(sections)
    keys = [_range_key(dim, start, stop) for start, stop in zip(ends, ends[1:])]
    return _pieces(split_backward, tensor, keys, (dim,))


def _ends(sizes):
    """Where pieces of these sizes begin and end, one after the other."""
    return list(itertools.accumulate(sizes, initial=0))


def split_backward(node, *arguments):
    *gradients, dim = arguments
    return cat(_with_zeros(gradients, node.shapes), dim)


def chunk(input, chunks, dim=0):
    """Views of at most `chunks` pieces of equal size along `dim`; the last may be smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    shape = array(input).shape
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    size = shape[wrap_dim(dim, len(shape))]
    return split(input, -(-size // chunks), dim) if size else split(input, [0] * chunks, dim)


# ---- joining ----


def _of_one_dtype(op, tensors):
    """The tensors, cast to one dtype if they are not of one, and their arrays."""
    if isinstance(tensors, TensorBase) or not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{op}(): argument 'tensors' must be a tuple or list of tensors, got {type(tensors).__name__}")
    if not tensors:
        raise RuntimeError(f"{op} expects a non-empty list of tensors")
    arrays = [array(x) for x in tensors]
    first = arrays[0]
    for x in arrays:
        if type(x) is not type(first) or x.dtype is not first.dtype:
            require_one_device(*tensors)
            dtype = dtypes.result_type(*tensors).numpy
            tensors = [cast(tensor, dtype) for tensor in tensors]
            return tuple(tensors), [array(x) for x in tensors]
    return tuple(tensors), arrays


def cat(tensors, dim=0):
    """The tensors one after the other along dimension `dim`; their other sizes must be equal.

    As in PyTorch, tensors of shape (0,) are skipped whatever the dimensions of the others.
    """
    tensors, arrays = _of_one_dtype("cat", tensors)
    shapes = [x.shape for x in arrays]
    if () in shapes:
        raise RuntimeError(f"zero-dimensional tensor (at position {shapes.index(())}) cannot be concatenated")
    if (0,) in shapes and shapes.count((0,)) < len(shapes):
        kept = [i for i, shape in enumerate(shapes) if shape != (0,)]
        tensors, arrays, shapes = tuple([tensors[i] for i in kept]), [arrays[i] for i in kept], [shapes[i] for i in kept]
    first = shapes[0]
    dim = wrap_dim(dim, len(first))
    for number, shape in enumerate(shapes):
        if shape != first:
            _check_joins(shape, first, dim, number)
    ends = _ends([shape[dim] for shape in shapes])
    return record(cat_backward, tensors, np.concatenate(arrays, dim), (dim, ends))


def _check_joins(shape, first, dim, number):
    if len(shape) != len(first):
        raise RuntimeError(f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}")
    wrong = [i for i in range(len(first)) if i != dim and shape[i] != first[i]]
    if wrong:
        raise RuntimeError(
            f"Sizes of tensors must match except in dimension {dim}. Expected size {first[wrong[0]]} but got size "
            f"{shape[wrong[0]]} for tensor number {number} in the list."
        )


def cat_backward(node, g, dim, ends):
    ranges = enumerate(zip(ends, ends[1:]))
    return tuple([window(g, _range_key(dim, a, b)) if node.needs(i) else None for i, (a, b) in ranges])


concat = concatenate = cat


def stack(tensors, dim=0):
    """Tensors of one shape along a new dimension `dim`."""
    tensors, arrays = _of_one_dtype("stack", tensors)
    first = arrays[0].shape
    for number, x in enumerate(arrays):
        if x.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and {list(x.shape)} at entry "
                f"{number}"
            )
    dim = wrap_dim(dim, len(first) + 1)
    layer = (slice(None),) * dim + (None, Ellipsis)
    joined = np.concatenate([x[layer] for x in arrays], dim)  # as np.stack does it, which is slow
    return record(stack_backward, tensors, joined, (dim,))


def stack_backward(node, g, dim):
    return unbind(g, dim)


def hstack(tensors):
    """Tensors one beside the other: along dimension 1, vectors along 0."""
    return cat(tensors, 0 if array(tensors[0]).ndim == 1 else 1)


def vstack(tensors):
    """Tensors one below the other, along dimension 0; a vector is a row."""
    return cat([tensor[None] if array(tensor).ndim == 1 else tensor for tensor in tensors], 0)
