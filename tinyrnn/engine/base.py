"""What the tape needs to know of a tensor: its array, its gradient, and the edge that leads back to its maker.

Plain Python, compiled by Cython from this very file (types in ``base.pxd``). Knows no op, no layer and no device.
"""

from __future__ import annotations

import numpy as np


class Version:
    """Counts (in `count`) the writes to one piece of memory; a tensor shares it with its views."""


class Edge:
    """Where a gradient goes next: `source` is a node and `index` one of its outputs, or a leaf tensor and 0."""


class View:
    """How a tensor is a window onto another one.

    `base` owns the memory, `replay(base)` makes the view again (None if it was made while nothing was recorded), and
    `stamp` is the version of the memory for which the edge of the view was right.
    """

    def __init__(self, base, replay, stamp):
        self.base = base
        self.replay = replay
        self.stamp = stamp


class TensorBase:
    """An array on the tape.

    array
        The numbers: a NumPy or CuPy array; never a NumPy scalar.
    grad
        A tensor of the same shape, or None.
    edge
        Leads to the node that made this tensor; None for leaves and constants.
    tracked
        True for a leaf that collects a gradient.
    version
        Counts writes to the memory of `array`, also those through views; None until somebody asks (`version_of`).
    view
        A View, if the memory belongs to another tensor.
    hooks
        Of a leaf: functions called with its gradient, by handle number.
    """

    def __init__(self, array, tracked=False):
        self.array = array
        self.tracked = tracked
        self.grad = None
        self.edge = None
        self.version = None
        self.view = None
        self.hooks = None

    def __hash__(self):
        return id(self) >> 4  # by identity: `==` on tensors compares element by element

    def __reduce_ex__(self, protocol):
        raise TypeError("a tensor is never pickled: save it with safetensors, or send tensor.numpy() instead")


_tensor_class = TensorBase
_ndarray = np.ndarray


def register_tensor_class(cls):
    """Say which subclass of TensorBase wraps the arrays that ops return; it lives above the ops."""
    global _tensor_class
    _tensor_class = cls
    return cls


def wrap(array):
    """A new tensor around `array`, with no history."""
    return _tensor_class(array)


def version_of(tensor):
    """The write counter of the tensor's memory, made on first use."""
    version = tensor.version
    if version is None:
        version = tensor.version = Version.__new__(Version)
        version.count = 0
    return version


def edge_to(source, index):
    """An edge; made without a constructor call, which would take longer than the rest of a small op's bookkeeping."""
    edge = Edge.__new__(Edge)
    edge.source = source
    edge.index = index
    return edge


def as_array(value):
    """Turn the scalars that NumPy returns in place of 0-d arrays back into arrays."""
    if type(value) is _ndarray or not isinstance(value, np.generic):
        return value
    return np.asarray(value)
