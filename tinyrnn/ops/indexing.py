"""Reading elements, and writing them out of place, by index: ``x[...]``, gather, scatter, masks.

All of it rests on three ops that are each other's adjoints: `take` reads ``x[key]``, `accumulate` adds at `key`, and
`put` replaces at `key`, where `key` is a tuple of slices and of integer arrays that broadcast together.
"""

from __future__ import annotations

import operator

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.engine.tape import record
from tinyrnn.ops.broadcasting import broadcast_shape, expand_to, sum_to
from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.shaping import flatten, reshape
from tinyrnn.ops.slicing import unbind, window, wrap_dim

ALL = slice(None)


# ---- x[...] ----


def getitem(input, index):
    """``input[index]``: a view for ints, slices, None and Ellipsis; a copy as soon as there is a tensor, list or mask.

    Raises
    ------
    IndexError
        For an index out of range, too many indices, a mask of another shape, or indices that are no integers.
    ValueError
        For a slice with a negative step.
    """
    basic, key, distinct = parse(index, array(input).shape)
    if key is None:
        return window(input, basic)
    return take(window(input, basic) if basic else input, key, distinct)


def parse(index, shape):
    """Split an index into a window that is cut out first, and the key of `take` that is applied to it.

    Returns
    -------
    basic : tuple of ints, slices and None; empty if the window would be everything
    key : tuple of slices and integer arrays; None if there are no arrays in the index
    distinct : whether `key` names no element twice for certain
    """
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [_as_part(part) for part in parts]
    used = sum([_dims_used(part) for part in parts])
    if used > len(shape):
        if not shape:
            raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert it to a number")
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    at = dots[0] if dots else len(parts)
    parts[at : at + 1] = [ALL] * (len(shape) - used)
    basic: list = []
    key: list = []
    distinct: list = []
    dim = 0
    for position, part in enumerate(parts):
        if part is None:
            basic.append(None)
            key.append(ALL)
        elif isinstance(part, bool):
            basic.append(None)
            key.append(np.zeros(int(part), np.intp))
            distinct.append(True)
        elif isinstance(part, int):
            basic.append(_in_range(part, dim, shape))
            dim += 1
        elif isinstance(part, slice):
            basic.append(_positive_step(part))
            key.append(ALL)
            dim += 1
        else:
            arrays = (
                _mask_to_integers(part, position, dim, shape) if part.dtype == bool else (_checked(part, dim, shape),)
            )
            basic += [ALL] * len(arrays)
            key += arrays
            distinct.append(part.dtype == bool)
            dim += len(arrays)
    if not distinct:
        return tuple(basic), None, True
    return _unless_everything(basic), tuple(key), distinct == [True]


def _as_part(part):
    """One entry of an index as int, bool, slice, None, Ellipsis, or an array of integers or bools."""
    if part is None or part is Ellipsis or type(part) is bool or type(part) is int:
        return part
    if isinstance(part, slice):
        return part
    part = array(part)
    if isinstance(part, np.bool_):
        return bool(part)
    if isinstance(part, (list, range)):
        part = np.asarray(_plain(part))
        part = part.astype(np.intp) if part.size == 0 else part
    if hasattr(part, "dtype") and hasattr(part, "ndim"):
        if part.dtype == np.uint8 and part.ndim:
            part = part.astype(bool)  # PyTorch takes bytes for masks
        if part.dtype.kind not in "iub":
            raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, got {part.dtype}")
        if part.ndim:
            return part
        return bool(part) if part.dtype == bool else int(part)
    try:
        return operator.index(part)
    except TypeError:
        raise IndexError(
            f"only integers, slices (`:`), ellipsis (`...`), None and long or bool tensors are valid indices (got "
            f"{type(part).__name__})"
        ) from None


def _plain(part):
    return [_plain(p) if isinstance(p, (list, tuple, range)) else np.asarray(array(p)).tolist() for p in part]


def _dims_used(part):
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if hasattr(part, "ndim") and part.dtype == bool else 1


def _in_range(index, dim, shape):
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(f"index {index} is out of bounds for dimension {dim} with size {shape[dim]}")
    return index


def _positive_step(part):
    start, stop, step = [None if n is None else operator.index(array(n)) for n in (part.start, part.stop, part.step)]
    if step is not None and step <= 0:
        raise ValueError("step must be greater than zero; flip() turns a dimension round")
    return slice(start, stop, step)


def _checked(index, dim, shape):
    """Integer indices counted from 0, in an array that is ours: the caller's may change before backward."""
    size = shape[dim]
    if index.size and not (-size <= index.min() and index.max() < size):
        wrong = index[(index < -size) | (index >= size)].flat[0]
        raise IndexError(f"index {int(wrong)} is out of bounds for dimension {dim} with size {size}")
    index = index.astype(np.intp)
    return np.where(index < 0, index + size, index)


def _mask_to_integers(mask, position, dim, shape):
    if mask.shape != shape[dim : dim + mask.ndim]:
        raise IndexError(
            f"The shape of the mask {list(mask.shape)} at index {position} does not match the shape of the indexed "
            f"tensor {list(shape)} at index {dim}"
        )
    return mask.nonzero()


def _unless_everything(basic):
    return tuple(basic) if any([part != ALL for part in basic]) else ()


# ---- the three ops ----


def take(x, key, distinct=False):
    """``x[key]`` as a copy. Gradient: added up at `key`."""
    data = array(x)
    try:
        taken = data[key]
    except IndexError:
        shapes = [list(part.shape) for part in key if part is not ALL and not isinstance(part, slice)]
        raise IndexError(f"shape mismatch: indexing tensors of shapes {shapes} cannot be broadcast together") from None
    taken = taken if taken.flags.c_contiguous else taken.copy(order="C")
    return record(take_backward, (x,), taken, (key, distinct, data.shape))


def take_backward(node, g, key, distinct, shape):
    return accumulate(np.zeros_like(array(g), shape=shape, order="C"), key, g, distinct)


def accumulate(x, key, values, distinct=False):
    """A copy of `x` with `values` (of the shape of ``x[key]``) added at `key`, also where `key` repeats itself."""
    total = array(x).copy(order="C")
    add_at(total, key, array(values), distinct)
    return record(accumulate_backward, (x, values), total, (key, distinct))


def accumulate_backward(node, g, key, distinct):
    return g, take(g, key, distinct) if node.needs(1) else None


def add_at(total, key, values, distinct=False):
    """Add `values` to the array `total` in place, in a fixed order: equal indices are sorted next to each other."""
    if distinct or values.size == 0:
        total[key] += values
        return
    dims = [dim for dim, part in enumerate(key) if not isinstance(part, slice)]
    sizes = [total.shape[dim] for dim in dims]
    places = np.ravel_multi_index(np.broadcast_arrays(*[key[dim] for dim in dims]), sizes)
    first = dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0  # where indexing has put the index dimensions
    values = np.moveaxis(values, range(first, first + places.ndim), range(places.ndim)).reshape(places.size, -1)
    places = places.reshape(-1)
    order = np.argsort(places, kind="stable")
    places = places[order]
    starts = np.flatnonzero(np.concatenate([np.ones_like(places[:1]), places[1:] != places[:-1]]))
    sums = np.add.reduceat(values[order], starts, axis=0)
    target = np.moveaxis(total, dims, range(len(dims)))
    target[np.unravel_index(places[starts], sizes)] += sums.reshape(-1, *target.shape[len(dims) :])


def put(x, key, values, distinct=False):
    """A copy of `x` with `values` (of the shape of ``x[key]``) at `key`; where `key` repeats itself, the last stays."""
    changed = array(x).copy(order="C")
    changed[key] = array(values)
    return record(put_backward, (x, values), changed, (key, distinct))


def put_backward(node, g, key, distinct):
    zeros = np.zeros_like(array(g), shape=array(g)[key].shape)
    g_values = None
    if node.needs(1):
        g_values = take(g, key, distinct)
        if not distinct:
            g_values = g_values * _stayed(key, array(g)).astype(zeros.dtype)
    return put(g, key, zeros, True) if node.needs(0) else None, g_values


def _stayed(key, like):
    """Which of the values written at `key` were not overwritten by a later one."""
    writer = np.zeros_like(like, dtype=np.intp)
    shape = writer[key].shape
    numbers = np.arange(np.prod(shape, dtype=np.intp)).reshape(shape)
    writer[key] = numbers
    return writer[key] == numbers


# ---- along one dimension, by an index tensor ----


def _along(op, index, dim, shape, source=None):
    """The key that picks, at each position of `index`, the element with that index in dimension `dim`."""
    index = array(index)
    if index.dtype.kind != "i":
        raise RuntimeError(f"{op}(): Expected dtype int64 for index, got {index.dtype}")
    if max(index.ndim, 1) != max(len(shape), 1):
        raise RuntimeError(
            f"{op}: Index tensor must have the same number of dimensions as input tensor ({len(shape)}), got "
            f"{index.ndim}"
        )
    size = shape[dim] if shape else 1
    for other, n in enumerate(index.shape):
        if (other != dim and n > (shape or (1,))[other]) or (source is not None and n > (source or (1,))[other]):
            raise RuntimeError(
                f"{op}: Size does not match at dimension {other}: expected index {list(index.shape)} to be no larger "
                f"than self {list(shape)} apart from dimension {dim}"
                + ("" if source is None else f" and than src {list(source)}")
            )
    if index.size and (index.min() < 0 or index.max() >= size):
        wrong = index[(index < 0) | (index >= size)].flat[0]
        raise RuntimeError(f"{op}: index {int(wrong)} is out of bounds for dimension {dim} with size {size}")
    shape_of = [tuple([-1 if i == other else 1 for i in range(index.ndim)]) for other in range(index.ndim)]
    others = [np.arange(n).reshape(shape_of[other]) for other, n in enumerate(index.shape)]
    return tuple([index.astype(np.intp) if other == dim else others[other] for other in range(index.ndim)])


def _at_least_1d(x):
    return reshape(x, (1,)) if array(x).ndim == 0 else x


def gather(input, dim, index):
    """``out[i][j][k] = input[index[i][j][k]][j][k]`` for ``dim=0``, and so on for the other dimensions.

    `index` has as many dimensions as `input`, and the result its shape.

    Raises
    ------
    RuntimeError
        If `index` has another number of dimensions, is larger than `input` beside `dim`, or is out of range.
    """
    shape = array(input).shape
    dim = wrap_dim(dim, len(shape))
    if array(index).size == 0:
        return reshape(take(reshape(input, (-1,)), (np.zeros(0, np.intp),), True), array(index).shape)
    key = _along("gather", index, dim, shape)
    return reshape(take(_at_least_1d(input), key or (np.zeros(1, np.intp),)), array(index).shape)


def _scattered(op, write, input, dim, index, src):
    shape = array(input).shape
    dim = wrap_dim(dim, len(shape))
    if array(index).size == 0:
        return input
    if not hasattr(src, "shape"):
        src = np.full_like(array(input), src, shape=array(index).shape)
    if array(src).dtype != array(input).dtype:
        raise RuntimeError(
            f"{op}(): Expected self.dtype to be equal to src.dtype, got {array(input).dtype} and {array(src).dtype}"
        )
    key = _along(op, _at_least_1d(array(index)), dim, shape, array(src).shape)
    src = _at_least_1d(src)
    if array(src).shape != array(index).shape and array(index).ndim:
        src = window(src, tuple([slice(n) for n in array(index).shape]))
    return reshape(write(_at_least_1d(input), key, src), shape)


def scatter(input, dim, index, src=None, *, value=None):
    """A copy of `input` with ``out[index[i][j]][j] = src[i][j]`` (for ``dim=0``); `src` may be a number.

    Raises
    ------
    RuntimeError
        As for `gather`, and if `src` is smaller than `index` or of another dtype than `input`.
    """
    return _scattered("scatter", put, input, dim, index, value if src is None else src)


def scatter_add(input, dim, index, src):
    """A copy of `input` with ``src[i][j]`` added at ``[index[i][j]][j]`` (for ``dim=0``); repeated indices add up."""
    return _scattered("scatter_add", accumulate, input, dim, index, src)


def take_along_dim(input, indices, dim=None):
    """Like `gather`, with `input` and `indices` broadcast beside `dim`; on the flat tensor without `dim`."""
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
    x, i = array(input), array(indices)
    if x.ndim != i.ndim:
        raise RuntimeError(
            f"take_along_dim(): input and indices should have the same number of dimensions, but got {x.ndim} "
            f"dimensions for input, and {i.ndim} dimensions for indices"
        )
    dim = wrap_dim(dim, x.ndim)
    common = list(broadcast_shape(x.shape[:dim] + (1,) + x.shape[dim + 1 :], i.shape[:dim] + (1,) + i.shape[dim + 1 :]))
    common[dim] = x.shape[dim]
    input = expand_to(input, tuple(common))
    common[dim] = i.shape[dim]
    i = np.broadcast_to(np.where(i < 0, i + x.shape[dim], i), tuple(common))
    return gather(input, dim, i)


def _rows(op, input, dim, index):
    """Input of at least one dimension, and the key of its slices `index` along `dim`."""
    shape = array(input).shape
    dim = wrap_dim(dim, len(shape))
    index = array(index)
    if index.dtype.kind != "i":
        raise RuntimeError(f"{op}(): Expected dtype int32 or int64 for index, got {index.dtype}")
    if index.ndim > 1:
        raise IndexError(f"{op}(): Index is supposed to be a vector, got {index.ndim} dimensions")
    size = shape[dim] if shape else 1
    if index.size and (index.min() < 0 or index.max() >= size):
        wrong = index.min() if index.min() < 0 else index.max()
        raise IndexError(f"{op}(): index {int(wrong)} is out of bounds for dimension {dim} with size {size}")
    return _at_least_1d(input), (ALL,) * dim + (index.astype(np.intp).reshape(-1),)


def index_select(input, dim, index):
    """The slices of `input` along `dim` that the vector `index` names, in that order."""
    x, key = _rows("index_select", input, dim, index)
    taken = take(x, key)
    return reshape(taken, ()) if array(input).ndim == 0 else taken


def _rows_written(op, write, input, dim, index, source):
    x, key = _rows(op, input, dim, index)
    if array(source).dtype != array(input).dtype:
        raise RuntimeError(
            f"{op}(): self and source expected to have the same dtype, but got (self) {array(input).dtype} and "
            f"(source) {array(source).dtype}"
        )
    expected = list(array(x).shape)
    expected[len(key) - 1] = key[-1].size
    source = _at_least_1d(source)
    if list(array(source).shape) != expected:
        raise RuntimeError(f"{op}(): expected source of shape {expected}, got {list(array(source).shape)}")
    return reshape(write(x, key, source), array(input).shape)


def index_add(input, dim, index, source, *, alpha=1):
    """A copy of `input` with the slices of ``alpha * source`` added at `index` along `dim`; repeated indices add up."""
    return _rows_written("index_add", accumulate, input, dim, index, source if alpha == 1 else source * alpha)


def index_copy(input, dim, index, source):
    """A copy of `input` with the slices at `index` along `dim` replaced by those of `source`."""
    return _rows_written("index_copy", put, input, dim, index, source)


def index_fill(input, dim, index, value):
    """A copy of `input` with the slices at `index` along `dim` filled with a number or 0-d tensor."""
    x, key = _rows("index_fill", input, dim, index)
    return reshape(put(x, key, fill_values(input, value, array(x)[key].shape)), array(input).shape)


def fill_values(input, value, shape):
    """`value`, a number or a 0-d tensor, in the dtype of `input` and expanded to `shape`."""
    dtype = array(input).dtype
    if not hasattr(array(value), "shape"):
        found = dtypes.result_type(value)
        if found.category > dtypes.of_array(array(input)).category and found.is_floating_point:
            raise RuntimeError(f"value {value!r} cannot be converted to the dtype {dtype} of the tensor without loss")
        return np.full_like(array(input), value, shape=shape)
    if array(value).ndim:
        raise RuntimeError(
            f"expected a number or a 0-dimensional value tensor, got one of {array(value).ndim} dimensions"
        )
    return expand_to(cast(value, dtype), shape)


def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Each slice along `dim` (each element of the flat tensor without `dim`) `repeats` times in a row.

    `repeats` is an int, or a tensor with one count per slice. With a tensor of counts alone, the result is the numbers
    of the slices, each as often as its count says.
    """
    if repeats is None:
        return wrap(np.repeat(np.arange(array(input).size), array(input)))
    if dim is None:
        input, dim = flatten(input), 0
    size = array(input).shape[wrap_dim(dim, array(input).ndim)]
    counts = np.asarray(array(repeats))
    if counts.ndim and counts.size not in (1, size):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and "
            f"input.size({dim}) = {size}"
        )
    if counts.size and counts.min() < 0:
        raise RuntimeError(f"repeats can not be negative, got {int(counts.min())}")
    return index_select(input, dim, np.repeat(np.arange(size), counts))


# ---- by mask ----


def _mask(op, mask):
    if array(mask).dtype != bool:
        raise RuntimeError(f"{op} only supports boolean masks, but got mask with dtype {array(mask).dtype}")
    return array(mask)


def masked_fill(input, mask, value):
    """A copy of `input` with `value` (a number or 0-d tensor) wherever `mask`, which broadcasts with it, is True."""
    shape = broadcast_shape(array(input).shape, _mask("masked_fill", mask).shape)
    value = fill_values(input, value, ())
    input = expand_to(input, shape)
    filled = np.where(array(mask), array(value), array(input))
    return record(masked_fill_backward, (input, value), filled, (mask,))


def masked_fill_backward(node, g, mask):
    g_input = masked_fill(g, mask, 0) if node.needs(0) else None
    return g_input, sum_to(masked_fill(g, ~array(mask), 0), ()) if node.needs(1) else None


def masked_select(input, mask):
    """The elements of `input` at which `mask`, which broadcasts with it, is True, as a vector."""
    shape = broadcast_shape(array(input).shape, _mask("masked_select", mask).shape)
    return getitem(expand_to(input, shape), np.broadcast_to(array(mask), shape))


# ---- without gradient ----


def _like(input, result):
    return wrap(result) if isinstance(input, TensorBase) else result


def nonzero(input, *, as_tuple=False):
    """The indices of the elements that are not zero: (count, ndim), or with `as_tuple` one vector per dimension."""
    x = array(input)
    if as_tuple:
        return tuple([_like(input, each) for each in (x if x.ndim else x.reshape(1)).nonzero()])
    places = np.stack(x.nonzero(), 1) if x.ndim else np.zeros_like(x, np.int64, shape=(int(x != 0), 0))
    return _like(input, places)


def one_hot(tensor, num_classes=-1):
    """Integers to vectors with a 1 at their place: (*) -> (*, num_classes), int64.

    With -1 the number of classes is one more than the largest integer.
    """
    x = array(tensor)
    if x.dtype != np.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type LongTensor, got {x.dtype}")
    if x.size == 0 and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if x.size and x.min() < 0:
        raise RuntimeError(f"Class values must be non-negative, got {int(x.min())}.")
    if num_classes == -1:
        num_classes = int(x.max()) + 1
    if num_classes < 1:
        raise RuntimeError(f"num_classes should be positive, got {num_classes}")
    if x.size and x.max() >= num_classes:
        raise RuntimeError(f"Class values must be smaller than num_classes={num_classes}, got {int(x.max())}.")
    classes = np.zeros_like(x, shape=(num_classes,))
    classes[:] = np.arange(num_classes)
    return _like(tensor, (x[..., None] == classes).astype(np.int64))


# ---- Python's own ----


def length(input):
    """``len(x)``: the size of the first dimension."""
    shape = array(input).shape
    if not shape:
        raise TypeError("len() of a 0-d tensor")
    return shape[0]


def iterate(input):
    """``for row in x``: the views along the first dimension, from one node."""
    if not array(input).shape:
        raise TypeError("iteration over a 0-d tensor")
    return iter(unbind(input, 0))


def contains(input, element):
    """``element in x``: whether any element is equal to it."""
    return bool((array(input) == array(element)).any())
