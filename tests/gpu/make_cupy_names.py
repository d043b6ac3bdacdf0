"""Writes cupy_names.json: the functions and methods of the installed CuPy, with the names of their parameters, and which of
them give float32 for bfloat16.

fake_cupy.py reads it, so that tests without a GPU refuse what CuPy would refuse. Run it with CuPy installed (no GPU needed)::

    python tests/gpu/make_cupy_names.py
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import cupy
import numpy as np


def parameters(function):
    """The names of the parameters; none where CuPy does not say."""
    if isinstance(function, cupy.ufunc):
        return ["out", "dtype", "casting"]
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        first_line = (function.__doc__ or "").partition("\n")[0]
        within = re.search(r"\((.*)\)", first_line)
        arguments = within[1].split(",") if within else []
        return [each.partition("=")[0].split()[-1].lstrip("*") for each in arguments if each.strip() and "self" not in each]


def callables(owner, like):
    names = [name for name in dir(like) if not name.startswith("_") and callable(getattr(owner, name, None))]
    return {name: parameters(getattr(owner, name)) for name in names if not isinstance(getattr(owner, name), type)}


def widening():
    """The functions that know no bfloat16, which CuPy takes for the next larger type that they know: float32."""
    where, clip, rounded = cupy._sorting.search._where_ufunc, cupy._core._routines_math.clip, cupy._core.core._round_ufunc
    within = {"where": where, "tril": where, "triu": where, "clip": clip, "round": rounded, "around": rounded}
    return [name for name, ufunc in within.items() if not any("E" in types for types in ufunc.types)]


if __name__ == "__main__":
    found = {"version": cupy.__version__, "functions": callables(cupy, np), "methods": callables(cupy.ndarray, np.ndarray)}
    rows = ",\n".join(
        f'"{kind}": {{\n' + ",\n".join(f'"{name}": {json.dumps(names)}' for name, names in found[kind].items()) + "}"
        for kind in ("functions", "methods")
    )
    head = f'"version": "{found["version"]}",\n"widening": {json.dumps(widening())}'
    Path(__file__).with_name("cupy_names.json").write_text(f"{{{head},\n{rows}}}\n")
