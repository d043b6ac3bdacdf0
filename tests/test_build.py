"""What runs is what was built, and the engine stays small."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import tinyrnn
from tinyrnn import _compiled

PACKAGE = Path(tinyrnn.__file__).parent
REQUIRED = os.environ.get("TINYRNN_REQUIRE_EXT") == "1"

IMPORT_ALL = "import tinyrnn, tinyrnn._compiled as c; from tinyrnn.kernels import cpu, dispatch; import tinyrnn._tensor; "


def test_the_engine_is_at_most_600_lines():
    lines = {file.name: len(file.read_text().splitlines()) for file in (PACKAGE / "engine").glob("*.py")}
    assert len(lines) > 1 and sum(lines.values()) <= 600, lines


def test_every_part_of_the_hot_path_can_be_compiled():
    names = set(_compiled.extensions())
    assert {"tinyrnn.engine.base", "tinyrnn.engine.tape", "tinyrnn.engine.backward"} <= names
    assert {"tinyrnn.kernels.dispatch", "tinyrnn.ops.arithmetic", "tinyrnn.kernels.cpu.optimizers"} <= names
    assert "tinyrnn.kernels.cpu.native" in names


@pytest.mark.skipif(not REQUIRED, reason="TINYRNN_REQUIRE_EXT=1 is not set")
def test_what_runs_is_compiled_and_fresh(run_python):
    assert set(_compiled.extensions().values()) == {"compiled"}
    done = run_python(IMPORT_ALL + "r = c.running(); print(len(r), all(r.values()))", TINYRNN_PURE="0")
    count, every = done.stdout.split()
    assert int(count) >= 8 and every == "True", done.stderr


def test_pure_runs_the_plain_files(run_python):
    done = run_python(IMPORT_ALL + "r = c.running(); print(len(r), any(r.values()))", TINYRNN_PURE="1")
    count, some = done.stdout.split()
    assert int(count) >= 7 and some == "False", done.stderr
    assert not done.stderr


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the package without its extensions, as `_compiled` sees it."""
    copy = tmp_path / "tinyrnn"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__", "_build.json"))
    monkeypatch.setattr(_compiled, "PACKAGE", copy)
    return copy


def test_without_extensions_all_are_missing(copied):
    assert set(_compiled.extensions().values()) == {"missing"}
    with pytest.raises(ImportError, match=r"tinyrnn\.engine\.tape \(missing\)"):
        _compiled._require()


@pytest.mark.skipif(not REQUIRED, reason="TINYRNN_REQUIRE_EXT=1 is not set")
def test_a_changed_source_makes_its_extensions_stale(copied, monkeypatch):
    shutil.copytree(PACKAGE, copied, dirs_exist_ok=True)
    assert set(_compiled.extensions().values()) == {"compiled"}
    with open(copied / "engine" / "tape.pxd", "a") as file:
        file.write("# changed\n")
    states = _compiled.extensions()
    assert states["tinyrnn.engine.tape"] == states["tinyrnn.engine.backward"] == "stale"
    assert states["tinyrnn.engine.base"] == "compiled"
    with pytest.raises(ImportError, match=r"tinyrnn\.engine\.tape \(stale\)"):
        _compiled._require()


@pytest.mark.skipif(not REQUIRED, reason="TINYRNN_REQUIRE_EXT=1 is not set")
@pytest.mark.parametrize("file", ["gemm.h", "x86_64_v2_float.cpp", "tables.cpp"])
def test_so_does_a_changed_file_of_the_cpp_kernels(copied, file):
    shutil.copytree(PACKAGE, copied, dirs_exist_ok=True)
    with open(copied / "kernels" / "cpu" / "cpp" / file, "a") as source:
        source.write("/* changed */\n")
    assert _compiled.extensions()["tinyrnn.kernels.cpu.native"] == "stale"


def test_a_missing_extension_stops_the_import_when_it_is_required(copied, run_python):
    done = run_python("import tinyrnn", TINYRNN_REQUIRE_EXT="1", PYTHONPATH=str(copied.parent))
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("ImportError: TINYRNN_REQUIRE_EXT=1 is set")


def test_without_extensions_the_package_says_so_once_and_works(copied, run_python):
    code = (
        "from tinyrnn.creation import new\nimport numpy as np\n"
        "x = new(np.ones(3), True)\n(x * x).backward(new(np.ones(3)))\nprint(x.grad.array.tolist())"
    )
    done = run_python(code, TINYRNN_REQUIRE_EXT="0", TINYRNN_PURE="0", PYTHONPATH=str(copied.parent))
    assert done.stdout == "[2.0, 2.0, 2.0]\n", done.stderr
    assert done.stderr.count("runs without its compiled kernels") == 1
    assert "install it where there are Cython" in done.stderr


def test_sources_that_are_not_built_say_so(copied, run_python):
    """Whoever installed the package and starts Python in the checkout imports the sources."""
    (copied.parent / "setup.py").touch()
    done = run_python("import tinyrnn", TINYRNN_REQUIRE_EXT="0", TINYRNN_PURE="0", PYTHONPATH=str(copied.parent))
    assert f"these are the sources in {copied.parent}, build them with pip install -e" in done.stderr


@pytest.mark.parametrize("version, found", [("3.2.9", "3.2.9"), ("0.29.37", "0.29.37"), (None, "none")])
@pytest.mark.parametrize("required", ["0", "1"])
def test_a_build_says_which_cython_it_needs(tmp_path, run_python, version, found, required):
    setup = Path(__file__).parents[1] / "setup.py"
    if not setup.exists():
        pytest.skip("these tests run apart from the sources")
    shutil.copy(setup, tmp_path)
    (tmp_path / "tinyrnn").mkdir()
    (tmp_path / "Cython.py").write_text("raise ImportError" if version is None else f"__version__ = {version!r}")
    build = "import runpy, sys; sys.argv[:] = ['setup.py', 'build_ext']; runpy.run_path('setup.py', run_name='__main__')"
    done = run_python(build, TINYRNN_REQUIRE_EXT=required, TINYRNN_NO_EXT="0", PYTHONPATH=str(tmp_path))
    (told,) = [line for line in done.stderr.splitlines() if f"need Cython 3.3 or newer to be built, but found {found}:" in line]
    assert told.startswith("error: " if required == "1" else "warning: ")
    assert ("tinyrnn is built without compiled extensions, as plain Python" in told) == (required == "0")
    assert (done.returncode != 0) == (required == "1") and "Traceback" not in done.stderr


@pytest.fixture
def without_shared(copied):
    """A copy with its extensions, less the one that all of them load first."""
    ignored = shutil.ignore_patterns("_cython_shared*", "__pycache__")
    shutil.copytree(PACKAGE, copied, ignore=ignored, dirs_exist_ok=True)
    return copied


@pytest.mark.skipif(not REQUIRED, reason="TINYRNN_REQUIRE_EXT=1 is not set")
def test_without_what_all_extensions_share_the_config_says_so(without_shared, run_python):
    code = "import tinyrnn; print(tinyrnn.ones(2).tanh().shape); print(tinyrnn.show_config())"
    done = run_python(code, TINYRNN_REQUIRE_EXT="0", TINYRNN_PURE="0", PYTHONPATH=str(without_shared.parent))
    assert done.stdout.count("tinyrnn._cython_shared is missing, without which no extension loads") == 3, done.stderr
    assert done.stderr.count("on NumPy: tinyrnn._cython_shared is missing, install it again") == 1
    pure = run_python(code, TINYRNN_REQUIRE_EXT="0", TINYRNN_PURE="1", PYTHONPATH=str(without_shared.parent))
    assert pure.stderr == ""


@pytest.mark.skipif(not REQUIRED, reason="TINYRNN_REQUIRE_EXT=1 is not set")
def test_and_it_is_the_one_that_is_required(without_shared, run_python):
    assert [name for name, state in _compiled.extensions().items() if state != "compiled"] == ["tinyrnn._cython_shared"]
    done = run_python("import tinyrnn", TINYRNN_REQUIRE_EXT="1", PYTHONPATH=str(without_shared.parent))
    assert "older than their source: tinyrnn._cython_shared (missing); build them" in done.stderr.splitlines()[-1]


def test_the_plain_files_are_found_by_no_accident():
    """The finder answers for this package only, and never with an extension."""
    find = _compiled.SourceFinder.find_spec
    assert find("numpy") is None
    assert find("tinyrnn.engine.tape", [str(PACKAGE / "engine")]).origin.endswith("tape.py")
    with pytest.raises(ModuleNotFoundError, match="TINYRNN_PURE"):
        find("tinyrnn.kernels.cpu.optimizers", [str(PACKAGE / "kernels" / "cpu")])
    assert sys.meta_path.count(_compiled.SourceFinder) == _compiled.PURE
