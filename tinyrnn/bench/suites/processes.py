"""Measurements that need a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import tinyrnn


def run_python(*arguments: str, **environment: str) -> str:
    """Run a fresh interpreter; its output.

    Parameters
    ----------
    arguments : str
        What follows ``python``. ``import tinyrnn`` finds this very package there.
    environment : str
        Variables beside our own.

    Raises
    ------
    RuntimeError
        With its last line, or with its exit code, if it fails.
    """
    done = subprocess.run(
        [sys.executable, "-P", *arguments], env=python_environment(**environment), capture_output=True, encoding="utf-8"
    )
    if done.returncode != 0:
        said = done.stderr.strip() or f"it said nothing, exit code {done.returncode}"
        raise RuntimeError(f"a process failed: {said.splitlines()[-1]}")
    return done.stdout


def python_environment(**variables: str) -> dict[str, str]:
    """The environment of such a process. It keeps bytecode, as installed packages do, or every import would compile ours."""
    paths = [str(Path(tinyrnn.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return own | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | variables


def alternate(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Samples of all sides, one after the other in each round, after one that does not count: it fills the disk's cache."""
    for sample in sides.values():
        sample()
    samples: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, sample in sides.items():
            samples[name].append(sample())
    return samples
