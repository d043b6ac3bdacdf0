"""Layer normalization (Ba, Kiros and Hinton 2016)."""

from __future__ import annotations

import math
import operator

import numpy as np

from tinyrnn import dtypes
from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops import autocasting, reductions
from tinyrnn.ops.arithmetic import add, mul, sub
from tinyrnn.ops.broadcasting import expand_to
from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.reductions import inverse, root
from tinyrnn.ops.transfer import require_one_device


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Bring `input` to mean 0 and variance 1 over its last dimensions, then scale and shift.

    ``y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias``, the variance without Bessel's correction.

    Parameters
    ----------
    normalized_shape : the sizes of the dimensions to normalize over, which are the last ones of `input`.
    weight, bias : of that shape, or None; float32 may go with an input of 16 bits.

    Raises
    ------
    RuntimeError
        If shapes or dtypes do not fit together.
    """
    if autocasting.regions:
        input, weight, bias = autocasting.prepared("layer_norm", (input, weight, bias))
    if hasattr(normalized_shape, "__index__"):
        raise TypeError(
            f"layer_norm: normalized_shape must be a tuple of ints, got {normalized_shape}; write ({normalized_shape},)"
        )
    normalized_shape = tuple([operator.index(size) for size in normalized_shape])
    x, scale, shift = array(input), array(weight), array(bias)
    if x.itemsize == 2 and scale is not None and scale.dtype == np.float32:
        wide = layer_norm(cast(input, scale.dtype), normalized_shape, weight, bias, eps)
        return cast(wide, x.dtype)
    require_one_device(x, scale, shift)
    _check(x, normalized_shape, scale, shift)
    rows = _rows(x.shape, normalized_shape)
    scale, shift = [None if each is None else each.reshape(-1) for each in (scale, shift)]
    y, mean, rstd = backend(x).layer_norm_forward(x.reshape(rows), scale, shift, eps)
    saved = (input, weight, mean, rstd, normalized_shape, eps)
    return record(layer_norm_backward, (input, weight, bias), y.reshape(x.shape), saved)


def _rows(shape, normalized_shape):
    """The shape of the matrix whose rows are normalized."""
    return math.prod(shape[: len(shape) - len(normalized_shape)]), math.prod(normalized_shape)


def _check(x, normalized_shape, weight, bias):
    if not normalized_shape:
        raise RuntimeError("layer_norm: expected normalized_shape to have at least one dimension, got ()")
    if x.shape[-len(normalized_shape) :] != normalized_shape:
        raise RuntimeError(
            f"layer_norm: given normalized_shape={normalized_shape}, expected an input whose shape ends with it, got {x.shape}"
        )
    if x.dtype.kind not in dtypes.FLOATS:
        raise RuntimeError(f"layer_norm: expected a floating-point input, got {dtypes.of_array(x)}")
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != normalized_shape:
            raise RuntimeError(
                f"layer_norm: expected {name} to have the shape normalized_shape={normalized_shape}, got {parameter.shape}"
            )
        if parameter is not None and parameter.dtype != x.dtype:
            raise RuntimeError(f"layer_norm: input is {x.dtype} but {name} is {parameter.dtype}; convert one of them")


def layer_norm_backward(node, g, x, weight, mean, rstd, normalized_shape, eps):
    if isinstance(g, TensorBase):
        return _composed_backward(g, x, weight, normalized_shape, eps)
    rows = _rows(x.shape, normalized_shape)
    scale = None if weight is None else weight.reshape(-1)
    kernel = backend(g).layer_norm_backward
    grad_x, grad_weight, grad_bias = kernel(g.reshape(rows), x.reshape(rows), mean, rstd, scale)
    return grad_x.reshape(x.shape), grad_weight.reshape(normalized_shape), grad_bias.reshape(normalized_shape)


def _composed_backward(g, x, weight, normalized_shape, eps):
    """The gradients as recorded ops: dx = (h - mean(h) - xhat mean(h xhat)) / std, where h = g weight."""
    shape = array(x).shape
    last = tuple(range(-len(normalized_shape), 0))
    first = tuple(range(len(shape) - len(normalized_shape)))

    def average(z):
        return expand_to(reductions.mean(z, last, keepdim=True), shape)

    deviation = sub(x, average(x))
    rstd = inverse(root(add(average(mul(deviation, deviation)), eps)))
    normalized = mul(deviation, rstd)
    inner = g if weight is None else mul(g, weight)
    grad_x = mul(sub(sub(inner, average(inner)), mul(normalized, average(mul(inner, normalized)))), rstd)
    if not first:
        return grad_x, mul(g, normalized), g
    return grad_x, reductions.sum(mul(g, normalized), first), reductions.sum(g, first)
