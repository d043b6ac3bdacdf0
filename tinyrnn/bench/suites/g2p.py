"""Training with the default recipe beside a PyTorch program of the same recipe on the same data.

Each turn is a process of its own that trains from the start for some seconds and tells its target tokens per second: end of
sentence included, padding not, over the time of the training steps alone.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tinyrnn.bench.cases import OURS, Case, Setting
from tinyrnn.bench.peers import TORCH
from tinyrnn.bench.suites.processes import python_environment, run_python

_PROGRAM = Path(__file__).with_name("g2p_program.py")

# The program sets its threads itself: here it is given ours, and its own wish is not heard.
_RUN_TWIN = """
import runpy, sys, torch
torch.set_num_threads(int(sys.argv[1]))
torch.set_num_threads = lambda number: None
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
_TWIN_SPEED = re.compile(r"target-tok/s (\d+)$")  # said once, at the end of its time; then it validates, which nobody awaits


class G2PCase(Case):
    suite = "g2p"
    unit = "s per token"

    def __init__(self) -> None:
        super().__init__("default recipe", "training", "")

    def requirement(self, setting: Setting) -> str | None:
        if setting.data is None or setting.twin is None:
            return "it needs --data DIR with train.tsv and dev.tsv, and --twin FILE.py, the same recipe in PyTorch"
        return None

    def measure(self, setting: Setting) -> dict[str, list[float]]:
        assert setting.data is not None and setting.twin is not None
        data, twin, seconds, threads = setting.data, setting.twin, setting.effort.slice_seconds, setting.threads
        sides: dict[str, Callable[[], float]] = {OURS: lambda: _our_speed(data, seconds, threads)}
        if setting.peers.torch is not None:
            sides[TORCH] = lambda: _twin_speed(twin, data, seconds, threads)
        samples: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(setting.effort.slices):
            for name in random.sample(list(sides), len(sides)):
                samples[name].append(1 / sides[name]())
        return samples


def _our_speed(data: str, seconds: float, threads: int) -> float:
    order = json.dumps({"data": data, "seconds": seconds})
    numbers = dict.fromkeys(("TINYRNN_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return float(run_python(str(_PROGRAM), order, **numbers))


def _twin_speed(twin: str, data: str, seconds: float, threads: int) -> float:
    arguments = [sys.executable, "-u", "-c", _RUN_TWIN, str(threads), os.path.abspath(twin), data, str(seconds / 60)]
    last = "no output"
    with subprocess.Popen(
        arguments, env=python_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last = line.strip() or last
                found = _TWIN_SPEED.match(last)
                if found:
                    return float(found[1])
        finally:
            process.kill()
    raise RuntimeError(f"{twin}: expected a line 'target-tok/s NUMBER' at the end of its training, got: {last}")


def cases() -> list[Case]:
    return [G2PCase()]
