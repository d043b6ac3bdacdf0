"""The machine: what it is, and what it can do at most."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

import numpy as np

import tinyrnn

_VERSIONS = ("numpy", "torch", "onnxruntime", "onnx")
_COPIED = 2**26  # float32 elements per array: 256 MiB, beyond any cache


def describe(threads: int, seconds: float) -> dict[str, Any]:
    """Measure and name the machine.

    Parameters
    ----------
    threads : int
    seconds : float
        For each of the measurements.

    Returns
    -------
    dict
        ``processor``, ``cores`` (that this process may use), ``system``, ``load`` (programs that ran at once in the minute
        before), ``peak_flops`` (multiply-adds count twice) with
        ``peak_source``, ``copy_bytes_per_second`` (read and written bytes), ``configuration`` (`tinyrnn.show_config()`),
        ``versions``.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # before our own measurements add to it
    peak, source = peak_flops(threads, seconds)
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": load,
        "peak_flops": peak,
        "peak_source": source,
        "copy_bytes_per_second": copy_bandwidth(threads, seconds),
        "configuration": tinyrnn.show_config(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, ours, and of what is installed of NumPy and the peers."""
    found = {"python": platform.python_version(), "tinyrnn": tinyrnn.__version__}
    for name in _VERSIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def processor() -> str:
    """The processor's name as the system has it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_flops(threads: int, seconds: float) -> tuple[float, str]:
    """The float32 operations per second that `threads` threads reach at most, and how that was measured.

    A compiled loop of multiply-adds in registers; where that is not compiled, the best of a few large matrix products.
    """
    try:
        from tinyrnn.kernels.cpu.native import peak_flops as measured
    except ImportError:
        return _product_flops(seconds), "np.matmul, 1536 x 1536 (no compiled kernel)"
    return float(measured(threads, seconds)), "multiply-adds in registers"


def _product_flops(seconds: float) -> float:
    n = 1536
    a = np.ones((n, n), np.float32)
    return 2 * n**3 / _shortest(lambda: a @ a, seconds)


def copy_bandwidth(threads: int, seconds: float) -> float:
    """Bytes per second read and written, while `threads` threads copy arrays too large for the caches."""
    source, target = np.ones(_COPIED, np.float32), np.empty(_COPIED, np.float32)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        taken = _shortest(lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)), seconds)
    return 2 * source.nbytes / taken


def _shortest(work: Any, seconds: float) -> float:
    work()
    shortest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or shortest == float("inf"):
        before = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - before)
    return shortest
