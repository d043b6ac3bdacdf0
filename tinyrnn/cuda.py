"""What programs ask before they choose a device."""

from __future__ import annotations


def is_available() -> bool:
    """Whether tensors can be made on a GPU. This version of tinyrnn has no GPU kernels: never."""
    return False


def device_count() -> int:
    """The number of GPUs that can be used."""
    return 0


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs: nothing to do where there is none, as in PyTorch."""
