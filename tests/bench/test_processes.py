"""What is measured in processes of its own: memory, imports, whole trainings."""

from __future__ import annotations

import sys
import time

import pytest

from tinyrnn.bench.cases import Setting
from tinyrnn.bench.peers import Peers
from tinyrnn.bench.suites import cases_of, g2p, memory, startup
from tinyrnn.bench.suites.layers import Shape
from tinyrnn.bench.suites.processes import alternate, run_python
from tinyrnn.bench.timing import Effort

ALONE = Setting(1, Effort(processes=1, slices=2, slice_seconds=0.1), Peers([]))


def test_a_process_that_fails_says_why():
    assert run_python("-c", "import tinyrnn, os; print(os.environ['COLOUR'])", COLOUR="red") == "red\n"
    with pytest.raises(RuntimeError, match="ValueError: no luck"):
        run_python("-c", "raise ValueError('no luck')")
    with pytest.raises(RuntimeError, match="exit code 3"):
        run_python("-c", "import os; os._exit(3)")


def test_sides_alternate_and_the_first_turn_does_not_count():
    calls = []
    sides = {name: lambda name=name: calls.append(name) or len(calls) for name in "ab"}
    assert alternate(sides, 2) == {"a": [3, 5], "b": [4, 6]}
    assert calls == list("ababab")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_grows_with_the_sequence():
    short, long = (memory.MemoryCase("LSTM", Shape(32, T, 64, 64)).measure(ALONE)["tinyrnn"] for T in (10, 100))
    # At least the output, its gradient and the gates: (T, B, 6 H) float32.
    assert long[0] > 100 * 32 * 6 * 64 * 4 > short[0] > 0


def test_import_time_and_size():
    (seconds, *_), (size,) = (case.measure(ALONE)["tinyrnn"] for case in startup.cases())
    assert 0 < seconds < 30
    assert 1e5 < size < 5e7


@pytest.fixture
def data(tmp_path):
    lines = [f"{word}\t{' '.join(word.upper())}\n" for word in ("ab", "ba", "abc", "cab", "acb")]
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / name).write_text("".join(lines))
    return tmp_path


def twin(folder, text):
    path = folder / "twin.py"
    path.write_text(text)
    return str(path)


def test_the_default_recipe_is_trained_on_the_data(data):
    (case,) = cases_of(["g2p"])
    setting = Setting(1, ALONE.effort, ALONE.peers, str(data), twin(data, ""))
    assert case.requirement(setting) is None and case.requirement(ALONE) is not None
    samples = case.measure(setting)["tinyrnn"]
    assert len(samples) == 2 and all(1e-6 < seconds < 10 for seconds in samples)


def test_the_twin_gets_its_arguments_and_is_stopped_when_it_has_said_its_speed(data):
    pytest.importorskip("torch")
    program = twin(
        data,
        "import sys, time, torch\n"
        "torch.set_num_threads(64)\n"
        "print('ep 1 step 1000 target-tok/s 7  3s')\n"
        "print(f'target-tok/s {torch.get_num_threads()}{float(sys.argv[2]) * 60:.0f}')\n"
        "time.sleep(60)\n",
    )
    before = time.monotonic()
    assert g2p._twin_speed(program, str(data), seconds=20.0, threads=1) == 120.0
    assert time.monotonic() - before < 50


def test_a_twin_that_says_nothing_is_an_error(data):
    pytest.importorskip("torch")
    with pytest.raises(RuntimeError, match=r"expected a line 'target-tok/s NUMBER' .* got: hello"):
        g2p._twin_speed(twin(data, "print('hello')"), str(data), seconds=1.0, threads=1)
