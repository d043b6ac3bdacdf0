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
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import gpu_timing

import tinyrnn
from tinyrnn.kernels.gpu import loader

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
    done = _run([sys.executable, "-m", "pytest", "benchmarks/test_gpu.py", "-q", f"--benchmark-json={file}"], 120)
    if not file.exists():
        return [{"name": "benchmarks/test_gpu.py", "ok": False, "output": done.stdout[-2000:]}]
    found = json.loads(file.read_text())["benchmarks"]
    file.unlink()
    return [{"name": each["name"], "median_us": 1e6 * each["stats"]["median"], "ok": True} for each in found]


def sanitizer() -> list[Row]:
    """The sweeps under NVIDIA's compute-sanitizer: reads and writes out of bounds, and races in shared memory."""
    rows = []
    for tool in ("memcheck", "racecheck"):
        tests = ["tests/gpu/test_gpu_recurrent.py", "-q", "-k", "all_options or plain", "-p", "no:cacheprovider"]
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", sys.executable, "-m", "pytest", *tests]
        done = _run(command, 120)
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
    environment = {"TINYRNN_TEST_SEED": str(time.time_ns() % 2**32), "TINYRNN_TEST_REPORT": str(file)}
    done = _run([sys.executable, "-m", "pytest", "-q", *arguments], 240, environment)
    if not file.exists():
        return [{"name": " ".join(arguments), "ok": False, "output": (done.stdout + done.stderr)[-2000:]}]
    rows: list[Row] = json.loads(file.read_text())
    file.unlink()
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
    """Of everything that decides what runs on the GPU."""
    folder = PACKAGE / "kernels"
    files = sorted(
        [*(folder / "gpu").glob("*.py"), *(folder / "gpu").glob("*.cu*"), folder / "cells.h", folder / "reference.py"]
    )
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def missing() -> dict[str, str]:
    """{part: what it lacks here}."""
    lacks = {}
    if not loader.is_available():
        lacks = dict.fromkeys(PARTS, "no GPU, or no CuPy")
    else:
        if not importlib.util.find_spec("torch"):
            lacks["timing"] = "no PyTorch"
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


def _earlier(sources: str) -> dict[str, list[Row]]:
    file = RESULTS / "gpu.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    return found.get("parts", {}) if found.get("sources") == sources else {}


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
    sources = sources_hash()
    parts = _earlier(sources)
    for name in chosen:
        started = time.time()
        parts[name] = [{"name": name, "ok": False, "output": lacks[name]}] if name in lacks else PARTS[name]()
        parts = {each: parts[each] for each in PARTS if each in parts}
        results = {"date": datetime.date.today().isoformat(), "sources": sources, "machine": machine(), "parts": parts}
        write(results)
        bad = sum(not row.get("ok", True) for row in parts[name])
        print(f"{name}: {len(parts[name])} rows, {bad} not as they should be, {time.time() - started:.0f} s", flush=True)
    return int(any(not row.get("ok", True) for rows in parts.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
