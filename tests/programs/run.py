"""Runs one of the programs beside this file and prints what it reports, as JSON.

    python run.py torch NAME       with PyTorch
    python run.py tinyrnn NAME     with tinyrnn in the place of `torch`, and its parts in that of torch's

A program imports torch as programs do, and defines `main(report)`; ``report(name, value)`` hands over a number or a tensor.
Initial weights and data come from NumPy (common.py), so that both sides start from the same.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np

PARTS = [
    "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "optim", "optim.lr_scheduler", "utils",
    "utils.data", "autograd", "autograd.function",
]  # fmt: skip


def stand_in_for_torch() -> None:
    sys.modules["torch"] = importlib.import_module("tinyrnn")
    for part in PARTS:
        sys.modules[f"torch.{part}"] = importlib.import_module(f"tinyrnn.{part}")


def main() -> None:
    library, program = sys.argv[1:]
    sys.path.insert(0, str(Path(__file__).parent))
    if library == "tinyrnn":
        stand_in_for_torch()
    reported = []

    def report(name, value):
        value = value.detach().numpy() if hasattr(value, "detach") else value
        reported.append([name, np.asarray(value, np.float64).tolist()])

    importlib.import_module(program).main(report)
    print(json.dumps(reported))


if __name__ == "__main__":
    main()
