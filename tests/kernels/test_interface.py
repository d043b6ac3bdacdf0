"""Every kernel is declared once, and every backend keeps to it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tinyrnn import _compiled
from tinyrnn.kernels import cpu, reference
from tinyrnn.kernels.gpu import kernels as gpu
from tinyrnn.kernels.interface import Kernels

DECLARED = {name: value for name, value in vars(Kernels).items() if inspect.isfunction(value) and name[0] != "_"}
REFERENCE = cpu.kernels_of(reference)
CPU = {name: getattr(cpu, name) for name in REFERENCE}
GPU = {name: getattr(gpu, name) for name in REFERENCE}  # importable without CuPy


def parameters(kernel):
    return list(inspect.signature(kernel).parameters)


@pytest.mark.parametrize("kernels", [REFERENCE, CPU, GPU], ids=["reference", "cpu", "gpu"])
def test_same_names(kernels):
    assert sorted(kernels) == sorted(DECLARED)


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_same_parameters(name):
    declared = parameters(DECLARED[name])
    assert declared[0] == "self"
    assert parameters(REFERENCE[name]) == declared[1:]
    assert parameters(CPU[name]) == declared[1:]
    assert parameters(GPU[name]) == declared[1:]


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_every_kernel_says_what_it_takes_and_gives(name):
    doc = inspect.getdoc(DECLARED[name])
    assert doc and len(doc) > 20, f"{name} has no docstring that says shapes and owner"


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_no_kernel_takes_or_gives_a_tensor(name):
    hints = [str(hint) for hint in DECLARED[name].__annotations__.values()]
    assert hints and not any("Tensor" in hint for hint in hints), (name, hints)


def test_every_backward_has_its_forward():
    stems = {name.removesuffix("_backward") for name in DECLARED if name.endswith("_backward")}
    assert not {stem for stem in stems if f"{stem}_forward" not in DECLARED}


@pytest.mark.skipif(_compiled.PURE, reason="TINYRNN_PURE=1 leaves the compiled kernels out")
def test_every_compiled_family_is_used():
    """A .pyx that nobody loads would be dead code."""
    modules = {file.stem for file in Path(cpu.__file__).parent.glob("*.pyx")}
    assert set(cpu.FAMILIES) == modules - {"native"}  # which has no kernel itself: the families call those linked into it


def test_every_family_of_the_gpu_is_used():
    modules = {file.stem for file in Path(gpu.__file__).parent.glob("*.py")}
    assert set(gpu.FAMILIES) == modules - {"__init__", "kernels", "launch", "loader", "tf32"}
    ours = {name for name, kernel in GPU.items() if kernel.__module__ != reference.__name__}
    assert {"recurrent_forward", "softmax_backward", "adam_step", "matmul_forward"} <= ours
