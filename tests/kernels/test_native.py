"""The C++ kernels as a whole: instruction sets, threads, forks, several calling threads."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

import tinyrnn
from tinyrnn.kernels import cpu

native = pytest.importorskip("tinyrnn.kernels.cpu.native", reason="the compiled kernels are not there", exc_type=ImportError)
has_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
has_openmp = pytest.mark.skipif(not native.has_openmp(), reason="built without OpenMP")

# Large enough that kernels use a team.
WORK = """
import threading
import numpy as np, tinyrnn, tinyrnn.nn as nn

stream = threading.Lock()  # of random numbers: there is one for all threads

def work(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 8, 96)).astype(np.float32)
    with stream:
        tinyrnn.manual_seed(seed)
        lstm, head = nn.LSTM(96, 64, num_layers=2), nn.Linear(64, 300)
    output, _ = lstm(tinyrnn.tensor(x))
    loss = (tinyrnn.tanh(head(output)) @ tinyrnn.ones(300, 200)).sum()
    loss.backward()
    return b"".join(np.ascontiguousarray(t.array).tobytes() for t in [output, loss, *[p.grad for p in lstm.parameters()]])
"""
namespace: dict = {}
exec(WORK, namespace)
work = namespace["work"]


@pytest.fixture(autouse=True)
def settings_as_before():
    threads, instruction_set = native.get_num_threads(), native.instruction_set()
    yield
    native.set_num_threads(threads)
    native.use_instruction_set(instruction_set)


# ---- threads -------------------------------------------------------------------------------------------------------


@has_openmp
@pytest.mark.parametrize("number", [1, 3, np.int64(2), 1024])
def test_the_number_of_threads_is_what_was_set(number):
    tinyrnn.set_num_threads(number)
    assert tinyrnn.get_num_threads() == number


def test_results_are_the_same_bits_for_any_number_of_threads():
    results = []
    for number in (1, 2, 3):  # three on two cores must not stall
        tinyrnn.set_num_threads(number)
        results.append(work())
    assert results[0] == results[1] == results[2]


@has_openmp
def test_the_environment_sets_the_number_of_threads(run_python):
    code = "import tinyrnn; print(tinyrnn.get_num_threads())"
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cases = [
        ({"TINYRNN_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"TINYRNN_NUM_THREADS": "", "OMP_NUM_THREADS": "5,2"}, 5),
        ({"TINYRNN_NUM_THREADS": "", "OMP_NUM_THREADS": ""}, affinity),
    ]
    for environment, expected in cases:
        done = run_python(code, **environment)
        assert done.stdout == f"{expected}\n", (environment, done.stderr)


@pytest.mark.parametrize("text", ["0", "-1", "two", "2.5", "1025", "²"])
def test_what_is_no_number_of_threads_is_one_sentence(run_python, text):
    done = run_python("import tinyrnn", TINYRNN_NUM_THREADS=text, TINYRNN_PURE="0")
    assert done.stderr.splitlines()[-1] == f"ValueError: TINYRNN_NUM_THREADS: expected a number from 1 to 1024, got {text!r}"


# ---- instruction sets ----------------------------------------------------------------------------------------------


def test_the_best_instruction_set_runs_unless_another_is_asked_for(run_python):
    code = "from tinyrnn.kernels.cpu import native as n; print(n.instruction_set()); print(n.available_instruction_sets()[0])"
    asked, best = run_python(code, TINYRNN_INSTRUCTION_SET="").stdout.split()
    assert asked == best
    for name in native.available_instruction_sets():
        assert run_python(code, TINYRNN_INSTRUCTION_SET=name).stdout.split() == [name, best]
    assert len(set(native.available_instruction_sets())) == len(native.available_instruction_sets())


def test_an_unknown_instruction_set_is_one_sentence(run_python):
    done = run_python("import tinyrnn", TINYRNN_INSTRUCTION_SET="x86-64-v9", TINYRNN_PURE="0")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ValueError: TINYRNN_INSTRUCTION_SET: expected an instruction set that this processor runs, ")
    assert last.endswith("got 'x86-64-v9'") and native.available_instruction_sets()[0] in last


@pytest.mark.parametrize("name", native.available_instruction_sets())
def test_every_instruction_set_computes_the_same_to_rounding(name):
    native.use_instruction_set(native.available_instruction_sets()[-1])
    expected = np.frombuffer(work(), np.float32)
    native.use_instruction_set(name)
    assert native.instruction_set() == name
    np.testing.assert_allclose(np.frombuffer(work(), np.float32), expected, rtol=1e-3, atol=1e-3)


def test_the_config_says_what_runs():
    shown = tinyrnn.show_config()
    assert native.instruction_set() in shown
    line = next(line for line in shown.splitlines() if line.startswith("threads"))
    assert str(native.get_num_threads()) in line and "OpenMP" in line


# ---- processes and threads -----------------------------------------------------------------------------------------

FORK = (
    WORK
    + """
import os, sys
tinyrnn.set_num_threads(2)
expected = work()
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    tinyrnn.set_num_threads(2)  # does not bring the threads back
    grandchild = os.fork()
    right = work() == expected and tinyrnn.get_num_threads() == 1 and "forked" in tinyrnn.show_config()
    status = os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) if grandchild else 0
    os._exit(0 if right and status == 0 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), tinyrnn.get_num_threads(), work() == expected)
"""
)


@has_fork
@has_openmp
def test_a_forked_child_and_its_child_compute_the_same_on_one_thread(run_python):
    done = run_python(FORK)  # which has a timeout: a child that waits for OpenMP's threads waits for ever
    assert done.stdout == "0 2 True\n", done.stderr


MULTIPROCESSING = (
    WORK
    + """
import multiprocessing, sys

def child(seed):
    return tinyrnn.get_num_threads(), work(seed)

if __name__ == "__main__":
    tinyrnn.set_num_threads(2)
    expected = [work(seed) for seed in range(3)]
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        results = pool.map(child, range(3), chunksize=1)
    print({threads for threads, _ in results}, [result for _, result in results] == expected)
"""
)


@has_openmp
@pytest.mark.parametrize("method, threads", [("fork", 1), ("spawn", 2)])
def test_processes_of_multiprocessing(run_python, tmp_path, method, threads):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    (tmp_path / "program.py").write_text(MULTIPROCESSING)
    code = f"import runpy, sys; sys.argv = ['program.py', {method!r}]; sys.path.insert(0, '.'); "
    done = run_python(code + "runpy.run_path('program.py', run_name='__main__')", TINYRNN_NUM_THREADS="2")
    assert done.stdout == f"{{{threads}}} True\n", done.stderr


def test_several_python_threads_compute_at_once():
    tinyrnn.set_num_threads(2)
    expected = [work(seed) for seed in range(3)]
    results = [[] for _ in expected]
    together = threading.Barrier(len(expected))

    def compute(seed):
        together.wait()
        for _ in range(4):
            results[seed].append(work(seed))

    threads = [threading.Thread(target=compute, args=[seed], daemon=True) for seed in range(len(expected))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not [thread for thread in threads if thread.is_alive()], "they wait for each other"
    assert [set(each) for each in results] == [{each} for each in expected]


def test_threads_that_come_and_go_leave_nothing_behind():
    """Each calling thread has a team and memory of its own; both end with it."""
    x = np.ones((64, 64), np.float32)
    for _ in range(50):
        thread = threading.Thread(target=cpu.matmul_forward, args=[x, x])
        thread.start()
        thread.join()
    assert threading.active_count() < 10
