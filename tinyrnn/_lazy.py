"""What `tinyrnn.name` does for names that are not loaded yet, or do not exist."""

from __future__ import annotations

import difflib
import importlib
import sys

# Modules above the tensor, and those that most programs do not need.
PARTS = ("autograd", "bench", "cli", "cuda", "interop", "lab", "nn", "optim", "seq2seq", "training", "utils")


def part(name: str) -> object:
    """The module ``tinyrnn.<name>``, loaded now.

    Raises
    ------
    AttributeError
        If there is none, naming what comes nearest.
    """
    full_name = f"tinyrnn.{name}"
    if name in PARTS:
        try:
            return importlib.import_module(full_name)
        except ModuleNotFoundError as error:
            if error.name != full_name:
                raise  # the part is there, but a library that it needs is not
    if name.startswith("__"):
        raise AttributeError(f"module 'tinyrnn' has no attribute {name!r}")
    public = sys.modules["tinyrnn"].__all__
    near = difflib.get_close_matches(name, public, n=3, cutoff=0.6)
    hint = f"; the nearest there is: {', '.join(near)}" if near else "; dir(tinyrnn) lists what there is"
    raise AttributeError(f"tinyrnn has no {name!r} (it is a subset of PyTorch){hint}")
