"""Devices: where the memory of a tensor lies, and how it gets elsewhere."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from tinyrnn.kernels.gpu import loader

_TYPES = ("cpu", "cuda")


class device:  # noqa: N801 (PyTorch's name)
    """``device("cpu")``, ``device("cuda:0")``, ``device("cuda", 0)`` or ``device(0)``.

    It has a `type` and an `index`; None is the current one.

    Raises
    ------
    RuntimeError
        If there is no such kind of device, or its number is not one.
    """

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __init__(self, type: str | int | device, index: int | None = None) -> None:
        if isinstance(type, device):
            index = type.index
            type = type.type
        elif isinstance(type, int) and index is None and not isinstance(type, bool):
            index = type
            type = "cuda"
        if not isinstance(type, str):
            raise TypeError(f"device: expected a string such as 'cpu', got {type!r}")
        name, colon, number = type.partition(":")
        if name not in _TYPES:
            raise RuntimeError(f"there is no device {type!r}: tinyrnn knows {' and '.join(map(repr, _TYPES))}")
        if colon:
            if not number.isdecimal() or index is not None:
                raise RuntimeError(f"invalid device string {type!r}: expected the form 'cuda' or 'cuda:0'")
            index = int(number)
        if index is not None and index < 0:
            raise RuntimeError(f"device index must not be negative, got {index}")
        self.type = name
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type='{self.type}'{'' if self.index is None else f', index={self.index}'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        """In a ``with`` block: the default device."""
        outer = _default.device
        set_default_device(self)
        _default.outer.append(outer)
        return self

    def __exit__(self, *error: object) -> None:
        _default.device = _default.outer.pop()


CPU = device("cpu")


class _Default(threading.local):
    """`device`, and in `outer` those that ``with`` blocks around it will come back to."""

    def __init__(self) -> None:
        self.device = CPU
        self.outer: list[device] = []


_default = _Default()


def get_default_device() -> device:
    """Where tensors are made if nobody says: the CPU, or what `set_default_device` or ``with device(...)`` said."""
    return _default.device


def set_default_device(device: Any) -> None:
    """Make tensors on `device` (a device or a string) from now on, in this thread; None is the CPU.

    Raises
    ------
    RuntimeError
        If tensors cannot be made there, saying what is missing.
    """
    _default.device = CPU if device is None else available(device)


def of_array(array: Any) -> device:
    """Where an array lies."""
    return CPU if isinstance(array, (np.ndarray, np.generic)) else device("cuda", array.device.id)


def is_array(value: Any) -> bool:
    """Whether a value is an array of one of the devices."""
    return isinstance(value, np.ndarray) or loader.is_array(value)


def available(value: Any) -> device:
    """The device meant by a device, a string or the number of a GPU: `CPU` itself, or a GPU with its number.

    Raises
    ------
    RuntimeError
        If tensors cannot be made there, saying what is missing.
    """
    found = device(value)
    if found.type == "cuda":
        return device("cuda", loader.number_of_gpu(found.index))
    if found.index:
        raise RuntimeError(f"device '{found}' does not exist: there is one CPU device, 'cpu'")
    return CPU


def library(where: Any) -> Any:
    """The library whose arrays lie on a device: NumPy or CuPy. `where` : a device, a string or None, for the default."""
    found = _default.device if where is None else available(where)
    return np if found.type == "cpu" else loader.cupy()


def in_main_memory(array: Any) -> np.ndarray:
    """What NumPy makes of a number or a sequence, an array of its itself, or a copy of one that lies on a GPU."""
    return loader.moved(array, None) if loader.is_array(array) else np.asarray(array)


def put(array: Any, where: Any) -> Any:
    """An array with the same numbers on a device: the same array if it lies there. None is the default device."""
    if where is None:
        if _default.device is CPU and type(array) is np.ndarray:
            return array
        where = _default.device
    target = available(where)
    return array if target == of_array(array) else loader.moved(array, target.index)
