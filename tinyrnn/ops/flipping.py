"""Copies with the elements along a dimension in another order: flip reverses them, roll moves them round."""

from __future__ import annotations

import numpy as np

from tinyrnn.engine.tape import record
from tinyrnn.ops.casting import array
from tinyrnn.ops.shaping import as_sizes
from tinyrnn.ops.slicing import wrap_dims


def flip(input, *sizes, dims=None):
    """A copy with the order of the elements reversed along `dims`."""
    x = array(input)
    which = wrap_dims(as_sizes("flip", sizes, dims), x.ndim)
    if len(set(which)) != len(which):
        raise RuntimeError(f"flip: dim {max(which, key=which.count)} appears multiple times in the list of dims")
    turned = np.flip(x, which) if x.ndim else x
    return record(flip_backward, (input,), turned.copy(order="C"), (which,))


def flip_backward(node, g, dims):
    return flip(g, dims)


def roll(input, shifts, dims=None):
    """A copy with the elements moved by `shifts` along `dims`, those leaving at the end coming back at the start.

    Without `dims` the tensor is rolled as if it were flat.
    """
    x = array(input)
    shifts = as_sizes("roll", (shifts,))
    if dims is not None:
        dims = wrap_dims(dims, x.ndim)
    if len(shifts) != (1 if dims is None or not len(dims) else len(dims)):
        raise RuntimeError(
            f"roll: shifts and dimensions must align. shifts: {len(shifts)}, dims: {0 if dims is None else len(dims)}"
        )
    return record(roll_backward, (input,), np.roll(x, shifts if dims else shifts[0], dims or None), (shifts, dims))


def roll_backward(node, g, shifts, dims):
    return roll(g, tuple([-shift for shift in shifts]), dims)
