"""Picks the kernels for an array by its type.

NumPy arrays get the compiled kernels (where there are any) and subclasses of them the reference; other libraries' arrays get
what was registered for them. A set of kernels is anything with the functions of interface.py as attributes, such as a module.

Plain Python, compiled by Cython from this very file (types in ``dispatch.pxd``).
"""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels import cpu, reference

_registered = {np.ndarray: cpu}
_backends = dict(_registered)  # and what was found for other types


def backend(array):
    """The kernels for this array."""
    kernels = _backends.get(type(array))
    return _find(type(array)) if kernels is None else kernels


def register(array_type, kernels):
    """Use `kernels` for arrays of exactly this type, and of its subclasses that have none of their own."""
    _registered[array_type] = kernels
    _forget_found()


def unregister(array_type):
    """Take back `register`."""
    del _registered[array_type]
    _forget_found()


def _forget_found():
    _backends.clear()
    _backends.update(_registered)


def _find(array_type):
    for base in array_type.__mro__:
        # np.generic: what NumPy makes of 0-d arrays in arithmetic, such as a gradient on its way back
        kernels = reference if base is np.ndarray or base is np.generic else _registered.get(base)
        if kernels is not None:
            _backends[array_type] = kernels
            return kernels
    raise TypeError(
        f"no kernels for {array_type.__module__}.{array_type.__qualname__}: expected a NumPy array or another array type that "
        f"was registered; make a tensor of it first, with tinyrnn.tensor(...)"
    )
