"""Finds CuPy and a GPU when one is asked for, not before, and says what is missing."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np

_INSTALL = "pip install 'tinyrnn[cuda13]', or 'tinyrnn[cuda12]' for a driver of CUDA 12"
_found: Any = None  # CuPy, once it has been asked for


def cupy() -> Any:
    """CuPy, its arrays known to dispatch.py.

    Raises
    ------
    RuntimeError
        If it is not installed, or there is no driver, no GPU, or nothing that compiles kernels.
    """
    global _found
    if _found is None:
        try:
            import cupy as library
        except ImportError as error:
            raise _missing(f"CuPy cannot be imported ({error}); {_INSTALL}") from None
        try:
            count = library.cuda.runtime.getDeviceCount()
        except library.cuda.runtime.CUDARuntimeError as error:
            raise _missing(f"CuPy finds no NVIDIA GPU with a driver that fits ({error})") from None
        if not count:
            raise _missing("CuPy and a driver are there, but no GPU")
        try:
            library.cuda.nvrtc.getVersion()
        except (ImportError, RuntimeError) as error:
            raise _missing(f"CuPy does not find NVIDIA's compiler NVRTC ({error}); {_INSTALL}, brings it") from None
        _use(library)
    return _found


def _missing(what: str) -> RuntimeError:
    return RuntimeError(f"device 'cuda' is not available: {what}; or use device='cpu'")


def _use(library: Any) -> None:
    global _found
    _found = library
    from tinyrnn.kernels import dispatch
    from tinyrnn.kernels.gpu import kernels

    dispatch.register(library.ndarray, kernels)


def is_loaded() -> bool:
    """Whether CuPy has been asked for, and found."""
    return _found is not None


def is_available() -> bool:
    """Whether `cupy` gives it, without an error."""
    try:
        return cupy() is not None
    except RuntimeError:
        return False


def describe() -> str:
    """What of a GPU is there, without looking for one."""
    if _found is not None:
        return f"for CuPy {_found.__version__} (device 'cuda' is in use)"
    if importlib.util.find_spec("cupy") is None:
        return "not usable: CuPy is not installed"
    return "for CuPy, which is installed and loaded when device 'cuda' is first asked for"


def number_of_gpu(index: int | None) -> int:
    """`index` if there is such a GPU; the current one's if it is None."""
    runtime = cupy().cuda.runtime
    if index is None:
        return int(runtime.getDevice())
    count = runtime.getDeviceCount()
    if not 0 <= index < count:
        raise RuntimeError(f"device 'cuda:{index}' does not exist: there are {count} GPUs, 'cuda:0' to 'cuda:{count - 1}'")
    return index


def is_array(value: Any) -> bool:
    """Whether a value is an array of a GPU; CuPy is not imported for the answer."""
    library = sys.modules.get("cupy")
    return library is not None and isinstance(value, getattr(library, "ndarray", ()))


def pinned(array: Any) -> Any:
    """A copy in page-locked main memory."""
    memory = cupy().cuda.alloc_pinned_memory(max(array.nbytes, 1))
    copy = np.frombuffer(memory, array.dtype, array.size).reshape(array.shape)
    copy[...] = array
    return copy


def moved(array: Any, index: int | None) -> Any:
    """An array copied to the GPU of this number, or (None) to main memory."""
    library = cupy()
    if index is None:
        return np.asarray(library.asnumpy(array))
    with library.cuda.Device(index):
        return library.array(array)
