"""Reading and writing along one dimension, by an index tensor: gather, scatter, take_along_dim, index_*.

With `gather` and `scatter` the index has as many dimensions as the tensor and names elements; with ``index_*`` it is a
vector and names whole slices. Written is always a copy; the in-place forms are in writing.py.
"""

from __future__ import annotations

import numpy as np

from tinyrnn.ops import autocasting
from tinyrnn.ops.broadcasting import broadcast_shape, expand_to
from tinyrnn.ops.casting import array, cast, convert_number
from tinyrnn.ops.indexing import ALL, accumulate, along, lie_within, put, take
from tinyrnn.ops.shaping import at_least_1d, clone, reshape
from tinyrnn.ops.slicing import window, wrap_dim
from tinyrnn.ops.transfer import require_one_device

# ---- single elements ----


def _checked_along(op, index, dim, shape, source=None):
    """`along`, or an error if the index does not fit into `shape` or is larger than `source`."""
    index = array(index)
    if index.dtype.kind != "i":
        raise RuntimeError(f"{op}(): Expected dtype int64 for index, got {index.dtype}")
    if max(index.ndim, 1) != max(len(shape), 1):
        raise RuntimeError(
            f"{op}: Index tensor must have the same number of dimensions as input tensor ({len(shape)}), got {index.ndim}"
        )
    size = shape[dim] if shape else 1
    for other, n in enumerate(index.shape):
        if (other != dim and n > (shape or (1,))[other]) or (source is not None and n > (source or (1,))[other]):
            raise RuntimeError(
                f"{op}: Size does not match at dimension {other}: expected index {list(index.shape)} to be no larger "
                f"than self {list(shape)} apart from dimension {dim}"
                + ("" if source is None else f" and than src {list(source)}")
            )
    if index.size and not lie_within(index, 0, size):
        wrong = index[(index < 0) | (index >= size)].flat[0]
        raise RuntimeError(f"{op}: index {int(wrong)} is out of bounds for dimension {dim} with size {size}")
    return along(at_least_1d(index.astype(np.intp)), dim)


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
    require_one_device(input, index)
    key = _checked_along("gather", index, dim, shape)
    if shape and array(index).ndim:
        return take(input, key)
    return reshape(take(at_least_1d(input), key), array(index).shape)


def _scattered(op, write, input, dim, index, src):
    shape = array(input).shape
    dim = wrap_dim(dim, len(shape))
    if array(index).size == 0:
        return clone(input)
    if not hasattr(src, "shape"):
        src = fill_values(input, src, array(index).shape)
    require_one_device(input, index, src)
    if array(src).dtype != array(input).dtype:
        raise RuntimeError(
            f"{op}(): Expected self.dtype to be equal to src.dtype, got {array(input).dtype} and {array(src).dtype}"
        )
    key = _checked_along(op, at_least_1d(array(index)), dim, shape, array(src).shape)
    src = at_least_1d(src)
    if array(src).shape != array(index).shape and array(index).ndim:
        src = window(src, tuple([slice(n) for n in array(index).shape]))
    return reshape(write(at_least_1d(input), key, src), shape)


def scatter(input, dim, index, src=None, *, value=None):
    """A copy of `input` with ``out[index[i][j]][j] = src[i][j]`` (for ``dim=0``); `src` may be a number.

    Raises
    ------
    RuntimeError
        As for `gather`, and if `src` is smaller than `index` or of another dtype than `input`.
    """
    if (src is None) == (value is None):
        raise TypeError("scatter() expects either src, a tensor or a number, or value, a number")
    return _scattered("scatter", put, input, dim, index, value if src is None else src)


def scatter_add(input, dim, index, src):
    """A copy of `input` with ``src[i][j]`` added at ``[index[i][j]][j]`` (for ``dim=0``); repeated indices add up."""
    if autocasting.regions:
        input, src = autocasting.prepared("scatter_add", (input, src))
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


# ---- whole slices ----


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
    if index.size and not lie_within(index, 0, size):
        wrong = index.min() if index.min() < 0 else index.max()
        raise IndexError(f"{op}(): index {int(wrong)} is out of bounds for dimension {dim} with size {size}")
    return at_least_1d(input), (ALL,) * dim + (index.astype(np.intp).reshape(-1),)


def index_select(input, dim, index):
    """The slices of `input` along `dim` that the vector `index` names, in that order."""
    x, key = _rows("index_select", input, dim, index)
    taken = take(x, key)
    return reshape(taken, ()) if array(input).ndim == 0 else taken


def diag(input, diagonal=0):
    """The elements on a diagonal of a matrix, or the matrix that has those of a vector there and else zeros.

    Raises
    ------
    RuntimeError
        If `input` is neither a vector nor a matrix.
    """
    x = array(input)
    if x.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors, got {x.ndim} dimensions; index the diagonal with aranges")
    if x.ndim == 1:
        size = x.shape[0] + abs(diagonal)
        zeros = np.zeros_like(x, shape=size * size)
        return reshape(index_copy(zeros, 0, _diagonal(size, size, diagonal), input), (size, size))
    rows, columns = x.shape
    return index_select(reshape(input, (-1,)), 0, _diagonal(rows, columns, diagonal))


def _diagonal(rows, columns, diagonal):
    """Where the elements of a diagonal lie in the memory of a matrix."""
    row = np.arange(max(0, -diagonal), min(rows, columns - diagonal))
    return row * (columns + 1) + diagonal


def _rows_written(op, write, input, dim, index, source):
    x, key = _rows(op, input, dim, index)
    if array(source).dtype != array(input).dtype:
        raise RuntimeError(
            f"{op}(): self and source expected to have the same dtype, but got (self) {array(input).dtype} and "
            f"(source) {array(source).dtype}"
        )
    expected = list(array(x).shape)
    expected[len(key) - 1] = key[-1].size
    source = at_least_1d(source)
    if list(array(source).shape) != expected:
        raise RuntimeError(f"{op}(): expected source of shape {expected}, got {list(array(source).shape)}")
    return reshape(write(x, key, source), array(input).shape)


def index_add(input, dim, index, source, *, alpha=1):
    """A copy of `input` with the slices of ``alpha * source`` added at `index` along `dim`; repeated indices add up."""
    if alpha != 1:
        source = source * convert_number(alpha, array(source).dtype)
    return _rows_written("index_add", accumulate, input, dim, index, source)


def index_copy(input, dim, index, source):
    """A copy of `input` with the slices at `index` along `dim` replaced by those of `source`."""
    if autocasting.regions:
        input, source = autocasting.prepared("index_copy", (input, source))
    return _rows_written("index_copy", put, input, dim, index, source)


def index_fill(input, dim, index, value):
    """A copy of `input` with the slices at `index` along `dim` filled with a number or 0-d tensor."""
    x, key = _rows("index_fill", input, dim, index)
    return reshape(put(x, key, fill_values(input, value, array(x)[key].shape)), array(input).shape)


def fill_values(input, value, shape):
    """`value`, a number or a 0-d tensor, in the dtype of `input` and expanded to `shape`."""
    dtype = array(input).dtype
    if not hasattr(array(value), "shape"):
        number = convert_number(value, dtype)
        plain = shape == () and type(array(input)) is np.ndarray
        return number if plain else np.full_like(array(input), number[()], shape=shape)
    if array(value).ndim:
        raise RuntimeError(f"expected a number or a 0-dimensional value tensor, got one of {array(value).ndim} dimensions")
    return expand_to(cast(value, dtype), shape)
