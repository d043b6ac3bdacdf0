"""Devices: where the memory of a tensor lies."""

from __future__ import annotations

from typing import Any

import numpy as np

_TYPES = ("cpu", "cuda")


class device:  # noqa: N801 (PyTorch's name)
    """``device("cpu")``, ``device("cuda:0")`` or ``device("cuda", 0)``; has a `type` and an `index` (None: the current one).

    Raises
    ------
    RuntimeError
        If there is no such kind of device, or its number is not one.
    """

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __init__(self, type: str | device, index: int | None = None) -> None:
        if isinstance(type, device):
            index = type.index
            type = type.type
        if not isinstance(type, str):
            raise TypeError(f"device: expected a string such as 'cpu', got {type!r}")
        name, colon, number = type.partition(":")
        if name not in _TYPES:
            raise RuntimeError(f"there is no device {type!r}: tinyrnn knows {' and '.join(map(repr, _TYPES))}")
        if colon:
            if not number.isdecimal() or index is not None:
                raise RuntimeError(f"invalid device string {type!r}: expected the form 'cuda' or 'cuda:0'")
            index = int(number)
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


CPU = device("cpu")


def of_array(array: Any) -> device:
    """Where an array lies."""
    return CPU if isinstance(array, np.ndarray) else device("cuda", array.device.id)


def available(value: Any) -> device:
    """The device meant by a device or a string.

    Raises
    ------
    RuntimeError
        If tensors cannot be made there, saying what is missing.
    """
    found = value if isinstance(value, device) else device(value)
    if found.type == "cuda":
        raise RuntimeError(
            f"device '{found}' is not available: GPU tensors need CuPy, an NVIDIA driver (pip install 'tinyrnn[cuda12]') "
            f"and GPU kernels, which this version of tinyrnn does not have; use device='cpu'"
        )
    if found.index:
        raise RuntimeError(f"device '{found}' does not exist: there is one CPU device, 'cpu'")
    return found


def get_default_device() -> device:
    """Where tensors are made: on the CPU."""
    return CPU


def set_default_device(device: Any) -> None:
    """Nothing changes for ``"cpu"`` or None; RuntimeError for a device on which no tensors can be made."""
    if device is not None:
        available(device)
