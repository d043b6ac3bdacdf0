"""The activation functions of recurrent cells: forward and backward side by side. Others are in rectifiers.py.

Each has a fused backward kernel. While backward itself is being recorded, the gradient is a tensor, and the same formula is
composed of ops instead.
"""

from __future__ import annotations

try:
    import cython
except ImportError:
    from tinyrnn import _uncompiled as cython

import numpy as np

from tinyrnn.engine.base import TensorBase, as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.casting import array, floating
from tinyrnn.ops.selection import weighted

if not cython.compiled:  # else they come from elementwise.pxd
    from tinyrnn._uncompiled import small_tanh, small_tanh_backward


def tanh(input):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)), between -1 and 1."""
    y = small_tanh(array(input))
    if y is not None:
        return record(tanh_backward, (input,), y, (y,))
    a = floating(input)
    x = array(a)
    y = as_array(backend(x).tanh_forward(x))
    return record(tanh_backward, (a,), y, (y,))


def tanh_backward(node, g, y):
    if isinstance(g, TensorBase):
        return g * (1 - y * y)
    small = small_tanh_backward(g, y)
    return as_array(backend(g).tanh_backward(g, y)) if small is None else small


def sigmoid(input):
    """1 / (1 + exp(-x)), between 0 and 1."""
    a = floating(input)
    x = array(a)
    y = as_array(backend(x).sigmoid_forward(x))
    return record(sigmoid_backward, (a,), y, (y,))


def sigmoid_backward(node, g, y):
    if isinstance(g, TensorBase):
        return g * (y * (1 - y))
    return as_array(backend(g).sigmoid_backward(g, y))


def relu(input):
    """max(x, 0); the gradient at 0 is 0 (Nair and Hinton 2010)."""
    x = array(input)
    if x.dtype.kind == "b":
        raise RuntimeError("Boolean inputs not supported for relu; convert with x.float() first")
    y = as_array(backend(x).relu_forward(x))
    return record(relu_backward, (input,), y, (y,))


def relu_backward(node, g, y):
    if isinstance(g, TensorBase):
        with np.errstate(invalid="ignore"):  # NumPy warns of NaN compared in bfloat16
            kept = ~(array(y) <= 0)
        return weighted(g, kept, y)
    return as_array(backend(g).relu_backward(g, y))
