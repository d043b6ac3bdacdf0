"""What programs ask of the GPU."""

from __future__ import annotations

from typing import Any

from tinyrnn import _lazy, devices
from tinyrnn.kernels.gpu import loader

__all__ = [
    "current_device",
    "device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "set_device",
    "synchronize",
]

__getattr__ = _lazy.answering(__name__)


def is_available() -> bool:
    """Whether tensors can be made on a GPU: CuPy, a driver and a GPU are there."""
    return loader.is_available()


def device_count() -> int:
    """The number of GPUs that can be used."""
    return int(loader.cupy().cuda.runtime.getDeviceCount()) if is_available() else 0


def current_device() -> int:
    """The number of the GPU that "cuda" means."""
    return loader.number_of_gpu(None)


def set_device(device: Any) -> None:
    """Let "cuda" mean this GPU from now on, in this thread."""
    loader.cupy().cuda.Device(_number(device)).use()


class device:  # noqa: N801 (PyTorch's name)
    """``with cuda.device(1):`` lets "cuda" mean this GPU in the block."""

    def __init__(self, device: Any) -> None:
        self.idx = _number(device)

    def __enter__(self) -> device:
        self._inner = loader.cupy().cuda.Device(self.idx)
        self._inner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._inner.__exit__(*error)


def get_device_name(device: Any = None) -> str:
    """What the maker calls the GPU."""
    name = loader.cupy().cuda.runtime.getDeviceProperties(_number(device))["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def synchronize(device: Any = None) -> None:
    """Wait until the GPU has done everything that was asked of it."""
    loader.cupy().cuda.Device(_number(device)).synchronize()


def manual_seed(seed: int) -> None:
    """Seed the generator of the current GPU: nothing to do, `tinyrnn.manual_seed` seeds one generator for all devices."""


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs: nothing to do, `tinyrnn.manual_seed` seeds one generator for all devices."""


def empty_cache() -> None:
    """Give back memory of the GPU that no tensor uses."""
    if is_available():
        loader.cupy().get_default_memory_pool().free_all_blocks()
        loader.cupy().get_default_pinned_memory_pool().free_all_blocks()


def _number(device: Any) -> int:
    """The GPU meant by None (the current one), a number, a string or a device."""
    target = devices.available("cuda" if device is None else device)
    if target.type != "cuda":
        raise ValueError(f"expected a GPU such as 'cuda:0', got {device!r}")
    return int(target.index or 0)
