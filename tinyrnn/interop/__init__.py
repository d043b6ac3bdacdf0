"""Weights and models of other libraries: `torch` and `keras` (weights both ways), `onnx` (whole models)."""

from __future__ import annotations

import importlib

from tinyrnn import _lazy

__all__ = ["keras", "onnx", "torch"]


def __getattr__(name: str) -> object:
    if name in __all__:  # loaded when asked for, for each wants another package
        return importlib.import_module(f"tinyrnn.interop.{name}")
    raise _lazy.missing("tinyrnn.interop", name, __all__)
