"""What programs ask before they choose a device, whatever its kind."""

from __future__ import annotations

from tinyrnn import _lazy

__all__ = ["current_accelerator", "device_count", "is_available"]

__getattr__ = _lazy.answering(__name__)


def is_available() -> bool:
    """Whether tensors can be made anywhere but in main memory. This version of tinyrnn has no GPU kernels: never."""
    return False


def device_count() -> int:
    """The number of accelerators that can be used."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """The accelerator in use: None, as in PyTorch where there is none."""
