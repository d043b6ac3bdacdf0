"""Copies from one device to another; the gradient goes the way back."""

from __future__ import annotations

import numpy as np

from tinyrnn import devices
from tinyrnn.engine.tape import record
from tinyrnn.ops.casting import array


def transfer(input, device):
    """`input` on a device; `input` itself if it lies there."""
    data = array(input)
    source = devices.of_array(data)
    if source == device:
        return input
    return record(transfer_backward, (input,), devices.put(data, device), (source,))


def transfer_backward(node, g, source):
    return transfer(g, source)


def on_one_device(a, b):
    """Two operands on one device: of two that are apart, one may be 0-d and in main memory, and follows the other.

    Raises
    ------
    RuntimeError
        If they lie on different devices otherwise.
    """
    first, second = devices.of_array(array(a)), devices.of_array(array(b))
    if first == second:
        return a, b
    if first == devices.CPU and array(a).ndim == 0:
        return transfer(a, second), b
    if second == devices.CPU and array(b).ndim == 0:
        return a, transfer(b, first)
    raise _apart(first, second)


def require_one_device(*tensors):
    """RuntimeError if some of the tensors lie on another device than the first; None is none."""
    first = array(tensors[0])
    for tensor in tensors:
        data = array(tensor)
        if type(data) is not type(first) and data is not None and devices.of_array(data) != devices.of_array(first):
            raise _apart(devices.of_array(first), devices.of_array(data))


def beside(values, data):
    """Indices, ids or targets as an array on the device of the array `data`: those in main memory follow it there.

    Raises
    ------
    RuntimeError
        If they lie on a GPU, and `data` does not.
    """
    if type(values) is not type(data) and isinstance(data, np.ndarray):
        require_one_device(data, values)
    return np.asarray(values, like=data)


def _apart(first, second):
    return RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {first} and {second}! Move one with "
        f"tensor.to({str(first)!r})"
    )
