"""Fixtures that tests of several subjects share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest

import tinyrnn

# In CI the same examples in every run: a change is judged by what it changes. Elsewhere they are drawn anew each time.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


@pytest.fixture
def rng():
    """A random generator whose numbers are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def run_python(tmp_path):
    """``run_python(code, **environment)``: code in a fresh interpreter, away from the checkout; its completed process."""

    def run(code, **environment):
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(tinyrnn.__file__).parents[1])} | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run
