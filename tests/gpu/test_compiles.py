"""Every .cu file compiles for the GPUs that PyTorch is built for, and no kernel of the sweeps spills registers."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess

import pytest

from tinyrnn.kernels.gpu import launch, optimizers, recurrent
from tinyrnn.kernels.sweeps import MODES

NVCC = shutil.which("nvcc")
FILES = sorted(file.name for file in launch.FOLDER.glob("*.cu"))
SWEEPS = (recurrent.FORWARD, recurrent.BACKWARD)
IN_TF32 = (*SWEEPS, "recurrent_step.cu")


def kernels_of(file, numbers):
    """The names under which kernels of a file are launched, for one type of numbers."""
    if file in SWEEPS:
        return list(dict.fromkeys(name for mode in MODES for name in recurrent.kernels_of(file, mode, numbers)))
    if file == "recurrent_step.cu":
        return [f"layer_step<{numbers}, {mode}>" for mode in range(4)]
    return [f"{name}<{numbers}>" for name in launch.kernels_in(file)]


@pytest.mark.parametrize("file", FILES)
def test_every_kernel_is_launched_somewhere(file):
    defined = set(launch.kernels_in(file))
    host = "".join(source.read_text() for source in launch.FOLDER.glob("*.py"))
    assert defined and not {name for name in defined if f'"{name}' not in host}
    if file in SWEEPS:
        assert defined <= {name.partition("<")[0] for name in kernels_of(file, "float")}


@pytest.mark.skipif(NVCC is None, reason="no nvcc")
@pytest.mark.parametrize(  # sm_75: without tensor cores for all of our numbers
    "file, architecture", [*itertools.product(FILES, ["sm_80", "sm_90"]), ("recurrent_step.cu", "sm_75")]
)
def test_compiles(file, architecture, tmp_path):
    numbers = [*launch.TYPES.values(), *([recurrent.TF32] if file in IN_TF32 else [])]
    names = [name for each in numbers for name in kernels_of(file, each)]
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
    if file in IN_TF32:
        found = re.findall(r"entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr, re.S)
        assert len(found) == len(names)
        in_double = re.compile(r"_Z\d+[a-z_]+Id")  # which nobody trains in
        assert not [name for name, stored, loaded in found if (stored, loaded) != ("0", "0") and not in_double.match(name)]


def fields_of(text, struct):
    """The names of the fields of a struct in a file, in their order; an array of two as a name and another."""
    body = re.search(rf"struct {struct} {{(.*?)\n}};", text, re.S)[1]
    body = re.sub(r"/\*.*?\*/|using .*?;", "", body, flags=re.S)
    names = []
    for declaration in re.findall(r"[^;]+;", body):
        for name in re.findall(r"(\w+)(\[2\])?\s*[,;]", declaration):
            names += [name[0], f"{name[0]}_other"] if name[1] else [name[0]]
    return names


def test_structs_are_written_as_they_are_read():
    sweep, steps = (launch.FOLDER / "sweep.cuh").read_text(), (launch.FOLDER / "optimizers.cu").read_text()
    assert fields_of(sweep, "Arguments") == list(recurrent.ARGUMENTS.names)
    assert fields_of(steps, "Parameter") == list(optimizers._PARAMETER.names)
