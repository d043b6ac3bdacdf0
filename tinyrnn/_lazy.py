"""What ``tinyrnn.name`` does for names that are not loaded yet, and what every part says of names that do not exist."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable

# Modules above the tensor, and those that most programs do not need.
PARTS = ("autograd", "cli", "cuda", "nn", "optim", "seq2seq", "training", "utils")


def part(name: str) -> object:
    """The module ``tinyrnn.<name>``, loaded now.

    Raises
    ------
    AttributeError
        If there is none, naming what comes nearest.
    """
    if name in PARTS:
        return importlib.import_module(f"tinyrnn.{name}")
    raise missing("tinyrnn", name, sys.modules["tinyrnn"].__all__)


def missing(place: str, name: str, public: Iterable[str]) -> AttributeError:
    """The error for a `name` that `place` does not have; `public` are those that it has."""
    if name.startswith("_"):  # a protocol asks whether it is supported: nothing that a person would read
        return AttributeError(f"{place} has no attribute {name!r}")
    import difflib  # slow to load, and seldom needed

    near = difflib.get_close_matches(name, public, n=3, cutoff=0.6)
    hint = f"; the nearest there is: {', '.join(near)}" if near else f"; dir({place}) lists what there is"
    return AttributeError(f"{place} has no {name!r} (it is a subset of PyTorch){hint}")


def answering(module_name: str) -> Callable[[str], object]:
    """The ``__getattr__`` of a module with an ``__all__``: for names that it does not have, a sentence."""

    def __getattr__(name: str) -> object:  # noqa: N807 (it is one, of the module)
        raise missing(module_name, name, sys.modules[module_name].__all__)

    return __getattr__
