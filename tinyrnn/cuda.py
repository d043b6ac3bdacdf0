"""What programs ask before they choose a device."""

from __future__ import annotations

from tinyrnn import _lazy

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all"]

__getattr__ = _lazy.answering(__name__)


def is_available() -> bool:
    """Whether tensors can be made on a GPU. This version of tinyrnn has no GPU kernels: never."""
    return False


def device_count() -> int:
    """The number of GPUs that can be used."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the generator of the current GPU: nothing to do where there is none, as in PyTorch."""


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs: nothing to do where there is none, as in PyTorch."""


def empty_cache() -> None:
    """Give back memory of the GPU: nothing to do where there is none, as in PyTorch."""
