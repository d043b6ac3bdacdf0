"""Every .cu file compiles for the GPUs that PyTorch is built for, and no kernel of the sweeps spills registers."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

from tinyrnn.kernels.gpu import launch, recurrent
from tinyrnn.kernels.sweeps import MODES, Sweep

NVCC = shutil.which("nvcc")
FILES = sorted(file.name for file in launch.FOLDER.glob("*.cu"))
SWEEPS = ("recurrent_forward.cu", "recurrent_backward.cu")


def every_sweep(mode):
    """Sweeps with all the options that change which kernels are launched."""
    pair, matrix = (np.zeros(1), np.zeros(1)), np.zeros((1, 1))
    for norm_h in (None, pair):
        for norm_c in (None, pair) if mode == "LSTM" else (None,):
            for weight_hr in (None, matrix) if mode == "LSTM" else (None,):
                yield Sweep(matrix, matrix, None, None, matrix, weight_hr=weight_hr, norm_h=norm_h, norm_c=norm_c)


def kernels_of(file):
    """The names under which kernels of a file are launched, with T for the type."""
    if file in SWEEPS:
        plan = recurrent._forward_plan if file == SWEEPS[0] else recurrent._backward_plan
        plans = [plan(mode, sweep) for mode in MODES for sweep in every_sweep(mode)]
        return ["advance<T>", *dict.fromkeys(each.kernel for found in plans for each in found.launches)]
    text = (launch.FOLDER / file).read_text()
    return [f"{name}<T>" for name in re.findall(r"__global__\s+void\s+(\w+)\(", text)]


@pytest.mark.parametrize("file", FILES)
def test_every_kernel_is_launched_somewhere(file):
    text = (launch.FOLDER / file).read_text()
    defined = set(re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(", text))
    launched = {name.partition("<")[0] for name in kernels_of(file)}
    host = "".join(source.read_text() for source in launch.FOLDER.glob("*.py"))
    assert defined and defined <= launched
    assert not {name for name in defined if f'"{name}' not in host and f'f"{name}' not in host}


@pytest.mark.skipif(NVCC is None, reason="no nvcc")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("file", FILES)
def test_compiles(file, architecture, tmp_path):
    types = launch.TYPES.values() if file not in SWEEPS else ("float", "Half")
    names = [name.replace("<T", f"<{number}") for name in kernels_of(file) for number in types]
    source = tmp_path / "kernels.cu"
    used = "\n".join(f"    (const void *)&{name}," for name in names)
    source.write_text(f'#include "{launch.FOLDER / file}"\nconst void *kernels[] = {{\n{used}\n}};\n')
    command = [
        NVCC,
        "-std=c++17",
        "-cubin",
        f"-arch={architecture}",
        "-Xptxas",
        "-v",
        str(source),
        "-o",
        str(tmp_path / "kernels"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    kernels = re.findall(r"Compiling entry function '(\w+)'", done.stderr)
    assert len(kernels) == len(names)
    if file in SWEEPS:
        spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
        assert len(spills) >= len(names) and set(spills) == {("0", "0")}
