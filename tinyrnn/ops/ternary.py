"""Arithmetic of three operands."""

from __future__ import annotations

from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.arithmetic import add, div, mul, sub
from tinyrnn.ops.broadcasting import broadcast_shape, expand_to, has_shape
from tinyrnn.ops.casting import array


def lerp(input, end, weight):
    """input + weight * (end - input), `weight` being a number or a tensor of the same dtype."""
    for name, x in (("end", end), ("weight", weight)):
        if has_shape(array(x)) and array(x).dtype != array(input).dtype:
            raise RuntimeError(f"lerp: expected {name} of {array(input).dtype}, got {array(x).dtype}; cast it first")
    if array(input).dtype.kind not in FLOATS:
        raise NotImplementedError(f"lerp is not implemented for {array(input).dtype} tensors; use x.float()")
    if type(weight) in (int, float) and type(array(input)) is type(array(end)):
        shape = broadcast_shape(array(input).shape, array(end).shape)
        input, end = expand_to(input, shape), expand_to(end, shape)
        between = backend(array(input)).lerp_forward(array(input), array(end), weight)
        return record(lerp_backward, (input, end), between, (weight,))
    return add(input, mul(sub(end, input), weight))


def lerp_backward(node, g, weight):
    return mul(g, 1 - weight) if node.needs(0) else None, mul(g, weight) if node.needs(1) else None


def addcmul(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 * tensor2."""
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 / tensor2."""
    return add(input, div(tensor1, tensor2), alpha=value)
