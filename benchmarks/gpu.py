"""Everything that needs a GPU, in one command of less than ten minutes: is it right, and how fast is it beside PyTorch?

    python benchmarks/gpu.py                    # all parts, in order
    python benchmarks/gpu.py --part timing      # one of them; --part can be given several times
    python benchmarks/gpu.py --minutes 3        # all parts share this time (default: 9.5)
    python benchmarks/gpu.py --plan             # what would run, for how long, and what of it is missing here

The work is done by child processes, which hand over every row as soon as they have it: results/gpu.json and results/gpu.md are
written whenever one comes, with the device, the versions and a hash of the sources. A child that dies, hangs or loses its GPU
is started again behind the row that it was at. A part that finishes early leaves its time to those after it.
Parts that did not run this time stay if they are of the same sources and machine, and are left out if not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # the checkout that this file is of, as in the child processes

import gpu_results
import gpu_timing
from gpu_children import ROOT, Child, watch
from gpu_rows import Row

from tinyrnn.kernels.gpu import launch, loader

_PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "gpu_report", "-p", "no:cacheprovider"]
_PYTEST += ["-W", "default"]  # a warning of CuPy's is no error of ours
RESULTS = ROOT / "benchmarks" / "results"
_ON_GPU = {"TINYRNN_TEST_ON_GPU": "1"}


# ---- the parts: each gives all its rows, again and again as there are more, and says in `ok` whether one is as it should be


def compilation(seconds: float) -> Iterator[list[Row]]:
    """All kernels into CuPy's cache, so that no other part waits for the compiler."""
    yield from watch([Child("compilation", [sys.executable, "benchmarks/gpu_compile.py"])], seconds)


def parity(seconds: float) -> Iterator[list[Row]]:
    """Every kernel and sweep against the reference, and layers against the CPU, with fresh inputs and poisoned outputs."""
    yield from _tests("not derivatives", seconds)


def gradients(seconds: float) -> Iterator[list[Row]]:
    """First and second derivatives on the GPU: against finite differences, and against the CPU's."""
    yield from _tests("derivatives", seconds)


def timing(seconds: float) -> Iterator[list[Row]]:
    """Layers beside PyTorch with cuDNN, eager and captured in a CUDA graph, after both gave the same."""
    yield from watch([Child("timing", [sys.executable, "benchmarks/gpu_timing.py"])], seconds)


def suites(seconds: float) -> Iterator[list[Row]]:
    """pytest-benchmark's suites of the GPU against the CPU."""
    short = ["--benchmark-max-time=0.5", "--benchmark-min-rounds=5", "--benchmark-disable-gc"]
    yield from watch([Child("suites", [*_PYTEST, *short, "benchmarks/test_gpu.py"])], seconds)


def sanitizer(seconds: float) -> Iterator[list[Row]]:
    """The .cu files under NVIDIA's compute-sanitizer: accesses out of bounds, races, barriers, reads of what nobody wrote."""
    files = ["tests/gpu/test_gpu_recurrent.py", "tests/gpu/test_gpu_kernels.py"]
    few = "all_options or test_plain or (one_step and float32 and not bias) or (narrower and LSTM)"
    few += " or ((softmax or cross_entropy or layer_norm or embedding or ctc or cells) and float32)"
    kernels = sorted({name for file in launch.FOLDER.glob("*.cu") for name in launch.kernels_in(file.name)})
    only_ours = [word for name in kernels for word in ("--kernel-name", f"kernel_substring={name}")]
    children = []
    for number, tool in enumerate(("memcheck", "racecheck", "synccheck", "initcheck")):
        options = ["--tool", tool, "--error-exitcode", "9", "--show-backtrace", "device", "--launch-timeout", "120"]
        options += ["--report-api-errors", "no"] if tool == "memcheck" else []
        # initcheck must see who wrote what, so it looks at all kernels, and what it says of others is not ours.
        options += ["--port", str(49152 + 100 * number), *([] if tool == "initcheck" else only_ours)]
        command = ["compute-sanitizer", *options, *_PYTEST, "-x", *files, "-k", few]
        children.append(Child(tool, command, {**_ON_GPU, "TINYRNN_TEST_SANITIZED": "1"}))
    for rows in watch(children, seconds):
        yield rows
    rows = [row for row in rows if not row["ok"]]  # of the tests, which `parity` has without the tools
    for child in children:
        reports = [line for line in child.output().splitlines() if line.startswith("====")]
        named = [line for line in reports if any(name in line for name in kernels)]
        tests = child.rows.read().values()
        ok = not named and child.ended_by_itself and child.status in ((0, 9) if child.name == "initcheck" else (0,))
        row: Row = {"name": child.name, "ok": ok, "tests": sum("skipped" not in each for each in tests), "reports": len(named)}
        rows = [*rows, row if ok else row | {"output": "\n".join(reports)[:5000]}]
    yield rows


def training(seconds: float) -> Iterator[list[Row]]:
    """The trainer's target tokens per second on dates, the default recipe: the CPU with all its cores, and the GPU.

    No row for PyTorch: what is trained is this package's own encoder-decoder, of which PyTorch has no like.
    """
    threads = str(len(os.sched_getaffinity(0)))
    recipe = ["--embed", "128", "--hidden", "256", "--layers", "2", "--dropout", "0.3", "--lr", "1e-3", "--threads", threads]
    until, rows, folder = time.monotonic() + seconds, [], tempfile.mkdtemp(prefix="tinyrnn_training_")
    runs = (("warm-up", "cuda", 0.01), ("cuda", "cuda", 0.4), ("cpu", "cpu", 0.4))  # the warm-up compiles what is still missing
    for number, (name, device, share) in enumerate(runs):
        left = until - time.monotonic()
        out = Path(folder, name)
        minutes = max(0.02, min(share, (left / (len(runs) - number) - 12) / 60))  # 12 seconds: to start, and to validate
        options = ["dates", "--out", str(out), "--overwrite", "--minutes", f"{minutes:.3f}", "--device", device, *recipe]
        child = Child(name, [sys.executable, "-m", "tinyrnn", "train", *options])
        for _ in watch([child], left, silent=left):
            pass
        history = out / "history.jsonl"
        entries = [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []
        speed = entries[-1].get("target_tokens_per_second") if entries else None
        row: Row = {"name": name, "ok": child.status == 0 and bool(speed), "target_tokens_per_second": speed}
        rows.append(row if row["ok"] else row | {"output": child.output()[-3000:]})
        yield rows[1:] if rows[0]["ok"] else rows
    shutil.rmtree(folder, ignore_errors=True)


def _tests(which: str, seconds: float) -> Iterator[list[Row]]:
    """Tests of tests/gpu, one process per file, so that one that loses the GPU takes nothing else along."""
    seed = str(time.time_ns() % 2**32)
    files = sorted(file.relative_to(ROOT) for file in (ROOT / "tests" / "gpu").glob("test_gpu_*.py"))
    environment = {**_ON_GPU, "TINYRNN_TEST_SEED": seed}
    command = [*_PYTEST, f"--hypothesis-seed={seed}", "-m", "gpu", "-k", which]
    for rows in watch([Child(file.stem, [*command, str(file)], environment) for file in files], seconds):
        yield [row if row["ok"] else {**row, "seed": seed} for row in rows]


class Part(NamedTuple):
    """What gives the rows, and its share of the time."""

    rows: Callable[[float], Iterator[list[Row]]]
    weight: float


PARTS = {
    "compile": Part(compilation, 90),
    "parity": Part(parity, 120),
    "gradients": Part(gradients, 50),
    "timing": Part(timing, 90),
    "suites": Part(suites, 50),
    "sanitizer": Part(sanitizer, 100),
    "training": Part(training, 70),
}


def missing() -> dict[str, str]:
    """{part: what it lacks here}."""
    if not loader.is_available():
        return dict.fromkeys(PARTS, "no GPU, or no CuPy")
    lacks = {} if gpu_timing.peer_is_available() else {"timing": "no PyTorch that has this GPU"}
    return lacks if shutil.which("compute-sanitizer") else {**lacks, "sanitizer": "no compute-sanitizer"}


def _rows_of(name: str, lacks: dict[str, str], seconds: float) -> Iterator[list[Row]]:
    if name in lacks:
        yield [{"name": name, "ok": False, "output": lacks[name]}]
        return
    rows: list[Row] = []
    try:
        for rows in PARTS[name].rows(seconds):
            yield rows
    except Exception:  # the other parts are still worth their time
        yield [*rows, {"name": name, "ok": False, "output": traceback.format_exc()[-3000:]}]


def _shares(chosen: list[str], seconds: float) -> list[float]:
    """The seconds of each part if none finishes early."""
    return [seconds * PARTS[name].weight / sum(PARTS[each].weight for each in chosen) for name in chosen]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part (can be given several times)")
    parser.add_argument("--minutes", type=float, default=9.5, metavar="M", help="time for all parts together (default: 9.5)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="where gpu.json and gpu.md go")
    parser.add_argument("--plan", action="store_true", help="say what would run, and run nothing")
    options = parser.parse_args()
    chosen = [name for name in PARTS if name in (options.part or PARTS)]
    lacks = missing()
    if options.plan:
        for name, seconds in zip(chosen, _shares(chosen, 60 * options.minutes)):
            what = (PARTS[name].rows.__doc__ or "").strip().partition("\n")[0]
            print(f"{name}, {seconds:.0f} s: {what}" + (f" MISSING HERE: {lacks[name]}" if name in lacks else ""))
        return 0
    until = time.monotonic() + 60 * options.minutes
    loader.cupy()  # or an error that says what is missing
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended on the way out
    results = gpu_results.Results(options.out)
    for place, name in enumerate(chosen):
        started = time.monotonic()
        seconds = _shares(chosen[place:], until - started)[0]
        rows: list[Row] = []
        for rows in _rows_of(name, lacks, seconds):
            results.put(name, rows, time.monotonic() - started, finished=False)
        results.put(name, rows, time.monotonic() - started, finished=True)
        bad = sum(not row["ok"] for row in rows)
        print(f"{name}: {len(rows)} rows, {bad} not as they should be, {time.monotonic() - started:.0f} s", flush=True)
    return int(not results.are_good())


if __name__ == "__main__":
    sys.exit(main())
