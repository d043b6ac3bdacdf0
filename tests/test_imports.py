"""Imports run one way: cli -> bench, lab, training -> seq2seq -> nn, optim -> tensor -> ops -> engine and kernels."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
from pathlib import Path

import pytest

import tinyrnn

PACKAGE = Path(tinyrnn.__file__).parent

# Lower layers first. What is not named here stands beside the tensor: dtypes, devices, creation, saving, ...
LAYERS = [
    {"_compiled", "_uncompiled"},
    {"kernels"},
    {"engine"},
    {"dtypes", "devices", "size", "memory_formats", "generator"},
    {"ops"},
    {"_tensor"},
    {"nn", "optim"},
    {"seq2seq", "interop"},
    {"training", "lab", "bench"},
    {"cli", "cli_options"},
    {"__main__"},
]
BESIDE_TENSOR = next(level for level, names in enumerate(LAYERS) if "_tensor" in names)

MODULES = sorted(PACKAGE.rglob("*.py"))


def level_of(name):
    """The layer of ``tinyrnn.<name>``; parts that no layer names (autograd, utils, creation, ...) go with the tensor."""
    return next((level for level, names in enumerate(LAYERS) if name in names), BESIDE_TENSOR)


def part_of(file):
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imports_of(file):
    """(line, dotted name) of everything of ours that a file imports, also inside functions."""
    here = ("tinyrnn", *file.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level + 1] if node.level else ())
            module = ".".join(filter(None, [base, node.module]))
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        ours = [name for name in names if name.split(".")[0] == "tinyrnn" and name != "tinyrnn.__version__"]
        yield from ((node.lineno, name) for name in ours)


def imported_parts(file):
    for line, name in imports_of(file):
        parts = name.split(".")
        if len(parts) > 1 and ((PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").exists()):
            yield line, parts[1]
        else:
            yield line, "__init__"  # a public name, by way of the whole package


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_import_runs_upwards(file):
    part = part_of(file)
    if part == "__init__":
        return
    level = level_of(part)
    upwards = []
    for line, imported in imported_parts(file):
        if imported == "__init__":
            allowed = level > BESIDE_TENSOR
        else:
            allowed = level_of(imported) <= level
        if not allowed:
            upwards.append(f"line {line} imports {imported}")
    assert not upwards, f"tinyrnn/{file.relative_to(PACKAGE)} belongs below what it imports: {upwards}"


@pytest.mark.parametrize("part, allowed", [("kernels", {"kernels", "_compiled"}), ("engine", {"engine", "_uncompiled"})])
def test_the_foundation_imports_only_itself(part, allowed):
    for file in sorted((PACKAGE / part).rglob("*.py")):
        assert {imported for _, imported in imported_parts(file)} <= allowed, file


@pytest.mark.parametrize("part", ["kernels", "engine"])
def test_so_do_its_cython_files(part):
    for file in sorted([*(PACKAGE / part).rglob("*.pyx"), *(PACKAGE / part).rglob("*.pxd")]):
        words = [line.split() for line in file.read_text().splitlines()]
        ours = [w[1] for w in words if len(w) > 1 and w[0] in ("from", "import", "cimport") and w[1].startswith("tinyrnn")]
        assert all(name.startswith(f"tinyrnn.{part}") for name in ours), (file, ours)


def loaded_by(run_python, statement):
    done = run_python(f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_loads_nothing_heavy(run_python):
    added = loaded_by(run_python, "import tinyrnn") - loaded_by(run_python, "import numpy")
    outside = {name.split(".")[0] for name in added} & {"matplotlib", "cupy", "tqdm", "torch", "onnx", "keras", "pytest"}
    late = ("training", "seq2seq", "lab", "bench", "interop", "cli", "cli_options")
    ours = sorted(name for name in added for part in late if f"{name}.".startswith(f"tinyrnn.{part}."))
    assert not outside and not ours, (outside, ours)


def public_packages():
    names = ["tinyrnn", *(m.name for m in pkgutil.walk_packages(tinyrnn.__path__, "tinyrnn.") if m.ispkg)]
    return [name for name in names if "._" not in name]


@pytest.mark.parametrize("name", public_packages())
def test_no_module_is_shadowed_by_a_function_of_its_package(name):
    """``from tinyrnn.optim import sgd`` must not depend on whether somebody imported the module before."""
    package = importlib.import_module(name)
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    public = set(getattr(package, "__all__", ())) | {n for n in vars(package) if not n.startswith("_")}
    shadowed = [n for n in sorted(modules & public) if not isinstance(getattr(package, n), type(tinyrnn))]
    assert not shadowed, f"{name}: modules and functions of the same name: {shadowed}"


def test_the_walk_sees_imports():
    """The rules above can fail."""
    assert {part for _, part in imported_parts(PACKAGE / "ops" / "arithmetic.py")} >= {"engine", "kernels", "ops"}
    assert level_of("kernels") < level_of("ops") < level_of("_tensor") == level_of("autograd") < level_of("nn")
