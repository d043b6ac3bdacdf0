"""benchmarks/gpu.py, on the stand-in for CuPy: rows come as they are made, and outlive whatever ends a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "benchmarks" / "gpu.py"
CUPY = """
import ctypes, sys, types
import fake_cupy

def data(self):
    start = self._array.ctypes.data
    return types.SimpleNamespace(ptr=start, memset=lambda value, count: ctypes.memset(start, value, count))

fake_cupy.ndarray.data = property(data)
fake_cupy.cuda.runtime.runtimeGetVersion = fake_cupy.cuda.runtime.driverGetVersion
sys.modules["cupy"] = fake_cupy
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="groups of processes as POSIX has them")


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "cupy.py").write_text(CUPY)
    folders = tmp_path, ROOT, ROOT / "benchmarks", ROOT / "tests" / "gpu"
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}


def rows_of(folder, part):
    file = folder / "gpu.json"
    return json.loads(file.read_text())["parts"][part]["rows"] if file.exists() else []


def run(environment, code):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True)


def test_the_plan_needs_no_gpu():
    done = subprocess.run([sys.executable, PROGRAM, "--plan"], capture_output=True, text=True, cwd=ROOT / "benchmarks")
    parts = [line.partition(",")[0] for line in done.stdout.splitlines()]
    assert parts == ["compile", "parity", "gradients", "timing", "suites", "sanitizer", "training"], done.stderr
    done = subprocess.run(
        [sys.executable, PROGRAM], capture_output=True, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    )
    assert done.returncode and "device 'cuda' is not available" in done.stderr


def test_rows_outlive_the_program(environment, tmp_path):
    command = [sys.executable, PROGRAM, "--out", tmp_path, "--part", "parity", "--part", "timing"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not any("worst_error" in row for row in rows_of(tmp_path, "parity")):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    part = json.loads((tmp_path / "gpu.json").read_text())["parts"]["parity"]
    assert any("worst_error" in row for row in part["rows"]) and not part["finished"]
    assert "STOPPED before its end" in (tmp_path / "gpu.md").read_text()

    # another part, of the same sources, leaves them where they are
    done = subprocess.run([*command[:-4], "--part", "timing"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and rows_of(tmp_path, "parity") == part["rows"], done.stderr
    assert rows_of(tmp_path, "timing") == [{"name": "timing", "ok": False, "output": "no PyTorch that has this GPU"}]


def test_children_go_on_behind_what_ended_them(environment):
    code = """
    import sys
    from gpu_children import Child, watch
    work = '''
    import os, time
    from gpu_rows import LOST, Rows
    rows = Rows()
    for name in "abcde":
        if name in rows.read():
            continue
        rows.begin(name)
        if name == "b":
            os.abort()
        if name == "c":
            raise SystemExit(LOST)
        if name == "d":
            time.sleep(60)
        rows.end({"name": name, "ok": True})
    '''
    import textwrap
    children = [Child(name, [sys.executable, "-c", textwrap.dedent(work)]) for name in ("one", "other")]
    for rows in watch(children, 30, silent=2):
        pass
    print(*[(row["name"], row["ok"], row.get("note")) for row in rows], sep="\\n")
    """
    done = run(environment, code)
    half = [
        ("a", True, None),
        ("b", False, "exit status -6"),
        ("c", False, "exit status 64"),
        ("d", False, "silent for 2 seconds"),
    ]
    assert done.stdout.split("\n")[:-1] == [str(row) for row in [*half, ("e", True, None)] * 2], done.stderr


def test_an_error_outside_of_any_row_is_a_row(environment):
    """As without pytest: nothing was tested, which must not look as if all were well."""
    code = """
    import sys
    from gpu_children import Child, watch
    begun = "from gpu_rows import Rows; Rows().begin('a'); import no_such_module"
    for command in (["-m", "no_such_pytest"], ["-c", "pass"], ["-c", begun]):
        *_, rows = watch([Child("one", [sys.executable, *command])], 30)
        print([(row["name"], row["ok"], row["note"], row["output"].strip()[-60:]) for row in rows])
    """
    done = run(environment, code)
    nothing, well, begun = done.stdout.splitlines()
    assert "('one', False, 'exit status 1', " in nothing and "No module named no_such_pytest" in nothing, done.stderr
    assert well == "[]"
    assert "('a', False, 'exit status 1', " in begun and "no_such_module" in begun


def test_children_end_when_the_time_is_up(environment):
    code = """
    import sys, time
    from gpu_children import Child, watch
    work = "import time; from gpu_rows import Rows; Rows().begin('a'); time.sleep(60)"
    started = time.monotonic()
    *_, rows = watch([Child("one", [sys.executable, "-c", work])], 2)
    print([row.get("note") for row in rows], time.monotonic() - started < 10)
    *_, rows = watch([Child("one", ["no-such-command"])], 2)
    print([row["ok"] for row in rows])
    """
    done = run(environment, code)
    assert done.stdout == "['begun, and never ended', 'its time was up, 2 seconds'] True\n[False]\n", done.stderr


def test_kernels_are_compiled_ahead(environment, tmp_path):
    code = """
    import gpu_compile
    pool = gpu_compile.ThreadPoolExecutor
    gpu_compile.ThreadPoolExecutor = lambda threads, **more: pool(1, **more)  # the stand-in takes one launch at a time
    gpu_compile.main()
    """
    environment["TINYRNN_ROWS"] = str(tmp_path / "rows")
    environment["PYTHONPATH"] += os.pathsep + str(ROOT / "tests" / "ops")
    done = run(environment, code)
    rows = {row["name"]: row for row in map(json.loads, (tmp_path / "rows").read_text().splitlines())}
    assert list(rows) == ["our_modules", "our_elementwise_kernels", "ops_of_cupy"], done.stderr
    assert all(row["ok"] and row["jobs"] > 30 and "output" not in row for row in rows.values()), rows
    assert done.stdout.count(".") == sum(row["jobs"] for row in rows.values())  # so that it is not taken to hang


def test_both_sides_of_the_timing_agree(environment, tmp_path):
    """PyTorch on the CPU, on small layers; and wrong numbers are found."""
    pytest.importorskip("torch")
    code = """
    import time, gpu_timing
    def seconds(torch, call):
        started = time.perf_counter()
        call()
        return 1e6 * (time.perf_counter() - started)
    gpu_timing.DEVICE, gpu_timing.ROUNDS, gpu_timing._their_time = "cpu", 1, seconds
    small = [each._replace(H=16, B=min(each.B, 3), T=min(each.T, 5)) for each in gpu_timing.CASES]
    gpu_timing.CASES = [each for each in small if each.dtype != "float16"]
    gpu_timing.main()
    gpu_timing.CASES = [each._replace(T=4) for each in small if each.packed]
    gpu_timing.TOLERANCE = dict.fromkeys(gpu_timing.TOLERANCE, 0)
    gpu_timing.main()
    """
    environment["TINYRNN_ROWS"] = str(tmp_path / "rows")
    done = run(environment, code)
    rows = {row["name"]: row for row in map(json.loads, (tmp_path / "rows").read_text().splitlines())}
    *good, bad = rows.values()
    assert len(good) == 13 and all(row["ok"] and row["ratio"] > 0 and row["goal"] for row in good), (done.stderr, good)
    assert not bad["ok"] and "differs from PyTorch" in bad["note"]
