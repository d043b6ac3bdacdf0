"""What runs: `show_config()`."""

from __future__ import annotations

import platform
from importlib import metadata

import numpy as np

from tinyrnn import _compiled, dtypes

_OPTIONAL = ("cupy", "matplotlib", "torch")


def show_config() -> str:
    """Which engine, ops and kernels run compiled, versions, and the default dtype, as text.

    Examples
    --------
    >>> print(tinyrnn.show_config())  # doctest: +SKIP
    """
    from tinyrnn import __version__

    versions = [f"numpy {np.__version__}", f"python {platform.python_version()}"]
    for name in _OPTIONAL:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    rows = {
        "tinyrnn": __version__,
        "engine": _state("tinyrnn.engine."),
        "ops": _state("tinyrnn.ops."),
        "CPU kernels": _state("tinyrnn.kernels.cpu."),
        "GPU kernels": "none in this version",
        "default dtype": dtypes.get_default_dtype().name,
        "versions": ", ".join(versions),
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
        return "uncompiled (plain Python and NumPy)"
    return f"compiled ({', '.join(compiled)})" + (f", uncompiled ({', '.join(plain)})" if plain else "")
