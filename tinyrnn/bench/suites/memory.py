"""Peak memory of one training step, each in a fresh process."""

from __future__ import annotations

import json
from pathlib import Path

from tinyrnn.bench.cases import OURS, Case, Setting
from tinyrnn.bench.peers import TORCH
from tinyrnn.bench.suites.layers import KINDS, SHAPES, Shape
from tinyrnn.bench.suites.processes import alternate, run_python

_PROGRAM = Path(__file__).with_name("memory_program.py")


class MemoryCase(Case):
    """What a step takes on top of what the process held before: activations, gradients, workspaces."""

    suite = "memory"
    unit = "bytes"

    def __init__(self, kind: str, shape: Shape) -> None:
        super().__init__(kind, "training", str(shape))
        self.sizes = shape

    def requirement(self, setting: Setting) -> str | None:
        if not Path("/proc/self/clear_refs").exists():
            return "it needs the peak that Linux keeps in /proc"
        return None

    def measure(self, setting: Setting) -> dict[str, list[float]]:
        frameworks = {OURS: "tinyrnn"} | ({TORCH: "torch"} if setting.peers.torch is not None else {})
        sides = {name: lambda module=module: self._growth(module, setting.threads) for name, module in frameworks.items()}
        return alternate(sides, setting.effort.processes)

    def _growth(self, module: str, threads: int) -> float:
        order = json.dumps({"framework": module, "kind": self.kind, "shape": self.sizes, "threads": threads})
        return float(run_python(str(_PROGRAM), order, TINYRNN_NUM_THREADS=str(threads)))


def cases() -> list[Case]:
    return [MemoryCase(kind, shape) for kind in KINDS for shape in (SHAPES[3], SHAPES[4], SHAPES[6])]
