"""By mask: masked_fill, masked_select, the triangles tril and triu, and nonzero, which turns a mask into indices."""

from __future__ import annotations

import numpy as np

from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.broadcasting import broadcast_shape, expand_to, sum_to
from tinyrnn.ops.casting import array, without_gradient
from tinyrnn.ops.gathering import fill_values
from tinyrnn.ops.indexing import getitem
from tinyrnn.ops.transfer import require_one_device


def _mask(op, mask):
    if array(mask).dtype != bool:
        raise RuntimeError(f"{op} only supports boolean masks, but got mask with dtype {array(mask).dtype}")
    return array(mask)


def masked_fill(input, mask, value):
    """A copy of `input` with `value` (a number or 0-d tensor) wherever `mask`, which broadcasts with it, is True."""
    require_one_device(input, mask)
    shape = broadcast_shape(array(input).shape, _mask("masked_fill", mask).shape)
    value = fill_values(input, value, ())
    input = expand_to(input, shape)
    filled = backend(array(input)).where_forward(array(mask), array(value), array(input), array(input).dtype)
    return record(masked_fill_backward, (input, value), filled, (mask,))


def masked_fill_backward(node, g, mask):
    g_input = masked_fill(g, mask, 0) if node.needs(0) else None
    return g_input, sum_to(masked_fill(g, ~array(mask), 0), ()) if node.needs(1) else None


def masked_select(input, mask):
    """The elements of `input` at which `mask`, which broadcasts with it, is True, as a vector."""
    require_one_device(input, mask)
    shape = broadcast_shape(array(input).shape, _mask("masked_select", mask).shape)
    return getitem(expand_to(input, shape), np.broadcast_to(array(mask), shape))


# ---- triangles ----


def tril(input, diagonal=0):
    """The matrices with everything above the given diagonal set to zero."""
    return record(tril_backward, (input,), _triangle("tril", input, diagonal), (diagonal,))


def tril_backward(node, g, diagonal):
    return tril(g, diagonal)


def triu(input, diagonal=0):
    """The matrices with everything below the given diagonal set to zero."""
    return record(triu_backward, (input,), _triangle("triu", input, diagonal), (diagonal,))


def triu_backward(node, g, diagonal):
    return triu(g, diagonal)


def _triangle(op, input, diagonal):
    x = array(input)
    if x.ndim < 2:
        raise RuntimeError(f"{op}: input tensor must have at least 2 dimensions, got {x.ndim}")
    return getattr(np, op)(x, diagonal).astype(x.dtype, copy=False)  # CuPy's would not keep bfloat16


# ---- without gradient ----


def nonzero(input, *, as_tuple=False):
    """The indices of the elements that are not zero: (count, ndim), or with `as_tuple` one vector per dimension."""
    x = array(input)
    if as_tuple:
        return tuple([without_gradient(each, input) for each in (x if x.ndim else x.reshape(1)).nonzero()])
    places = np.stack(x.nonzero(), 1) if x.ndim else np.zeros_like(x, np.int64, shape=(int(x != 0), 0))
    return without_gradient(places, input)
