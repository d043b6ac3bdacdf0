"""Stands in for ``cython`` where Cython is not installed and the engine runs as plain Python: the decorators do nothing."""

from __future__ import annotations

import operator
import sys

import numpy as np


def _unchanged(cls):
    return cls


def freelist(size):
    return _unchanged


compiled = False
trashcan = freelist
cclass = final = _unchanged


# Likewise for cinterpreter.pxd.
innermost_frame = sys._getframe
frame_code = operator.attrgetter("f_code")
frame_instruction = operator.attrgetter("f_lasti")
code_file = operator.attrgetter("co_filename")


def new_tensor(cls):
    """A tensor of class `cls` without an array, past the constructor of `cls`, which is for users."""
    tensor = cls.__new__(cls)
    base = cls.__mro__[-2]  # TensorBase, which is only about to be defined where this is imported
    base.__init__(tensor, None)
    return tensor


# And for kernels/cpu/elementwise.pxd: uncompiled, there is no shortcut for small arrays.
def _no_shortcut(*arrays):
    return None


small_add = small_add_into = small_sub = small_mul = small_div = small_neg = small_tanh = small_tanh_backward = _no_shortcut

stretched = np.broadcast_to
