"""The shape of a tensor and the order of its dimensions; the elements stay what they are.

Views share memory wherever PyTorch's do. Cutting into windows and joining is in slicing.py; repeating, flipping and
padding have their own files.
"""

from __future__ import annotations

import math
import operator
from functools import partial

import numpy as np

from tinyrnn.engine.tape import record
from tinyrnn.memory_formats import contiguous_format, order_of
from tinyrnn.ops.broadcasting import broadcast_shape, expand_to
from tinyrnn.ops.casting import array
from tinyrnn.ops.slicing import wrap_dim, wrap_dims
from tinyrnn.ops.views import record_view

_MOST_DIMENSIONS = 64


def as_sizes(op, sizes, named=None):
    """Sizes given one by one, as one tuple, or by name, as a tuple of ints."""
    if named is not None:
        sizes = named
    elif len(sizes) == 1 and not hasattr(sizes[0], "__index__"):
        sizes = sizes[0]
    elif len(sizes) == 1 and getattr(array(sizes[0]), "ndim", 0) == 1:
        sizes = array(sizes[0]).tolist()
    try:
        if hasattr(sizes, "__index__"):
            return (operator.index(sizes),)
        return tuple([operator.index(size) for size in sizes])
    except TypeError:
        raise TypeError(f"{op}: expected sizes as integers or as one tuple of integers, got {sizes!r}") from None


def _infer(shape, size):
    """`shape` with a -1 replaced by what `size` elements leave for it."""
    negative = [n for n in shape if n < 0]
    if not negative:
        if math.prod(shape) != size:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
        return shape
    if negative != [-1]:
        if min(negative) < -1:
            raise RuntimeError(f"invalid shape dimension {min(negative)} in shape {list(shape)}")
        raise RuntimeError(f"only one dimension can be inferred, got shape {list(shape)}")
    known = math.prod([n for n in shape if n >= 0])
    if known == 0 and size == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 "
            f"can be any value and is ambiguous"
        )
    if known == 0 or size % known:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return tuple([size // known if n == -1 else n for n in shape])


def _plain_view(x, sizes):
    """A contiguous array in another shape, if `sizes`, ints or one tuple of them, are as they should be; else None."""
    if type(x) is np.ndarray and x.flags.c_contiguous and x.size:
        try:
            plain = sizes[0] if isinstance(sizes[0], tuple) else sizes
            return x.reshape(plain) if min(plain) >= -1 else None
        except (TypeError, ValueError, IndexError):  # the usual way says what is wrong
            pass
    return None


def _reshaped(x, shape):
    """The array `x` in another shape, and whether that is a view."""
    result = x.reshape(shape)
    return result, bool(x.flags.c_contiguous or x.size == 0 or np.may_share_memory(result, x))


def reshape(input, *sizes, shape=None):
    """The same elements, in the same order, in another shape; a view where the memory layout allows.

    Parameters
    ----------
    shape : sizes one by one or as a tuple; one of them may be -1 and is inferred.

    Raises
    ------
    RuntimeError
        If the shape does not have as many elements as `input`.
    """
    x = array(input)
    result = _plain_view(x, shape or sizes)
    if result is not None:
        return _shape_view(input, result)
    result, is_view = _reshaped(x, _infer(as_sizes("reshape", sizes, shape), x.size))
    if is_view:
        return _shape_view(input, result)
    return record(reshape_backward, (input,), result, (x.shape,))


def reshape_backward(node, g, shape):
    return reshape(g, shape)


def _shape_view(input, result):
    """Record `result`, a view of `input` with other sizes."""
    return record_view(reshape_backward, input, result, partial(reshape, shape=result.shape), (array(input).shape,))


def view(input, *sizes, shape=None):
    """Like `reshape`, but always a view.

    Raises
    ------
    RuntimeError
        If the elements do not lie in memory in a way that permits it.
    """
    x = array(input)
    result = _plain_view(x, shape or sizes)
    if result is not None:
        return _shape_view(input, result)
    result, is_view = _reshaped(x, _infer(as_sizes("view", sizes, shape), x.size))
    if not is_view:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return _shape_view(input, result)


def view_as(input, other):
    """`input` viewed in the shape of `other`."""
    return view(input, array(other).shape)


def at_least_1d(x):
    """`x`, a 0-d one with one dimension."""
    return reshape(x, (1,)) if array(x).ndim == 0 else x


def reshape_as(input, other):
    """`input` reshaped to the shape of `other`."""
    return reshape(input, array(other).shape)


def flatten(input, start_dim=0, end_dim=-1):
    """Merge the dimensions from `start_dim` to `end_dim`, both included, into one; a 0-d tensor becomes (1,)."""
    shape = array(input).shape
    first, last = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if first > last:
        raise RuntimeError(f"flatten() has invalid args: start_dim ({start_dim}) cannot come after end_dim ({end_dim})")
    return reshape(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def ravel(input):
    """`input` in one dimension."""
    return reshape(input, (-1,))


def unflatten(input, dim, sizes):
    """Split dimension `dim` into several of the given `sizes`, one of which may be -1."""
    shape = array(input).shape
    dim = wrap_dim(dim, len(shape))
    sizes = as_sizes("unflatten", (sizes,))
    try:
        sizes = _infer(sizes, shape[dim])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]}) "
            f"in the input tensor"
        ) from None
    return view(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


# ---- order of the dimensions ----


def permute(input, *sizes, dims=None):
    """A view with the dimensions in another order: dimension i of the result is dimension ``dims[i]`` of `input`."""
    x = array(input)
    order = as_sizes("permute", sizes, dims)
    if len(order) != x.ndim:
        raise RuntimeError(
            f"permute: number of dimensions in the tensor input does not match the length of the desired ordering of "
            f"dimensions i.e. input.dim() = {x.ndim} is not equal to len(dims) = {len(order)}"
        )
    order = tuple([wrap_dim(dim, len(order)) for dim in order])
    if len(set(order)) != len(order):
        raise RuntimeError(f"permute(): duplicate dims are not allowed, got {list(order)}")
    return record_view(permute_backward, input, x.transpose(order), partial(permute, dims=order), (order,))


def permute_backward(node, g, order):
    return permute(g, tuple([order.index(dim) for dim in range(len(order))]))


def transpose(input, dim0, dim1):
    """A view with dimensions `dim0` and `dim1` swapped."""
    x = array(input)
    dim0, dim1 = wrap_dim(dim0, x.ndim), wrap_dim(dim1, x.ndim)
    swapped = (x.T if x.ndim == 2 and dim0 != dim1 else x.swapaxes(dim0, dim1)) if x.ndim else x[...]
    return record_view(transpose_backward, input, swapped, partial(transpose, dim0=dim0, dim1=dim1), (dim0, dim1))


def transpose_backward(node, g, dim0, dim1):
    return transpose(g, dim0, dim1)


def swapaxes(input, axis0, axis1):
    """`transpose` under NumPy's name."""
    return transpose(input, axis0, axis1)


def swapdims(input, dim0, dim1):
    """`transpose` under another name."""
    return transpose(input, dim0, dim1)


def t(input):
    """The transposed matrix; a tensor of fewer dimensions as it is."""
    ndim = array(input).ndim
    if ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return reverse_dims(input)


def reverse_dims(input):
    """``x.T``: the dimensions in reverse order."""
    ndim = array(input).ndim
    return transpose(input, 0, 1) if ndim == 2 else permute(input, tuple(range(ndim))[::-1])


def matrix_transpose(input):
    """``x.mT``: the last two dimensions swapped."""
    ndim = array(input).ndim
    if ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {ndim}-D tensor.")
    return transpose(input, -2, -1)


def movedim(input, source, destination):
    """A view with the dimensions `source` (int or tuple) moved to `destination`, the others keeping their order."""
    ndim = array(input).ndim
    source, destination = wrap_dims(source, ndim), wrap_dims(destination, ndim)
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(source)} dims) should contain the same number "
            f"of dims as destination ({list(destination)} dims)"
        )
    if len(set(source)) != len(source) or len(set(destination)) != len(destination):
        raise RuntimeError(f"movedim: repeated dim in source ({list(source)}) or destination ({list(destination)})")
    order = [dim for dim in range(ndim) if dim not in source]
    for target, dim in sorted(zip(destination, source)):
        order.insert(target, dim)
    return permute(input, tuple(order))


moveaxis = movedim


# ---- dimensions of size 1, broadcasting ----


def squeeze(input, dim=None):
    """A view without the dimensions of size 1, or without those of them that `dim` (int or tuple) names."""
    x = array(input)
    dims = range(x.ndim) if dim is None else wrap_dims(dim, x.ndim)
    gone = tuple([each for each in dims if x.ndim and x.shape[each] == 1])
    return _shape_view(input, x.squeeze(gone) if gone else x[...])


def unsqueeze(input, dim):
    """A view with a new dimension of size 1 at `dim`."""
    x = array(input)
    dim = wrap_dim(dim, x.ndim + 1)
    return _shape_view(input, x[(slice(None),) * dim + (None,)])


def expand(input, *sizes, size=None):
    """A view in which dimensions of size 1 are repeated, and new ones put in front; -1 keeps a size.

    Several elements of the result are one in memory: clone() before writing to it.
    """
    shape = array(input).shape
    target = as_sizes("expand", sizes, size)
    added = len(target) - len(shape)
    if len(target) > _MOST_DIMENSIONS:
        raise RuntimeError(f"expand: expected at most {_MOST_DIMENSIONS} sizes, as many as NumPy knows, got {len(target)}")
    if added < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(target)}) must be greater or equal to the number of "
            f"dimensions in the tensor ({len(shape)})"
        )
    full = []
    for dim, n in enumerate(target):
        if n == -1 and dim < added:
            raise RuntimeError(
                f"expand: the expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {dim}"
            )
        old = shape[dim - added] if dim >= added else 1
        if n not in (-1, old) and (old != 1 or n < 0):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({old}) at non-singleton "
                f"dimension {dim}.  Target sizes: {list(target)}.  Tensor sizes: {list(shape)}"
            )
        full.append(old if n == -1 else n)
    return expand_to(input, tuple(full))


def expand_as(input, other):
    """`input` expanded to the shape of `other`."""
    return expand(input, array(other).shape)


def broadcast_to(input, size):
    """`expand` under NumPy's name."""
    return expand(input, size)


def broadcast_tensors(*tensors):
    """All tensors expanded to their common shape."""
    shape = ()
    for tensor in tensors:
        shape = broadcast_shape(shape, array(tensor).shape)
    return tuple([expand_to(tensor, shape) for tensor in tensors])


def meshgrid(*tensors, indexing="ij"):
    """Grids of coordinates from vectors: result i has the shape of all sizes and varies along dimension i.

    With ``indexing="xy"`` the first varies along dimension 1 and the second along dimension 0, as for images.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    vectors = [reshape(tensor, (-1,)) for tensor in tensors]
    swap = indexing == "xy" and len(vectors) > 1
    if swap:
        vectors[:2] = vectors[1], vectors[0]
    shape = tuple([array(vector).shape[0] for vector in vectors])
    grids = [
        expand_to(reshape(vector, (1,) * dim + (-1,) + (1,) * (len(shape) - dim - 1)), shape)
        for dim, vector in enumerate(vectors)
    ]
    if swap:
        grids[:2] = grids[1], grids[0]
    return tuple(grids)


# ---- copies ----


def clone(input, *, memory_format=None):
    """A copy of its own memory."""
    return record(clone_backward, (input,), array(input).copy(order=order_of(memory_format)))


def clone_backward(node, g):
    return g


def contiguous(input, memory_format=contiguous_format):
    """`input` itself if its elements lie in memory in order, else a copy in which they do."""
    if order_of(memory_format) != "C":
        raise RuntimeError("contiguous(): preserve_format keeps any order; leave memory_format out, or call clone()")
    x = array(input)
    return input if x.flags.c_contiguous else record(clone_backward, (input,), x.copy(order="C"))


def is_contiguous(input):
    """Whether the elements lie in memory in order, the last dimension fastest."""
    return bool(array(input).flags.c_contiguous)
