"""Python's ways to read a tensor: ``x[...]``, ``len(x)``, ``for row in x``, ``element in x``.

Reading and writing by index, here and in gathering.py, masking.py and writing.py, rests on three ops that are each
other's adjoints: `take` reads ``x[key]``, `accumulate` adds at `key`, and `put` replaces at `key`, where `key` is a
tuple of slices and of integer arrays that broadcast together.
"""

from __future__ import annotations

import operator

import numpy as np

from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.casting import array, quiet
from tinyrnn.ops.slicing import plain_window, unbind, window
from tinyrnn.ops.transfer import beside, require_one_device

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
    seen = plain_window(input, index)
    if seen is not None:
        return seen
    rows, shape = array(index), array(input).shape
    if type(rows) is np.ndarray and rows.dtype.kind == "i" and rows.ndim and shape:
        return take(input, (_checked(rows, 0, shape), *[ALL] * (len(shape) - 1)))
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
            arrays = _mask_to_integers(part, position, dim, shape) if part.dtype == bool else (_checked(part, dim, shape),)
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
    smallest, largest = backend(index).extent(index) if index.size else (0, -1)
    if smallest < -size or largest >= size:
        wrong = index[(index < -size) | (index >= size)].flat[0]
        raise IndexError(f"index {int(wrong)} is out of bounds for dimension {dim} with size {size}")
    index = index.astype(np.intp)
    return index if smallest >= 0 else np.where(index < 0, index + size, index)


def lie_within(ids, low, high):
    """Whether all of `ids`, at least one, are in ``low ... high - 1``."""
    smallest, largest = backend(ids).extent(ids)
    return low <= smallest and largest < high


def _mask_to_integers(mask, position, dim, shape):
    if mask.shape != shape[dim : dim + mask.ndim]:
        raise IndexError(
            f"The shape of the mask {list(mask.shape)} at index {position} does not match the shape of the indexed "
            f"tensor {list(shape)} at index {dim}"
        )
    return mask.nonzero()


def _unless_everything(basic):
    return tuple(basic) if any([part != ALL for part in basic]) else ()


def along(index, dim):
    """The key that picks, at each position of `index`, the element with that index in dimension `dim`."""
    return tuple([index if other == dim else _ramp(index, other) for other in range(index.ndim)])


def _ramp(index, dim):
    """0, 1, 2, ... along a dimension of `index`, to be broadcast along the others."""
    return np.arange(index.shape[dim], like=index).reshape((-1,) + (1,) * (index.ndim - 1 - dim))


# ---- the three ops ----


def _beside(data, key):
    """The key with its index arrays where `data` lies: they may come from main memory."""
    if type(data) is np.ndarray:
        for part in key:
            if hasattr(part, "dtype") and type(part) is not np.ndarray:
                require_one_device(data, part)
        return key
    return tuple([beside(part, data) if isinstance(part, np.ndarray) else part for part in key])


def take(x, key, distinct=False):
    """``x[key]`` as a copy. Gradient: added up at `key`."""
    data = array(x)
    key = _beside(data, key)
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
    key = _beside(total, key)
    add_at(total, key, array(values), distinct)
    return record(accumulate_backward, (x, values), total, (key, distinct))


def accumulate_backward(node, g, key, distinct):
    return g, take(g, key, distinct) if node.needs(1) else None


@quiet
def add_at(total, key, values, distinct=False):
    """Add `values` to the array `total` in place, in a fixed order: equal indices are sorted next to each other."""
    if distinct or values.size == 0:
        total[key] += values
        return
    if _names_rows(key) and values.dtype.kind in FLOATS and _is_worth_a_table(total, key[0].size):
        rows = values.reshape(key[0].size, -1)
        total += backend(total).embedding_backward(rows, key[0].reshape(-1), len(total), None).reshape(total.shape)
        return
    dims, sizes, places = _places(total, key)
    if len(dims) == total.ndim and type(total) is np.ndarray and total.itemsize > 2:
        # single numbers, which NumPy adds one after the other
        np.add.at(total.reshape(-1), places.reshape(-1), values.reshape(-1))
        return
    rows = _rows(values, dims, places).reshape(places.size, -1)
    places = places.reshape(-1)
    order = np.argsort(places, kind="stable")
    places = places[order]
    starts = np.flatnonzero(np.concatenate([np.ones_like(places[:1]), places[1:] != places[:-1]]))
    sums = backend(total).sum_segments(rows[order], starts)
    target = np.moveaxis(total, dims, range(len(dims)))
    target[np.unravel_index(places[starts], sizes)] += sums.reshape(-1, *target.shape[len(dims) :])


def _names_rows(key):
    """Whether a key has one array of indices, in front, and takes everything along the other dimensions."""
    return not isinstance(key[0], slice) and all([part is ALL for part in key[1:]])


def _is_worth_a_table(total, rows):
    """Whether to sum that many rows in a table as large as `total`: a large one takes longer than to sort a few rows."""
    return total.size <= 65536 or rows >= len(total) or type(total) is not np.ndarray


def _places(total, key):
    """The dimensions that index arrays are for, their sizes, and the place of every index in them."""
    dims = [dim for dim, part in enumerate(key) if not isinstance(part, slice)]
    sizes = [total.shape[dim] for dim in dims]
    places = key[dims[0]]
    for dim in dims[1:]:
        places = places * total.shape[dim] + key[dim]
    return dims, sizes, places


def _first(dims):
    """Where indexing puts the dimensions of the index arrays."""
    return dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0


def _rows(values, dims, places):
    """`values`, of the shape that indexing gives, with the dimensions of the places in front."""
    first = _first(dims)
    return np.moveaxis(values, range(first, first + places.ndim), range(places.ndim))


def put(x, key, values, distinct=False):
    """A copy of `x` with `values` (of the shape of ``x[key]``) at `key`; where `key` repeats itself, the last stays."""
    changed = array(x).copy(order="C")
    key = _beside(changed, key)
    if distinct or type(changed) is np.ndarray:  # NumPy writes one after the other
        changed[key] = array(values)
    else:
        _put_last(changed, key, array(values))
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
    if type(like) is not np.ndarray:
        dims, _, places = _places(like, key)
        stayed = np.zeros_like(places, dtype=bool, shape=(places.size,))
        stayed[_last(places)] = True
        rest = like.ndim - len(dims)
        rows = stayed.reshape(*places.shape, *[1] * rest)
        return np.moveaxis(rows, range(places.ndim), range(_first(dims), _first(dims) + places.ndim))
    writer = np.zeros_like(like, dtype=np.intp)
    shape = writer[key].shape
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    writer[key] = numbers
    return writer[key] == numbers


def _put_last(total, key, values):
    """Write `values` at `key`, of those for one place the last: on a GPU all are written at once, and any might win."""
    dims, sizes, places = _places(total, key)
    last = _last(places)
    target = np.moveaxis(total, dims, range(len(dims)))
    rows = _rows(values, dims, places).reshape(places.size, *target.shape[len(dims) :])
    target[np.unravel_index(places.reshape(-1)[last], sizes)] = rows[last]


def _last(places):
    """The numbers of the places that do not come again."""
    flat = places.reshape(-1)
    order = np.argsort(flat, kind="stable")
    found = flat[order]
    return order[np.concatenate([found[1:] != found[:-1], np.ones_like(found[:1], dtype=bool)])]


# ---- len, for, in ----


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
