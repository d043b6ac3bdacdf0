"""Every kernel in plain NumPy, for any float dtype: the oracle of the compiled ones, and what runs where none is compiled.

Signatures and contracts are those of interface.py.
"""

from __future__ import annotations

import numpy as np

# ---- arithmetic ----------------------------------------------------------------------------------------------------

add_forward = np.add
sub_forward = np.subtract
mul_forward = np.multiply
div_forward = np.true_divide


# ---- activations ---------------------------------------------------------------------------------------------------


def tanh_forward(x):
    return np.tanh(x)


def tanh_backward(grad, y):
    return grad * (1 - y * y)


def sigmoid_forward(x):
    # exp only ever sees -|x|, so it cannot overflow
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype, copy=False)


def sigmoid_backward(grad, y):
    return grad * y * (1 - y)
