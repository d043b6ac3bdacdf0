"""PyTorch programs run unchanged with tinyrnn in the place of torch, and report the same numbers."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
PROGRAMS = sorted(file.stem for file in HERE.glob("*.py") if file.stem not in ("run", "common", "test_programs"))
TOLERANCE = 2e-4  # of the largest magnitude: float32, some steps of training


def reports(library, program):
    """[(name, array)] of what a program reports with a library."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, HERE / "run.py", library, program], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, f"{program} with {library}: {done.stderr}"
    return [(name, np.asarray(value)) for name, value in json.loads(done.stdout)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_reports_the_same_with_either_library(program):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    ours, theirs = reports("tinyrnn", program), reports("torch", program)
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    for (name, a), (_, b) in zip(ours, theirs, strict=True):
        assert a.shape == b.shape, name
        assert np.abs(a - b).max(initial=0) <= TOLERANCE * max(np.abs(b).max(initial=0), 1e-6), name
