"""The kernels for arm64, built by a cross compiler and run in an emulator (Debian: g++-aarch64-linux-gnu, qemu-user-static)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import tinyrnn

CPP = Path(tinyrnn.__file__).parent / "kernels" / "cpu" / "cpp"
COMPILER = shutil.which("aarch64-linux-gnu-g++")
EMULATOR = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
FLAGS = ["-O1", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-static"]


@pytest.mark.slow
@pytest.mark.skipif(not (COMPILER and EMULATOR), reason="no aarch64-linux-gnu-g++ or no qemu-aarch64")
def test_the_kernels_for_arm64_equal_plain_loops(tmp_path):
    kernels = [str(CPP / name) for name in ("portable_float.cpp", "portable_double.cpp", "tables.cpp")]
    sources = [*kernels, str(Path(__file__).with_name("portable_check.cpp"))]
    program = str(tmp_path / "check")
    built = subprocess.run([COMPILER, *FLAGS, f"-I{CPP}", *sources, "-o", program], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-3000:]
    done = subprocess.run([EMULATOR, program], capture_output=True, text=True, timeout=300)
    assert done.stdout == "arm64: 0 failures\n", done.stdout + done.stderr
