"""Reductions: sums, moments, products, truth; and running sums. Extremes and norms have files of their own."""

from __future__ import annotations

import functools
import math
import warnings
from functools import partial

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.kernels.narrow import widened
from tinyrnn.ops import arithmetic, autocasting, elementary
from tinyrnn.ops.arithmetic import add, mul, sub
from tinyrnn.ops.broadcasting import stretch
from tinyrnn.ops.casting import array, cast, quiet, without_gradient
from tinyrnn.ops.shaping import at_least_1d, broadcast_tensors, clone, reshape
from tinyrnn.ops.slicing import stack, wrap_dim
from tinyrnn.ops.views import record_view

_NUMPY_NAMES = (("axis", "dim"), ("keepdims", "keepdim"))

# ---- dimensions ----------------------------------------------------------------------------------------------------


def numpy_names(op):
    """Let an op take NumPy's names `axis` and `keepdims` for `dim` and `keepdim`, as PyTorch's do."""

    @functools.wraps(op)
    def call(*args, **kwargs):
        for name, meant in _NUMPY_NAMES if kwargs else ():
            if name in kwargs:
                if meant in kwargs:
                    raise TypeError(f"{op.__name__}() got both {meant!r} and {name!r}, which mean the same")
                kwargs[meant] = kwargs.pop(name)
        if autocasting.regions:
            args, kwargs = autocasting.prepared(op.__name__, (args, kwargs))
        return op(*args, **kwargs)

    return call


def axes_of(dim, ndim):
    """`dim` (None or empty: all; an int; a tuple) as a tuple of axes. Of a 0-d tensor there are none."""
    if dim is None:
        return tuple(range(ndim))
    if type(dim) is int:
        axis = wrap_dim(dim, ndim)
        return (axis,) if ndim else ()
    axes = tuple([wrap_dim(each, ndim) for each in (dim if isinstance(dim, (tuple, list)) else (dim,))])
    for axis in axes:
        if axes.count(axis) > 1:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
    return axes if axes and ndim else tuple(range(ndim))


def reduced_shape(shape, axes, keepdim):
    """`shape` without the axes, or with 1 in their place."""
    if len(axes) == len(shape) and not keepdim:
        return ()
    if keepdim:
        return tuple([1 if i in axes else size for i, size in enumerate(shape)])
    return tuple([size for i, size in enumerate(shape) if i not in axes])


def count_along(shape, axes):
    """How many elements go into one element of the result."""
    return math.prod([shape[axis] for axis in axes])


def require_float(x, name):
    data = array(x)
    if data.dtype.kind not in dtypes.FLOATS:
        raise RuntimeError(f"{name}(): expected a floating-point tensor, got {dtypes.of_array(data)}; convert it with .float()")
    return data


# ---- sums ----------------------------------------------------------------------------------------------------------


@numpy_names
def sum(input, dim=None, keepdim=False, *, dtype=None):
    """The sum over the dimensions `dim` (all of them by default); of integers and booleans in int64."""
    data = array(input)
    if dtype is not None or data.dtype.kind in "biu":
        input = cast(input, np.dtype(np.int64) if dtype is None else dtypes.as_dtype(dtype).numpy)
    shape = data.shape
    axes = axes_of(dim, len(shape))
    return sum_over(input, axes, reduced_shape(shape, axes, keepdim))


def sum_over(x, axes, shape):
    """`x` summed over `axes`, as an array of `shape`; the adjoint of `spread`."""
    data = array(x)
    return record(sum_backward, (x,), backend(data).sum_forward(data, axes).reshape(shape), (data.shape, axes))


def sum_backward(node, g, shape, axes):
    return spread(g, shape, axes)


def spread(x, shape, axes):
    """Undo the change of shape of a reduction over `axes`: `x` repeated along them, to `shape`."""
    data = array(x)
    repeated = stretch(data.reshape(reduced_shape(shape, axes, True)), shape)
    return record_view(spread_backward, x, repeated, partial(spread, shape=shape, axes=axes), (data.shape, axes))


def spread_backward(node, g, shape, axes):
    return sum_over(g, axes, shape)


@numpy_names
def mean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over the dimensions `dim` (all of them by default); NaN if there are no elements.

    Raises
    ------
    RuntimeError
        If `input` is not floating-point and no floating-point `dtype` is given.
    """
    if dtype is not None:
        input = cast(input, dtypes.as_dtype(dtype).numpy)
    data = array(input)
    if data.dtype.kind not in dtypes.FLOATS:
        raise RuntimeError(
            f"mean(): could not infer output dtype. Input dtype must be floating point, got {dtypes.of_array(data)}; "
            f"convert it with .float() or pass dtype="
        )
    axes = axes_of(dim, data.ndim)
    return record(mean_backward, (input,), _mean(data, axes, keepdim), (data.shape, axes))


def _mean(data, axes, keepdim):
    wide = widened(data)
    total = backend(wide).sum_forward(wide, axes).reshape(reduced_shape(data.shape, axes, keepdim))
    mean = backend(wide).div_forward(total, count_along(data.shape, axes))
    return as_array(mean).astype(data.dtype, copy=False)


def mean_backward(node, g, shape, axes):
    return spread(arithmetic.div(g, count_along(shape, axes) or 1), shape, axes)


@numpy_names
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance over `dim`: the sum of squared deviations divided by ``n - correction``.

    `correction` is 1 (Bessel's) unless given; ``unbiased=False`` is another name for ``correction=0``. ``var(input, False)``
    reduces over all dimensions, as in PyTorch.
    """
    return _var("var", input, dim, unbiased, keepdim, correction)


@numpy_names
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation: the square root of `var`. Its gradient is 0 where it is 0."""
    return root(_var("std", input, dim, unbiased, keepdim, correction))


def _var(name, input, dim, unbiased, keepdim, correction):
    data = require_float(input, name)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise TypeError(f"{name}(): give either unbiased or correction, not both")
        correction = 1 if unbiased else 0
    axes = axes_of(dim, data.ndim)
    freedom = count_along(data.shape, axes) - (1 if correction is None else correction)
    if freedom <= 0:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input "
            f"numel divided by output numel).",
            stacklevel=3,
        )
    wide = widened(data)
    with np.errstate(all="ignore"):
        deviation = wide - _mean(wide, axes, True)
        y = as_array((deviation * deviation).sum(axis=axes, keepdims=bool(keepdim)) / max(freedom, 0))
    return record(var_backward, (input,), y.astype(data.dtype, copy=False), (input, axes, freedom))


def var_backward(node, g, x, axes, freedom):
    shape = array(x).shape
    deviation = sub(x, spread(mean(x, axes, keepdim=True), shape, axes))
    return mul(spread(mul(g, 2 / freedom if freedom else math.inf), shape, axes), deviation)


@quiet
def root(x):
    """The square root, with gradient 0 (instead of infinity) at 0."""
    y = as_array(np.sqrt(array(x)))
    return record(root_backward, (x,), y, (y,))


def root_backward(node, g, y):
    return mul(mul(g, 0.5), inverse(y))


@quiet
def inverse(x):
    """``1 / x``, and 0 where x is 0, which makes 0 the gradient there as well."""
    data = array(x)
    y = as_array(1 / backend(data).where_forward(data == 0, data.dtype.type(math.inf), data, data.dtype))
    return record(inverse_backward, (x,), y, (y,))


def inverse_backward(node, g, y):
    return arithmetic.neg(mul(g, mul(y, y)))


@numpy_names
def logsumexp(input, dim, keepdim=False):
    """``log(sum(exp(input)))`` over `dim`, without overflow; -inf if there are no elements."""
    if array(input).dtype.kind not in dtypes.FLOATS:
        input = cast(input, dtypes.get_default_dtype().numpy)
    data = array(input)
    axes = axes_of(dim, data.ndim)
    wide = widened(data)
    with np.errstate(all="ignore"):
        top = wide.max(axis=axes, keepdims=True) if count_along(data.shape, axes) else wide.dtype.type(0)
        top = np.where(np.isfinite(top), top, wide.dtype.type(0))
        y = np.log(np.exp(wide - top).sum(axis=axes, keepdims=True)) + top
    y = y.astype(data.dtype, copy=False).reshape(reduced_shape(data.shape, axes, keepdim))
    return record(logsumexp_backward, (input,), y, (input, y, axes))


def logsumexp_backward(node, g, x, y, axes):
    shape = array(x).shape
    return mul(spread(g, shape, axes), elementary.exp(sub(x, spread(y, shape, axes))))


def logaddexp(input, other):
    """``log(exp(input) + exp(other))``, without overflow: the sum of two probabilities that are given as logarithms."""
    return autocasting.outside(logsumexp)(stack(broadcast_tensors(input, other)), 0)


@numpy_names
def cumsum(input, dim, *, dtype=None):
    """The running sums along `dim`; of integers and booleans in int64."""
    if dtype is not None or array(input).dtype.kind in "biu":
        input = cast(input, np.dtype(np.int64) if dtype is None else dtypes.as_dtype(dtype).numpy)
    return _running_sum(input, wrap_dim(dim, array(input).ndim), False)


@quiet
def _running_sum(x, axis, reverse):
    data = array(x)
    lines = widened(at_least_1d(data))
    if reverse:
        y = np.flip(np.flip(lines, axis).cumsum(axis=axis, dtype=lines.dtype), axis)
    else:
        y = lines.cumsum(axis=axis, dtype=lines.dtype)
    return record(cumsum_backward, (x,), y.astype(data.dtype, copy=False).reshape(data.shape), (axis, reverse))


def cumsum_backward(node, g, axis, reverse):
    return _running_sum(g, axis, not reverse)


# ---- products ------------------------------------------------------------------------------------------------------


@numpy_names
@quiet
def prod(input, dim=None, keepdim=False, *, dtype=None):
    """The product over `dim` (one dimension; by default all of them). Zeros among the factors are no obstacle to gradients."""
    if dtype is not None or array(input).dtype.kind in "biu":
        input = cast(input, np.dtype(np.int64) if dtype is None else dtypes.as_dtype(dtype).numpy)
    data = array(input)
    axes = axes_of(None if dim is None else wrap_dim(dim, data.ndim), data.ndim)
    y = as_array(widened(data).prod(axis=axes)).astype(data.dtype, copy=False)
    return record(prod_backward, (input,), y.reshape(reduced_shape(data.shape, axes, keepdim)), (input, axes))


def prod_backward(node, g, x, axes):
    """Each factor's gradient is the product of the others: of those before it and those after it."""
    shape = array(x).shape
    flat = x if len(axes) == 1 else reshape(x, (-1,))
    axis = axes[0] if len(axes) == 1 else 0
    others = mul(_product_of_earlier(flat, axis, 1), _product_of_earlier(flat, axis, -1))
    return mul(spread(g, shape, axes), others if len(axes) == 1 else reshape(others, shape))


@quiet
def cumprod(input, dim, *, dtype=None):
    """The running products along `dim`; of integers and booleans in int64. Zeros are no obstacle to gradients."""
    if autocasting.regions:
        input = autocasting.prepared("cumprod", input)
    if dtype is not None or array(input).dtype.kind in "biu":
        input = cast(input, np.dtype(np.int64) if dtype is None else dtypes.as_dtype(dtype).numpy)
    data = array(input)
    axis = wrap_dim(dim, data.ndim)
    if data.ndim == 0:
        return clone(input)
    wide = widened(data)
    y = wide.cumprod(axis=axis, dtype=wide.dtype).astype(data.dtype, copy=False)
    return record(cumprod_backward, (input,), y, (input, axis))


def cumprod_backward(node, g, x, axis):
    """x_i takes part in the products from i on: the factors before it, times g_i + x_(i+1) (g_(i+1) + x_(i+2) (...))."""
    total, factor, step = g, _shift(x, axis, -1, 0), -1
    while abs(step) <= array(x).shape[axis]:
        total = add(total, mul(factor, _shift(total, axis, step, 0)))
        factor = mul(factor, _shift(factor, axis, step, 0))
        step *= 2
    return mul(_product_of_earlier(x, axis, 1), total)


def _product_of_earlier(x, axis, step):
    """Exclusive running products by doubling (Hillis and Steele 1986); from the back if `step` is -1."""
    y = _shift(x, axis, step, 1)
    while abs(step) < array(x).shape[axis]:
        y = mul(y, _shift(y, axis, step, 1))
        step *= 2
    return y


def _shift(x, axis, by, fill):
    """``y[i] = x[i - by]`` along `axis`, and `fill` where there is no such x."""
    data = array(x)
    y = np.full_like(data, fill)
    size = data.shape[axis]
    keep = max(size - abs(by), 0)
    source, target = (slice(0, keep), slice(size - keep, size))[:: 1 if by > 0 else -1]
    before = (slice(None),) * axis
    y[(*before, target)] = data[(*before, source)]
    return record(shift_backward, (x,), y, (axis, by))


def shift_backward(node, g, axis, by):
    return _shift(g, axis, -by, 0)


# ---- logic ---------------------------------------------------------------------------------------------------------


@numpy_names
def all(input, dim=None, keepdim=False):
    """Whether all elements along `dim` are non-zero: bool, of uint8 uint8.

    `dim` is one or several dimensions, by default all; along () each element is on its own.
    """
    return _logical("all", input, dim, keepdim)


@numpy_names
def any(input, dim=None, keepdim=False):
    """Whether any element along `dim` is non-zero: bool, of uint8 uint8.

    `dim` is one or several dimensions, by default all; along () each element is on its own.
    """
    return _logical("any", input, dim, keepdim)


def _logical(name, input, dim, keepdim):
    data = array(input)
    axes = () if isinstance(dim, (tuple, list)) and not dim else axes_of(dim, data.ndim)  # of no dimensions: as in PyTorch
    found = as_array(getattr(data != 0, name)(axis=axes, keepdims=bool(keepdim)))
    return without_gradient(found.astype(np.uint8) if data.dtype == np.uint8 else found, input)


@numpy_names
def count_nonzero(input, dim=None):
    """How many elements along `dim` (one or several dimensions; all by default) are not zero: int64."""
    data = array(input)
    return without_gradient((data != 0).sum(axis=axes_of(dim, data.ndim), dtype=np.int64), input)
