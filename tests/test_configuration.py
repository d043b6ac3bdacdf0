"""`set_num_threads`, `get_num_threads`, `show_config`: with and without the compiled kernels."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import configuration

WRONG = [
    (0, "expects a positive integer"),
    (-1, "expects a positive integer"),
    (1025, "at most 1024, but got 1025"),
    (10**30, "at most 1024"),
    ("2", "expects an int, but got str"),
    (2.5, "expects an int, but got float"),
    (True, "expects an int, but got bool"),
    (None, "expects an int, but got NoneType"),
]


@pytest.mark.parametrize("native", [configuration.native, None], ids=["compiled", "uncompiled"])
@pytest.mark.parametrize("number, message", WRONG)
def test_what_is_no_number_of_threads_is_pytorchs_error(monkeypatch, native, number, message):
    monkeypatch.setattr(configuration, "native", native)
    before = tinyrnn.get_num_threads()
    with pytest.raises(RuntimeError, match=f"set_num_threads.*{message}"):
        tinyrnn.set_num_threads(number)
    assert tinyrnn.get_num_threads() == before


@pytest.mark.parametrize("number", [number for number, _ in WRONG if number not in (1025, 10**30)])
def test_so_says_pytorch(number):
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as theirs:
        torch.set_num_threads(number)
    with pytest.raises(RuntimeError) as ours:
        tinyrnn.set_num_threads(number)
    assert str(ours.value).startswith(str(theirs.value))


def test_uncompiled_there_is_one_thread(monkeypatch):
    monkeypatch.setattr(configuration, "native", None)
    for number in (1, np.int32(3)):
        tinyrnn.set_num_threads(number)
        assert tinyrnn.get_num_threads() == 1
    rows = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in tinyrnn.show_config().splitlines()}
    assert rows["threads"] == "1 (no compiled kernels)" and rows["instruction set"] == "NumPy's"


def test_pure_has_the_functions_too(run_python):
    code = "import tinyrnn; tinyrnn.set_num_threads(2); print(tinyrnn.get_num_threads()); tinyrnn.show_config()"
    done = run_python(code, TINYRNN_PURE="1")
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize("openmp, forked, shown", [(True, False, "2 (OpenMP)"), (False, False, "1 (built without OpenMP)")])
def test_the_config_says_how_many_threads_and_why(monkeypatch, openmp, forked, shown):
    class Native:
        has_openmp = staticmethod(lambda: openmp)
        is_forked = staticmethod(lambda: forked)
        get_num_threads = staticmethod(lambda: 2)
        instruction_set = staticmethod(lambda: "x86-64-v2")
        available_instruction_sets = staticmethod(lambda: ["x86-64-v3", "x86-64-v2"])

    monkeypatch.setattr(configuration, "native", Native)
    lines = tinyrnn.show_config().splitlines()
    assert [line for line in lines if line.startswith("threads") and line.endswith(shown)]
    assert [line for line in lines if "x86-64-v2 (this processor runs x86-64-v3, x86-64-v2)" in line]


def test_import_loads_no_slow_module_of_python(run_python, monkeypatch):
    """`import tinyrnn` has 50 ms over `import numpy`; each of these would take a tenth of them or more."""
    monkeypatch.delenv("TINYRNN_REQUIRE_EXT", raising=False)  # which compares the extensions with their sources
    done = run_python("import numpy, sys; before = set(sys.modules); import tinyrnn; print(*set(sys.modules) - before)")
    slow = {"importlib.metadata", "pathlib", "hashlib", "json", "email", "socket", "difflib", "inspect", "numpy.random"}
    assert "tinyrnn" in done.stdout.split(), done.stderr
    assert not slow & set(done.stdout.split())
