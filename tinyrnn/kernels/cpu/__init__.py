"""The CPU kernels: the compiled ones, one module per family, over the reference for everything that is not compiled."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

from tinyrnn._compiled import PURE, SHARED, lacks_shared
from tinyrnn.kernels import reference

FAMILIES = (
    "activations",
    "ctc",
    "dropout",
    "elementwise",
    "embedding",
    "gemm",
    "normalization",
    "optimizers",
    "recurrent",
    "recurrent_cells",
    "reductions",
    "softmax",
)


def kernels_of(module):
    """{name: function} of a module of kernels."""
    return {name: kernel for name, kernel in vars(module).items() if callable(kernel) and not name.startswith("_")}


def _compose():
    """The reference's kernels, each replaced by the compiled one where there is one."""
    kernels = kernels_of(reference)
    missing = []
    for family in FAMILIES if not PURE else ():
        try:
            compiled = kernels_of(importlib.import_module(f"{__name__}.{family}"))
        except ImportError:
            missing.append(family)
            continue
        kernels.update({name: compiled[name] for name in kernels.keys() & compiled.keys()})
    if missing:
        warnings.warn(
            f"tinyrnn runs without its compiled kernels ({', '.join(missing)}), on NumPy: {_way_to_them()}, or set "
            f"TINYRNN_PURE=1 to run so silently",
            RuntimeWarning,
            stacklevel=2,
        )
    return kernels


def _way_to_them():
    if lacks_shared():
        return f"{SHARED} is missing, install it again"
    checkout = Path(__file__).parents[3]
    if (checkout / "setup.py").exists():
        return f"these are the sources in {checkout}, build them with pip install -e {checkout}, or start Python elsewhere"
    return "install it where there are Cython and a C compiler"


globals().update(_compose())
