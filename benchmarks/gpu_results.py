"""What gpu.py writes: gpu.json, and the same as tables in gpu.md."""

from __future__ import annotations

import datetime
import hashlib
import importlib.util
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from gpu_rows import Row

import tinyrnn
from tinyrnn.kernels.gpu import loader

PACKAGE = Path(tinyrnn.__file__).parent
_PACKAGES = ("numpy", "ml_dtypes", "torch", "cupy-cuda12x", "cupy-cuda13x", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13")


class Results:
    """The rows of all parts, those of an earlier run that still hold and new ones, which are on disk as soon as they come."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._of = {"sources": sources_hash(), "machine": machine()}
        file = folder / "gpu.json"
        earlier = json.loads(file.read_text()) if file.exists() else {}
        same = all(earlier.get(name) == value for name, value in self._of.items())
        self._parts: dict[str, dict[str, Any]] = earlier["parts"] if same else {}

    def put(self, part: str, rows: list[Row], seconds: float, finished: bool) -> None:
        """All rows of a part so far, in the place of those that it had."""
        now = datetime.datetime.now().isoformat(" ", "minutes")
        self._parts[part] = {"date": now, "seconds": round(seconds, 1), "finished": finished, "rows": rows}
        _replace(self._folder / "gpu.json", json.dumps({**self._of, "parts": self._parts}, indent=1))
        _replace(self._folder / "gpu.md", "\n".join(self._lines()))

    def are_good(self) -> bool:
        return all(part["finished"] and all(row["ok"] for row in part["rows"]) for part in self._parts.values())

    def _lines(self) -> list[str]:
        lines = ["# GPU", "", f"`python benchmarks/gpu.py`, hash of the sources {self._of['sources']}", ""]
        lines += [f"- {name}: {value}" for name, value in self._of["machine"].items() if name != "configuration"]
        lines += ["", "```", self._of["machine"]["configuration"], "```"]
        for name, part in self._parts.items():
            bad = [row for row in part["rows"] if not row["ok"]]
            lines += ["", f"## {name}", "", f"{part['date']}, {part['seconds']} s, {len(part['rows'])} rows, "]
            lines[-1] += f"{len(bad)} not as they should be" + ("" if part["finished"] else "; STOPPED before its end")
            lines += ["", *table(part["rows"])]
            for row in bad:
                if row.get("output"):
                    lines += ["", f"{row['name']}:", "", "```", row["output"].replace("```", "'''"), "```"]
        return lines


def _replace(file: Path, text: str) -> None:
    """Whoever is killed meanwhile leaves the old file or the new one."""
    new = file.with_suffix(file.suffix + ".new")
    new.write_text(text + "\n")
    new.replace(file)


def table(rows: list[Row]) -> list[str]:
    """Rows in Markdown, each value of each, but what long outputs say."""
    names = list(dict.fromkeys(name for row in rows for name in row if name != "output"))
    head = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)] if rows else []
    return head + ["| " + " | ".join(_shown(row.get(name)) for name in names) + " |" for row in rows]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|").replace("\n", " ")


def machine() -> dict[str, Any]:
    """The device, its driver, the versions of everything that takes part, and how tinyrnn is built."""
    runtime = loader.cupy().cuda.runtime
    properties = runtime.getDeviceProperties(0)
    found: dict[str, Any] = {
        "device": properties["name"].decode(),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "memory_gib": round(properties["totalGlobalMem"] / 2**30, 1),
        "driver": _driver(),
        "cuda_of_driver": runtime.driverGetVersion(),
        "cuda_runtime": runtime.runtimeGetVersion(),
        "python": sys.version.split()[0],
        "tinyrnn": tinyrnn.__version__,
    }
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if importlib.util.find_spec("torch"):
        import torch

        found["cudnn"] = torch.backends.cudnn.version()
    return found | {"configuration": tinyrnn.show_config()}


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return "unknown, without nvidia-smi"


def sources_hash() -> str:
    """Of everything that decides what runs on the GPU, and how it is measured and compared."""
    root = PACKAGE.parent
    files = [file for kind in ("*.py", "*.cu", "*.cuh", "*.h") for file in PACKAGE.rglob(kind)]
    files += [*(root / "benchmarks").glob("*gpu*.py"), *(root / "tests" / "gpu").glob("*.py")]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
