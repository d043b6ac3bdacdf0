"""What programs ask before they choose a device, whatever its kind."""

from __future__ import annotations

from tinyrnn import _lazy, cuda, devices

__all__ = ["current_accelerator", "device_count", "is_available"]

__getattr__ = _lazy.answering(__name__)


def is_available() -> bool:
    """Whether tensors can be made anywhere but in main memory: on a GPU."""
    return cuda.is_available()


def device_count() -> int:
    """The number of accelerators that can be used."""
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> devices.device | None:
    """The kind of accelerator in use; None where there is none."""
    return devices.device("cuda") if cuda.is_available() else None
