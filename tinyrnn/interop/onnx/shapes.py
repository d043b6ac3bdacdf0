"""Operations on the shape, cutting, joining, indexing, and new tensors as ONNX nodes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyrnn import _tensor, conversion, creation
from tinyrnn.engine.base import wrap
from tinyrnn.interop.onnx.table import emits
from tinyrnn.ops import flipping, gathering, indexing, masking, padding, repeating, shaping, slicing
from tinyrnn.ops.slicing import wrap_dim, wrap_dims

_INT64 = np.dtype(np.int64)
_LAST = np.iinfo(np.int64).max  # as the end of a slice

# ---- shape -----------------------------------------------------------------------------------------------------------


def _sizes(sizes: Sequence[Any], named: Any = None) -> list[Any]:
    """Sizes given one by one, as a tuple, or by name."""
    sizes = sizes if named is None else [named]
    return list(sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes)


def _reshaped(g, input, sizes):
    return g("Reshape", g.value(input), g.shape(sizes))


@emits(shaping.reshape, shaping.view)
def _reshape(g, out, input, *sizes, shape=None):
    return _reshaped(g, input, _sizes(sizes, shape))


@emits(shaping.reshape_as, shaping.view_as)
def _reshape_as(g, out, input, other):
    return _reshaped(g, input, other.shape)


@emits(shaping.flatten)
def _flatten(g, out, input, start_dim=0, end_dim=-1):
    first, last = (wrap_dim(dim, input.array.ndim) for dim in (start_dim, end_dim))
    return _reshaped(g, input, (*input.shape[:first], -1, *input.shape[last + 1 :]))


@emits(shaping.ravel)
def _ravel(g, out, input):
    return _reshaped(g, input, (-1,))


@emits(shaping.unflatten)
def _unflatten(g, out, input, dim, sizes):
    dim = wrap_dim(dim, input.array.ndim)
    return _reshaped(g, input, (*input.shape[:dim], *sizes, *input.shape[dim + 1 :]))


def _permuted(g, input, order):
    return g("Transpose", g.value(input), perm=[int(wrap_dim(dim, input.array.ndim)) for dim in order])


@emits(shaping.permute)
def _permute(g, out, input, *sizes, dims=None):
    return _permuted(g, input, _sizes(sizes, dims))


@emits(shaping.transpose, shaping.swapaxes, shaping.swapdims)
def _transpose(g, out, input, dim0, dim1):
    order = list(range(input.array.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _permuted(g, input, order)


@emits(shaping.t, shaping.reverse_dims)
def _reverse_dims(g, out, input):
    return _permuted(g, input, range(input.array.ndim)[::-1])


@emits(shaping.matrix_transpose)
def _matrix_transpose(g, out, input):
    return _transpose(g, out, input, -2, -1)


@emits(shaping.squeeze)
def _squeeze(g, out, input, dim=None):
    shape = input.array.shape
    axes = [axis for axis in wrap_dims(range(len(shape)) if dim is None else dim, len(shape)) if shape[axis] == 1]
    return g("Squeeze", g.value(input), g.ints(*axes)) if axes else g.value(input)


@emits(shaping.unsqueeze)
def _unsqueeze(g, out, input, dim):
    return g("Unsqueeze", g.value(input), g.ints(dim))


@emits(shaping.expand, shaping.broadcast_to)
def _expand(g, out, input, *sizes, size=None):
    return g("Expand", g.value(input), g.shape([1 if n == -1 else n for n in _sizes(sizes, size)]))


@emits(shaping.expand_as)
def _expand_as(g, out, input, other):
    return g("Expand", g.value(input), g.shape(other.shape))


@emits(repeating.repeat, repeating.tile)
def _repeat(g, out, input, *sizes, repeats=None, dims=None):
    counts = _sizes(sizes, repeats if dims is None else dims)
    missing = len(counts) - input.array.ndim
    x = g.value(input) if missing <= 0 else g("Unsqueeze", g.value(input), g.ints(*range(missing)))
    return g("Tile", x, g.shape([1] * -missing + counts))


@emits(flipping.flip)
def _flip(g, out, input, *sizes, dims=None):
    axes = [wrap_dim(dim, input.array.ndim) for dim in _sizes(sizes, dims)]
    last, lowest = [-1] * len(axes), [-_LAST] * len(axes)
    return g("Slice", g.value(input), g.ints(*last), g.ints(*lowest), g.ints(*axes), g.ints(*last))


@emits(padding.pad)
def _pad(g, out, input, pad, mode="constant", value=None):
    pairs = [(0, 0)] * (input.array.ndim - len(pad) // 2) + list(zip(pad[0::2], pad[1::2]))[::-1]
    before, after = zip(*pairs)
    return g("Pad", g.value(input), g.shape([*before, *after]), g.value(value or 0, out.array.dtype))


def _triangle(upper):
    def emit(g, out, input, diagonal=0):
        dtype = out.array.dtype
        wide = dtype if dtype.kind == "f" else _INT64  # ONNX Runtime has Trilu of few dtypes
        return g.cast(g("Trilu", g.value(input, wide), g.value(diagonal, _INT64), upper=upper), wide, dtype)

    return emit


emits(masking.triu)(_triangle(1))
emits(masking.tril)(_triangle(0))


# ---- cutting and joining ---------------------------------------------------------------------------------------------


def _cut(g, value, dim, start, stop, step=None):
    return g("Slice", value, g.size(start), g.size(stop), g.ints(dim), g.ints(step or 1))


@emits(slicing.narrow)
def _narrow(g, out, input, dim, start, length):
    start = start + input.shape[dim] if start < 0 else start
    return _cut(g, g.value(input), dim, start, start + length)


@emits(slicing.select)
def _select(g, out, input, dim, index):
    return g("Gather", g.value(input), g.value(index, _INT64), axis=dim)


@emits(slicing.unbind)
def _unbind(g, out, input, dim=0):
    return [g("Gather", g.value(input), g.value(index, _INT64), axis=dim) for index in range(len(out))]


@emits(slicing.split, slicing.chunk, _tensor.Tensor.split)
def _split(g, out, input, _, dim=0):
    dim = wrap_dim(dim, input.array.ndim)
    if input.shape[dim].source:
        raise NotImplementedError(f"pieces of dimension {dim}, whose size is open, cannot be exported")
    sizes = [piece.array.shape[dim] for piece in out]
    values = g("Split", g.value(input), g.ints(*sizes), outputs=len(sizes), axis=dim)
    return [values] if len(sizes) == 1 else values


@emits(slicing.cat)
def _cat(g, out, tensors, dim=0):
    return g("Concat", *[g.value(each, out.array.dtype) for each in tensors], axis=dim)


@emits(slicing.stack)
def _stack(g, out, tensors, dim=0):
    dim = wrap_dim(dim, out.array.ndim)
    return g("Concat", *[g("Unsqueeze", g.value(each, out.array.dtype), g.ints(dim)) for each in tensors], axis=dim)


@emits(indexing.getitem)
def _getitem(g, out, input, index):
    """Ints, slices, None and Ellipsis, then what tensors of integers take."""
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [wrap(np.asarray(part)) if isinstance(part, (list, np.ndarray)) else part for part in parts]
    if any(isinstance(part, bool) or (hasattr(part, "array") and part.array.dtype.char in "?B") for part in parts):
        raise NotImplementedError("what a mask selects has no fixed shape; multiply by the mask, or use where()")
    used = sum(part is not None and part is not Ellipsis for part in parts)
    at = next((k for k, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts[at : at + 1] = [slice(None)] * (input.array.ndim - used)
    x, axis, taken = g.value(input), 0, {}
    for part in parts:
        if isinstance(part, slice):
            if part != slice(None):
                x = _cut(g, x, axis, part.start or 0, _LAST if part.stop is None else part.stop, part.step)
            axis += 1
        elif part is None:
            x = g("Unsqueeze", x, g.ints(axis))
            axis += 1
        elif hasattr(part, "array") and part.array.ndim:
            taken[axis] = g.value(part, _INT64)
            axis += 1
        else:
            x = g("Gather", x, g.value(part, _INT64), axis=axis)
    return _take(g, x, taken) if taken else x


def _take(g, x, indices):
    """The elements of `x` at tensors of indices, by axis; several broadcast."""
    axis, *others = indices
    if not others:
        return g("Gather", x, indices[axis], axis=axis)
    if list(indices) != list(range(len(indices))):
        raise NotImplementedError("several tensors can be exported as indices of the first dimensions, as in x[i, j]")
    together = g("Shape", functools.reduce(functools.partial(g, "Add"), indices.values()))
    each = [g("Unsqueeze", g("Expand", index, together), g.ints(-1)) for index in indices.values()]
    return g("GatherND", x, g("Concat", *each, axis=-1))


@emits(gathering.gather)
def _gather(g, out, input, dim, index):
    for axis, (n, m) in enumerate(zip(input.shape, index.shape)):
        if axis != wrap_dim(dim, input.array.ndim) and n != m:
            raise NotImplementedError(f"the index is smaller than the input in dimension {axis}, which ONNX does not allow")
    return g("GatherElements", g.value(input), g.value(index), axis=dim)


@emits(gathering.index_select)
def _index_select(g, out, input, dim, index):
    return g("Gather", g.value(input), g.value(index), axis=dim)


# ---- new tensors----------------------------------------------------------------------------------------------------


def _filled(g, out, sizes, number):
    return g("Expand", g.value(number, out.array.dtype), g.shape(sizes))


@emits(creation.zeros)
def _zeros(g, out, *size, **options):
    return _filled(g, out, _sizes(size), 0)


@emits(creation.ones)
def _ones(g, out, *size, **options):
    return _filled(g, out, _sizes(size), 1)


@emits(creation.full)
def _full(g, out, size, fill_value, **options):
    return _filled(g, out, size, fill_value)


@emits(creation.zeros_like)
def _zeros_like(g, out, input, **options):
    return _filled(g, out, input.shape, 0)


@emits(creation.ones_like)
def _ones_like(g, out, input, **options):
    return _filled(g, out, input.shape, 1)


@emits(creation.full_like)
def _full_like(g, out, input, fill_value, **options):
    return _filled(g, out, input.shape, fill_value)


@emits(conversion.new_zeros)
def _new_zeros(g, out, input, *size, **options):
    return _filled(g, out, _sizes(size), 0)


@emits(conversion.new_ones)
def _new_ones(g, out, input, *size, **options):
    return _filled(g, out, _sizes(size), 1)


@emits(conversion.new_full)
def _new_full(g, out, input, size, fill_value, **options):
    return _filled(g, out, size, fill_value)


@emits(creation.arange)
def _arange(g, out, start=0, end=None, step=1, **options):
    start, end = (0, start) if end is None else (start, end)
    return g("Range", *[g.value(each, out.array.dtype) for each in (start, end, step)])
