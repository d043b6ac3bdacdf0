"""The time of ``import tinyrnn`` on top of ``import numpy``, and the size of the installed package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from tinyrnn.bench.cases import OURS, Case, Setting
from tinyrnn.bench.peers import ONNX_RUNTIME, TORCH
from tinyrnn.bench.suites.processes import alternate, run_python

_TIME = """
import time, numpy
before = time.perf_counter()
import {module}
print(time.perf_counter() - before)
"""


class ImportTimeCase(Case):
    suite = "import"
    beside = (TORCH, ONNX_RUNTIME)

    def __init__(self) -> None:
        super().__init__("import", "time", "over numpy")

    def measure(self, setting: Setting) -> dict[str, list[float]]:
        sides = {name: lambda module=module: _import_seconds(module) for name, module in _modules(setting).items()}
        return alternate(sides, 2 * setting.effort.processes + 1)


class SizeCase(Case):
    suite = "import"
    beside = (TORCH, ONNX_RUNTIME)
    unit = "bytes"

    def __init__(self) -> None:
        super().__init__("installed", "size", "without bytecode")

    def measure(self, setting: Setting) -> dict[str, list[float]]:
        return {name: [float(_installed_bytes(module))] for name, module in _modules(setting).items()}


def _modules(setting: Setting) -> dict[str, str]:
    loaded = {name: module.__name__ for name, module in setting.peers.loaded.items()}
    return {OURS: "tinyrnn", **loaded}


def _import_seconds(module: str) -> float:
    return float(run_python("-c", _TIME.format(module=module)))


def _installed_bytes(module: str) -> int:
    spec: Any = importlib.util.find_spec(module)
    files = [file for file in Path(spec.origin).parent.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files)


def cases() -> list[Case]:
    return [ImportTimeCase(), SizeCase()]
