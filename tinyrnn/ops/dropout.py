"""Dropout (Srivastava et al. 2014), in the inverted form: what is kept is scaled up in training."""

from __future__ import annotations

from tinyrnn import dtypes
from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.generator import default_generator
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.casting import array


def dropout(input, p=0.5, training=True):
    """In training, zero each element with probability `p` and multiply the others by ``1 / (1 - p)``; else `input`.

    Raises
    ------
    ValueError
        If `p` is not between 0 and 1.
    RuntimeError
        If the elements are not floating-point.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    x = array(input)
    if not training or p == 0 or x.size == 0:
        return input
    if x.dtype.kind not in dtypes.FLOATS:
        found = dtypes.of_array(x)
        raise RuntimeError(f"dropout(): expected a floating-point tensor, got {found}; convert it with .float()")
    seed, call = default_generator.next_mask()
    y = as_array(backend(x).dropout_forward(x, p, seed, call))
    return record(dropout_backward, (input,), y, (p, seed, call))


def dropout_backward(node, g, p, seed, call):
    """The same mask, drawn once more: nothing of it was kept."""
    data = array(g)
    grad = as_array(backend(data).dropout_backward(data, p, seed, call))
    return record(dropout_backward, (g,), grad, (p, seed, call))


def keep_mask(like, shape, p, scale=None):
    """An array of `shape` in the type and dtype of the array `like`: 0 with probability `p`, else `scale`.

    By default `scale` is 1 / (1 - p), for dropout; 1 makes masks of zeros and ones.
    """
    if scale is None:
        scale = 1 / (1 - p) if p < 1 else 0.0
    return backend(like).keep_mask(like, tuple(shape), p, scale, *default_generator.next_mask())
