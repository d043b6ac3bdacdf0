"""What the tape needs to know of a tensor: its array, its gradient, and the node that made it."""

from __future__ import annotations

try:
    import cython
except ImportError:
    from tinyrnn import _uncompiled as cython

import operator

import numpy as np

if not cython.compiled:  # else it comes from cinterpreter.pxd
    from tinyrnn._uncompiled import new_tensor


@cython.freelist(1024)
@cython.final
@cython.cclass
class Version:
    """Counts (in `count`) the writes to one piece of memory; a tensor shares it with its views."""


class View:
    """How a tensor is a window onto another one.

    `base` owns the memory, `replay(base)` makes the view again (None if it was made while nothing was recorded), and
    `stamp` is the version of the memory for which the node of the view was right.
    """

    def __init__(self, base, replay, stamp):
        self.base = base
        self.replay = replay
        self.stamp = stamp


@cython.trashcan(True)
@cython.cclass
class TensorBase:
    """An array on the tape.

    array : the numbers: a NumPy or CuPy array; never a NumPy scalar.
    grad : a tensor of the same shape, or None.
    node, output : the node that made this tensor, and which of its outputs this is; None and 0 for leaves and constants.
    tracked : True for a leaf that collects a gradient.
    version : counts writes to the memory of `array`, also those through views; None until asked for (`version_of`).
    window : a View, if the memory belongs to another tensor.
    hooks : of a leaf: functions called with its gradient, by key.
    """

    def __init__(self, array, tracked=False):
        self.array = array
        self.tracked = tracked
        self.grad = None
        self.node = None
        self.output = 0
        self.version = None
        self.window = None
        self.hooks = None

    def __reduce_ex__(self, protocol):
        raise TypeError("a tensor is never pickled: save it with safetensors, or send tensor.numpy() instead")


_tensor_class = TensorBase
_add, _add_into = operator.add, operator.iadd
_ndarray = np.ndarray


def register(tensor_class, add, add_into):
    """Say which subclass of TensorBase wraps arrays, and what adds two gradients, the latter in place: all live above us."""
    global _tensor_class, _add, _add_into
    _tensor_class, _add, _add_into = tensor_class, add, add_into


def add(a, b):
    """a + b of two arrays or tensors, as such."""
    return _add(a, b)


def add_into(total, array):
    """``total += array``, in the memory of `total`."""
    _add_into(total, array)


def wrap(array):
    """A new tensor around `array`, with no history."""
    tensor = new_tensor(_tensor_class)
    tensor.array = array
    return tensor


def version_of(tensor):
    """The write counter of the tensor's memory, made on first use."""
    version = tensor.version
    if version is None:
        version = tensor.version = Version.__new__(Version)
        version.count = 0
    return version


def as_array(value):
    """Turn the scalars that NumPy returns in place of 0-d arrays back into arrays."""
    if type(value) is _ndarray or not isinstance(value, np.generic):
        return value
    return np.asarray(value)
