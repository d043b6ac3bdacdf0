"""Everything that needs a GPU, in one command of about ten minutes: is it right, and how fast is it beside PyTorch and cuDNN?

    python benchmarks/gpu.py                    # all parts, in order
    python benchmarks/gpu.py --part timing      # one of them; --part can be given several times
    python benchmarks/gpu.py --plan             # what would run, and what of it is missing here

Writes results/gpu.json and results/gpu.md after every part, with the device, the versions and a hash of the kernel sources.
Rows of parts that did not run this time stay if they are of the same sources, and are left out if not.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import gpu_timing

import tinyrnn
from tinyrnn.kernels.gpu import loader

_PYTEST = [sys.executable, "-m", "pytest", "-q", "-W", "default"]  # a warning of CuPy's is no error of ours
ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results")
PACKAGE = Path(tinyrnn.__file__).parent
Row = dict[str, Any]


# ---- the parts: each gives rows, and says in `ok` whether one is as it should be ----------------------------------------


def parity() -> list[Row]:
    """Every kernel and sweep against the reference, and layers against the CPU, with fresh inputs and poisoned outputs."""
    return _tests(["tests/gpu", "-m", "gpu", "-k", "not derivatives"])


def gradients() -> list[Row]:
    """First and second derivatives against finite differences, on the GPU."""
    return _tests(["tests/gpu", "-m", "gpu", "-k", "derivatives"])


def timing() -> list[Row]:
    """Layers beside PyTorch with cuDNN, eager and captured in a CUDA graph."""
    return gpu_timing.rows()


def suites() -> list[Row]:
    """pytest-benchmark's suites of the GPU against the CPU."""
    file = RESULTS / "gpu_suites.json"
    file.unlink(missing_ok=True)
    done = _run([*_PYTEST, "benchmarks/test_gpu.py", f"--benchmark-json={file}"], 60)
    if not file.exists():
        return [{"name": "benchmarks/test_gpu.py", "ok": False, "output": done.stdout[-2000:]}]
    found = json.loads(file.read_text())["benchmarks"]
    file.unlink()
    return [{"name": each["name"], "median_us": 1e6 * each["stats"]["median"], "ok": True} for each in found]


def sanitizer() -> list[Row]:
    """The sweeps under NVIDIA's compute-sanitizer: reads and writes out of bounds, and races in shared memory."""
    rows = []
    environment = {"TINYRNN_TEST_ON_GPU": "1", "TINYRNN_TEST_NO_POOL": "1"}
    for tool in ("memcheck", "racecheck"):
        tests = ["tests/gpu/test_gpu_recurrent.py", "-k", "all_options or plain", "-p", "no:cacheprovider"]
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *_PYTEST, *tests]
        done = _run(command, 150, environment)
        rows.append({"name": tool, "ok": done.returncode == 0, "output": "" if not done.returncode else done.stdout[-2000:]})
    return rows


def training() -> list[Row]:
    """The trainer's target tokens per second, on the CPU and on the GPU: dates, the default recipe."""
    rows = []
    for device in ("cpu", "cuda"):
        out = RESULTS / f"training_{device}"
        options = ["dates", "--out", str(out), "--overwrite", "--minutes", "0.4", "--device", device, "--hidden", "256"]
        done = _run([sys.executable, "-m", "tinyrnn", "train", *options], 120)
        history = out / "history.jsonl"
        entries = [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []
        speed = entries[-1].get("target_tokens_per_second") if entries else None
        rows.append({"name": device, "target_tokens_per_second": speed, "ok": done.returncode == 0 and bool(speed)})
        if done.returncode:
            rows[-1]["output"] = (done.stdout + done.stderr)[-2000:]
        shutil.rmtree(out, ignore_errors=True)
    return rows


PARTS: dict[str, Callable[[], list[Row]]] = {
    each.__name__: each for each in (parity, gradients, timing, suites, sanitizer, training)
}


def _tests(arguments: list[str]) -> list[Row]:
    """The tests that pytest chooses, each a row with its largest error in terms of what is allowed."""
    file = RESULTS / "gpu_tests.json"
    file.unlink(missing_ok=True)
    seed = str(time.time_ns() % 2**32)
    environment = {"TINYRNN_TEST_ON_GPU": "1", "TINYRNN_TEST_SEED": seed, "TINYRNN_TEST_REPORT": str(file)}
    done = _run([*_PYTEST, *arguments], 150, environment)
    rows: list[Row] = json.loads(file.read_text()) if file.exists() else []
    file.unlink(missing_ok=True)
    if done.returncode or not rows:
        rows.append({"name": f"pytest, seed {seed}", "ok": False, "output": (done.stdout + done.stderr)[-3000:]})
    return rows


def _run(command: list[str], seconds: float, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=ROOT, env=os.environ | (environment or {}), capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        return subprocess.CompletedProcess(command, 124, said, f"stopped after {seconds:.0f} seconds")
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 127, str(error), "")


# ---- the machine, and what is measured --------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """The device, its driver, and the versions of everything that takes part."""
    runtime = loader.cupy().cuda.runtime
    properties = runtime.getDeviceProperties(0)
    found: dict[str, Any] = {
        "device": properties["name"].decode(),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "memory_gib": round(properties["totalGlobalMem"] / 2**30, 1),
        "driver": runtime.driverGetVersion(),
        "cuda_runtime": runtime.runtimeGetVersion(),
        "python": sys.version.split()[0],
        "tinyrnn": tinyrnn.__version__,
    }
    for name in ("numpy", "torch", "cupy-cuda12x", "cupy-cuda13x", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13"):
        if importlib.util.find_spec(name.partition("-")[0]) or name.startswith("nvidia"):
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    if importlib.util.find_spec("torch"):
        import torch

        found["cudnn"] = torch.backends.cudnn.version()
    return found


def sources_hash() -> str:
    """Of everything that decides what runs on the GPU, and how it is measured."""
    files = [file for kind in ("*.py", "*.cu", "*.cuh") for file in sorted(PACKAGE.rglob(kind))]
    digest = hashlib.sha256()
    for file in (*files, PACKAGE / "kernels" / "cells.h", Path(gpu_timing.__file__)):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def missing() -> dict[str, str]:
    """{part: what it lacks here}."""
    lacks = {}
    if not loader.is_available():
        lacks = dict.fromkeys(PARTS, "no GPU, or no CuPy")
    else:
        if not gpu_timing.peer_is_available():
            lacks["timing"] = "no PyTorch that has this GPU"
        if shutil.which("compute-sanitizer") is None:
            lacks["sanitizer"] = "no compute-sanitizer"
    return lacks


# ---- the results -------------------------------------------------------------------------------------------------------------


def write(results: dict[str, Any]) -> None:
    """results/gpu.json, and the same as tables in results/gpu.md."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "gpu.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = ["# GPU", "", f"`python benchmarks/gpu.py`, {results['date']}, kernel sources {results['sources']}", ""]
    lines += [f"- {name}: {value}" for name, value in results["machine"].items()]
    for part, rows in results["parts"].items():
        bad = [row for row in rows if not row.get("ok", True)]
        lines += ["", f"## {part}: {len(rows)} rows, {len(bad)} not as they should be", ""]
        lines += gpu_timing.table(rows) if part == "timing" else _table(bad if part in ("parity", "gradients") else rows)
    (RESULTS / "gpu.md").write_text("\n".join(lines) + "\n")


def _table(rows: list[Row]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row if name != "output"))
    if not rows:
        return []
    head = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return head + ["| " + " | ".join(_shown(row.get(name)) for name in names) + " |" for row in rows]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value).replace("|", "\\|")


def _earlier(sources: str, where: dict[str, Any]) -> dict[str, list[Row]]:
    """The rows of an earlier run of the same sources on the same machine."""
    file = RESULTS / "gpu.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    return found.get("parts", {}) if (found.get("sources"), found.get("machine")) == (sources, where) else {}


def _rows_of(part: str, lacks: dict[str, str]) -> list[Row]:
    if part in lacks:
        return [{"name": part, "ok": False, "output": lacks[part]}]
    try:
        return PARTS[part]()
    except Exception:  # the other parts are still worth their time
        return [{"name": part, "ok": False, "output": traceback.format_exc()[-3000:]}]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part (can be given several times)")
    parser.add_argument("--plan", action="store_true", help="say what would run, and run nothing")
    options = parser.parse_args()
    chosen, lacks = options.part or list(PARTS), missing()
    if options.plan:
        for name in chosen:
            print(f"{name}: {(PARTS[name].__doc__ or '').strip()}" + (f" MISSING HERE: {lacks[name]}" if name in lacks else ""))
        return 0
    if not loader.is_available():
        loader.cupy()  # raises, and says what is missing
    sources, where = sources_hash(), machine()
    parts = _earlier(sources, where)
    for name in chosen:
        started = time.time()
        parts[name] = _rows_of(name, lacks)
        parts = {each: parts[each] for each in PARTS if each in parts}
        results = {"date": datetime.date.today().isoformat(), "sources": sources, "machine": where, "parts": parts}
        write(results)
        bad = sum(not row.get("ok", True) for row in parts[name])
        print(f"{name}: {len(parts[name])} rows, {bad} not as they should be, {time.time() - started:.0f} s", flush=True)
    return int(any(not row.get("ok", True) for rows in parts.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
