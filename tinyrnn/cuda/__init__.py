"""What programs ask of the GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from tinyrnn import _lazy, devices, generator
from tinyrnn.cuda import amp
from tinyrnn.kernels.gpu import loader

__all__ = [
    "Event",
    "amp",
    "current_device",
    "device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "get_rng_state_all",
    "init",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "set_device",
    "set_rng_state",
    "set_rng_state_all",
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
    """Let "cuda" mean this GPU from now on, in this thread; a negative number changes nothing."""
    if not _is_negative(device):
        loader.cupy().cuda.Device(_number(device)).use()


class device:  # noqa: N801 (PyTorch's name)
    """``with cuda.device(1):`` lets "cuda" mean this GPU in the block; a negative number changes nothing."""

    def __init__(self, device: Any) -> None:
        self.idx = device if _is_negative(device) else _number(device)

    def __enter__(self) -> device:
        self._inner = contextlib.nullcontext() if self.idx < 0 else loader.cupy().cuda.Device(self.idx)
        self._inner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._inner.__exit__(*error)


class DeviceProperties(NamedTuple):
    """`name` is what the maker calls the GPU, `total_memory` in bytes, `major` and `minor` its compute capability."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int


def get_device_properties(device: Any = None) -> DeviceProperties:
    """What a GPU is and has."""
    found = loader.cupy().cuda.runtime.getDeviceProperties(_number(device))
    name = found["name"].decode() if isinstance(found["name"], bytes) else str(found["name"])
    return DeviceProperties(name, found["major"], found["minor"], found["totalGlobalMem"], found["multiProcessorCount"])


def get_device_name(device: Any = None) -> str:
    """What the maker calls the GPU."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability, such as (9, 0)."""
    return get_device_properties(device)[1:3]


def is_bf16_supported() -> bool:
    """Whether the current GPU multiplies bfloat16 on tensor cores: from compute capability 8.0 on."""
    return is_available() and get_device_capability() >= (8, 0)


def memory_allocated(device: Any = None) -> int:
    """The bytes in use by arrays."""
    return _on(device, lambda cupy: int(cupy.get_default_memory_pool().used_bytes())) if is_available() else 0


def memory_reserved(device: Any = None) -> int:
    """The bytes that are held, in use or kept for the arrays to come."""
    return _on(device, lambda cupy: int(cupy.get_default_memory_pool().total_bytes())) if is_available() else 0


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """The bytes that are free on a GPU, and all that it has."""
    return _on(device, lambda cupy: tuple(map(int, cupy.cuda.runtime.memGetInfo())))


class Event:
    """A mark among what a GPU has been asked to do: ``start.record()``, work, ``end.record()``, ``start.elapsed_time(end)``."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False) -> None:
        self._timed = enable_timing
        self._event = loader.cupy().cuda.Event(block=blocking, disable_timing=not enable_timing)

    def record(self) -> None:
        """Set the mark after everything that was asked so far."""
        self._event.record()

    def query(self) -> bool:
        """Whether the GPU has come to it."""
        return bool(self._event.done)

    def synchronize(self) -> None:
        """Wait until the GPU has."""
        self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """The milliseconds from this mark to another, once the GPU has come to both.

        Raises
        ------
        ValueError
            If one of them was made without ``enable_timing=True``.
        """
        if not (self._timed and end_event._timed):
            raise ValueError("elapsed_time: expected two events made with Event(enable_timing=True)")
        return float(loader.cupy().cuda.get_elapsed_time(self._event, end_event._event))


def synchronize(device: Any = None) -> None:
    """Wait until the GPU has done everything that was asked of it."""
    loader.cupy().cuda.Device(_number(device)).synchronize()


def init() -> None:
    """Load CuPy and look for a GPU now; a RuntimeError says what is missing."""
    loader.cupy()


def is_initialized() -> bool:
    """Whether a GPU has been asked for."""
    return loader.is_loaded()


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of the one generator for all devices: ``tinyrnn.get_rng_state()``."""
    return generator.get_rng_state()


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Set the state of the one generator for all devices: ``tinyrnn.set_rng_state(new_state)``."""
    generator.set_rng_state(new_state)


def get_rng_state_all() -> list[Any]:
    """The state of the one generator, in a list."""
    return [get_rng_state()]


def set_rng_state_all(new_states: Any) -> None:
    """Set the state of the one generator to the first."""
    for state in new_states[:1]:  # none in what was saved without a GPU
        set_rng_state(state)


def manual_seed(seed: int) -> None:
    """Seed the generator of the current GPU: nothing to do, `tinyrnn.manual_seed` seeds one generator for all devices."""


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs: nothing to do, `tinyrnn.manual_seed` seeds one generator for all devices."""


def empty_cache() -> None:
    """Give back memory of the GPU that no tensor uses."""
    if is_available():
        loader.cupy().get_default_memory_pool().free_all_blocks()
        loader.cupy().get_default_pinned_memory_pool().free_all_blocks()


def _on(device: Any, function: Callable[[Any], Any]) -> Any:
    """What a function of CuPy gives while a GPU is the current one."""
    cupy = loader.cupy()
    with cupy.cuda.Device(_number(device)):
        return function(cupy)


def _is_negative(device: Any) -> bool:
    """Whether it is a number that PyTorch's programs give for no GPU at all."""
    return isinstance(device, int) and device < 0


def _number(device: Any) -> int:
    """The GPU meant by None (the current one), a number, a string or a device."""
    target = devices.available("cuda" if device is None else device)
    if target.type != "cuda":
        raise ValueError(f"expected a GPU such as 'cuda:0', got {device!r}")
    return int(target.index or 0)
