"""The process that `memory` starts: prints by how many bytes one training step raises the peak of resident memory.

It imports one framework and nothing else of the benchmark, so that the other one is not there.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any


def resident(name: str) -> int:
    """A line of /proc/self/status in bytes: VmRSS now, VmHWM at most."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def step(framework: Any, kind: str, B: int, T: int, I: int, H: int) -> Any:  # noqa: E741
    """A function that runs one training step of a layer, and holds weights and input."""
    layer = getattr(framework.nn, kind)(I, H)
    x = framework.ones(T, B, I, requires_grad=True)
    gradient = framework.ones(T, B, H)
    return lambda: layer(x)[0].backward(gradient)


def main() -> None:
    order = json.loads(sys.argv[1])
    framework = importlib.import_module(order["framework"])
    if order["framework"] == "torch":
        framework.set_num_threads(order["threads"])
    step(framework, order["kind"], 4, 3, 8, 8)()  # loads what the first step loads
    run = step(framework, order["kind"], *order["shape"])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    run()
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main()
