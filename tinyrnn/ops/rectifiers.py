"""Activation functions that are not in recurrent cells, most of them variants of ReLU: forward and backward side by side.

Plain Python, unlike activations.py: on small tensors they are not so often that compiling them would be worth its size.
"""

from __future__ import annotations

import math

import numpy as np

from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.base import TensorBase, as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.kernels.narrow import widened
from tinyrnn.ops import autocasting
from tinyrnn.ops.activations import sigmoid
from tinyrnn.ops.casting import array, quiet_in_16_bits, require_kind
from tinyrnn.ops.elementary import erf, exp
from tinyrnn.ops.selection import weighted, where


def leaky_relu(input, negative_slope=0.01):
    """x where x > 0, else negative_slope * x (Maas et al. 2013)."""
    x = require_kind("leaky_relu", input, FLOATS)
    y = as_array(backend(x).leaky_relu_forward(x, negative_slope))
    return record(leaky_relu_backward, (input,), y, (input, negative_slope))


@quiet_in_16_bits
def leaky_relu_backward(node, g, x, negative_slope):
    if isinstance(g, TensorBase):
        return weighted(g, np.where(array(x) > 0, 1.0, negative_slope), x)
    return as_array(backend(g).leaky_relu_backward(g, x, negative_slope))


def elu(input, alpha=1.0):
    """x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2016)."""
    x = require_kind("elu", input, FLOATS)
    y = as_array(backend(x).elu_forward(x, alpha))
    return record(elu_backward, (input,), y, (input, alpha))


@quiet_in_16_bits
def elu_backward(node, g, x, alpha):
    if not isinstance(g, TensorBase):
        return as_array(backend(g).elu_backward(g, x, alpha))
    # the exponential never sees x > 0: inf times the 0 of the branch not taken would be NaN
    return where(~(array(x) <= 0), g, g * (exp(where(array(x) < 0, x, 0)) * alpha))


@quiet_in_16_bits
def hardtanh(input, min_val=-1.0, max_val=1.0):
    """x cut off at `min_val` and `max_val`; unlike `clamp`, with gradient 0 at both."""
    x = require_kind("hardtanh", input, "iu" + FLOATS)
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is larger than max_val {max_val}; swap them")
    if x.dtype.kind == "u" and min_val <= -1:
        raise RuntimeError(f"hardtanh: min_val {min_val} is negative, but {x.dtype} is unsigned; convert with x.int() first")
    low, high = (int(min_val), int(max_val)) if x.dtype.kind not in FLOATS else (min_val, max_val)
    y = as_array(backend(x).clamp_forward(x, low, high)).astype(x.dtype, copy=False)
    return record(hardtanh_backward, (input,), y, (input, min_val, max_val))


@quiet_in_16_bits
def hardtanh_backward(node, g, x, min_val, max_val):
    data = array(x)
    return weighted(g, as_array(~((data <= min_val) | (data >= max_val))), x)


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta, and simply x where beta x > threshold."""
    if autocasting.regions:
        input = autocasting.prepared("softplus", input)
    x = require_kind("softplus", input, FLOATS)
    y = as_array(backend(x).softplus_forward(x, beta, threshold))
    return record(softplus_backward, (input,), y, (input, beta, threshold))


def softplus_backward(node, g, x, beta, threshold):
    if isinstance(g, TensorBase):
        return where(widened(array(x)) * beta > threshold, g, g * sigmoid(x * beta))
    return as_array(backend(g).softplus_backward(g, x, beta, threshold))


def logsigmoid(input):
    """log(sigmoid(x)), without underflow."""
    x = require_kind("logsigmoid", input, FLOATS)
    y = as_array(backend(x).logsigmoid_forward(x))
    return record(logsigmoid_backward, (input,), y, (input,))


def logsigmoid_backward(node, g, x):
    if isinstance(g, TensorBase):
        return g * sigmoid(-x)
    return as_array(backend(g).logsigmoid_backward(g, x))


def silu(input):
    """x sigmoid(x), also called swish (Elfwing et al. 2018)."""
    x = require_kind("silu", input, FLOATS)
    y = as_array(backend(x).silu_forward(x))
    return record(silu_backward, (input,), y, (input,))


def silu_backward(node, g, x):
    if isinstance(g, TensorBase):
        s = sigmoid(x)
        return g * (s * (1 + x * (1 - s)))
    return as_array(backend(g).silu_backward(g, x))


def gelu(input, approximate="none"):
    """x Phi(x), Phi being the cumulative distribution of the standard normal (Hendrycks and Gimpel 2016).

    Parameters
    ----------
    input : floating-point tensor.
    approximate : 'none' computes Phi with erf, 'tanh' as (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.

    Raises
    ------
    RuntimeError
        If `approximate` is neither.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate argument must be either 'none' or 'tanh', got {approximate!r}")
    x = require_kind("gelu", input, FLOATS)
    y = as_array(backend(x).gelu_forward(x, approximate))
    return record(gelu_backward, (input,), y, (input, approximate))


def gelu_backward(node, g, x, approximate):
    if not isinstance(g, TensorBase):
        return as_array(backend(g).gelu_backward(g, x, approximate))
    if approximate == "none":
        phi = exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
        return g * ((1 + erf(x * math.sqrt(0.5))) * 0.5 + x * phi)
    scale = 2 * math.sqrt(2 / math.pi)
    z = (x + x * x * x * 0.044715) * scale
    cdf = sigmoid(z)  # (1 + tanh(z / 2)) / 2
    return g * (cdf + x * cdf * sigmoid(-z) * (1 + x * x * (3 * 0.044715)) * scale)
