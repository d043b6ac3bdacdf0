"""What runs, and on how many threads: `show_config()`, `set_num_threads(n)`, `get_num_threads()`."""

from __future__ import annotations

import platform

import numpy as np

from tinyrnn import _compiled, dtypes
from tinyrnn.kernels.gpu import loader, tf32

try:
    from tinyrnn.kernels.cpu import native
except ImportError:  # not built, or TINYRNN_PURE=1
    native = None

_OPTIONAL = ("cupy", "matplotlib", "torch")
_deterministic = False
_precision = "highest"


def set_num_threads(number: int, /) -> None:
    """Let the CPU kernels use up to `number` threads; results are the same bits for any number of them.

    At the start it is TINYRNN_NUM_THREADS from the environment, else OMP_NUM_THREADS, else as many as this process may run on.
    Kernels run on one thread whatever was set where there is only one to be had: without the compiled kernels or OpenMP, and
    in a process that was forked after tinyrnn was imported (OpenMP's threads do not survive a fork; processes that
    are spawned have theirs). `get_num_threads` says so.

    Raises
    ------
    RuntimeError
        If `number` is not an int from 1 to 1024.
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(number).__name__}")
    if not 1 <= number <= 1024:
        raise RuntimeError(f"set_num_threads expects a positive integer, at most 1024, but got {number}")
    if native is not None:
        native.set_num_threads(int(number))


def get_num_threads() -> int:
    """How many threads the CPU kernels use at most (see `set_num_threads`)."""
    return 1 if native is None else native.get_num_threads()


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for results that are the same bits in every run, which they are whatever was asked: nothing is ever switched.

    `warn_only` would warn of operations that are not deterministic; there are none.
    """
    global _deterministic
    _deterministic = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """What was last said to `use_deterministic_algorithms`; results are deterministic in either case."""
    return _deterministic


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 are on a GPU: "highest" as float32 has it, "high" or "medium" rounded to TF32 (10 bits).

    Recurrent layers have a switch of their own, ``backends.cudnn.allow_tf32``; on the CPU products are always exact.

    Raises
    ------
    RuntimeError
        If `precision` is none of the three.
    """
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got {precision!r}")
    _precision = precision
    tf32.allowed["others"] = precision != "highest"


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` or ``backends.cuda.matmul.allow_tf32`` set: "highest" at the start."""
    if not tf32.allowed["others"]:
        return "highest"
    return _precision if _precision != "highest" else "high"


def show_config() -> str:
    """Which engine, ops and kernels run compiled and for which instruction set, threads, versions, the default dtype, as text.

    Examples
    --------
    >>> print(tinyrnn.show_config())  # doctest: +SKIP
    """
    from tinyrnn import __version__

    rows = {
        "tinyrnn": __version__,
        "engine": _state("tinyrnn.engine."),
        "ops": _state("tinyrnn.ops."),
        "CPU kernels": _state("tinyrnn.kernels.cpu."),
        "instruction set": _instruction_set(),
        "threads": _threads(),
        "GPU kernels": loader.describe(),
        "default dtype": dtypes.get_default_dtype().name,
        "versions": ", ".join(_versions()),
        "machine": f"{platform.machine()}, {platform.system()}",
    }
    width = max(map(len, rows))
    return "\n".join([f"{name.ljust(width)}  {value}" for name, value in rows.items()])


def _state(prefix: str) -> str:
    """Which of the modules that may be compiled are."""
    running = {name.removeprefix(prefix): compiled for name, compiled in _compiled.running().items() if name.startswith(prefix)}
    compiled = [name for name in running if running[name]]
    plain = [name for name in running if not running[name]]
    if not compiled:
        why = f"; {_compiled.SHARED} is missing, without which no extension loads" if _compiled.lacks_shared() else ""
        return f"uncompiled (plain Python and NumPy{why})"
    return f"compiled ({', '.join(compiled)})" + (f", uncompiled ({', '.join(plain)})" if plain else "")


def _instruction_set() -> str:
    if native is None:
        return "NumPy's"
    return f"{native.instruction_set()} (this processor runs {', '.join(native.available_instruction_sets())})"


def _threads() -> str:
    if native is None:
        return "1 (no compiled kernels)"
    if not native.has_openmp():
        return "1 (built without OpenMP)"
    return f"{native.get_num_threads()} (OpenMP{', a forked process' if native.is_forked() else ''})"


def _versions() -> list[str]:
    from importlib import metadata  # slow to load

    versions = [f"numpy {np.__version__}", f"python {platform.python_version()}"]
    for name in _OPTIONAL:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return versions
