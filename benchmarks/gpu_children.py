"""The child processes of gpu.py: run beside each other, watched, ended in time, and started again where they died."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gpu_rows import BEGUN, Row, Rows

ROOT = Path(__file__).resolve().parents[1]
_SILENT = 90  # seconds without a new row after which a process is taken to hang
_ENDED = (0, 1, 5, 9)  # pytest is done, some tests failed, it has none (left); compute-sanitizer is done, with reports


class Child:
    """A command that writes rows to the file in TINYRNN_ROWS (see gpu_rows.py), and its output."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.status: int | None = None
        self.ended_by_itself = False
        self._folder = tempfile.TemporaryDirectory(prefix="tinyrnn_gpu_")
        self.rows = Rows(Path(self._folder.name, "rows.jsonl"))
        self._log = Path(self._folder.name, "log")
        folders = [ROOT, ROOT / "benchmarks", ROOT / "tests" / "ops"]
        path = os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])
        given = {**(environment or {}), "TINYRNN_ROWS": str(self.rows.file), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        self._command, self._environment = list(command), {**os.environ, **given}
        self._process: subprocess.Popen[bytes] | None = None
        self._notes: list[Row] = []
        self._before: dict[str, Row] = {}  # what there was when it was last started

    def start(self) -> None:
        self._before = self.rows.read()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def is_at_work(self, silent: float) -> bool:
        """Whether it runs; if it died, or has been silent for so long, and had got further, it is started again."""
        if self._process is None:
            return False
        self.status = self._process.poll()
        if self.status in _ENDED:
            self._process, self.ended_by_itself = None, True
            self._note_what_ended_it()
            return False
        last = max((each.stat().st_mtime for each in (self.rows.file, self._log) if each.exists()), default=0.0)
        if self.status is None and time.time() - last < silent:
            return True
        why = f"silent for {silent:.0f} seconds" if self.status is None else f"exit status {self.status}"
        self.stop()
        rows, death = self.rows.read(), {"ok": False, "note": why, "output": self.output()[-3000:]}
        if rows.keys() <= self._before.keys():
            self._notes.append({"name": self.name, **death})
            return False
        self._end_begun(death)
        self.start()
        return True

    def _note_what_ended_it(self) -> None:
        """Status 1 is pytest's for tests that failed, and Python's for an error outside of any row, such as at an import."""
        death = {"ok": False, "note": f"exit status {self.status}", "output": self.output()[-3000:]}
        if self.status == 1:
            self._end_begun(death)
            if all(row["ok"] for row in self.all_rows()):
                self._notes.append({"name": self.name, **death})

    def _end_begun(self, death: Row) -> None:
        """What the process was at is as it should not be."""
        for name, row in self.rows.read().items():
            if row.get("note") == BEGUN:
                self.rows.end({"name": name, **death})

    def stop(self, why: str = "") -> None:
        """End it and what it started."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            if why:
                self._notes.append({"name": self.name, "ok": False, "note": why})
        self._process = None

    def all_rows(self) -> list[Row]:
        return [row for row in self.rows.read().values() if "skipped" not in row] + self._notes

    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def watch(children: Sequence[Child], seconds: float, silent: float = _SILENT) -> Iterator[list[Row]]:
    """Run them beside each other for so long at most; give the rows of all, whenever there are more."""
    until, shown = time.monotonic() + seconds, None
    try:
        for child in children:
            child.start()
        while any([child.is_at_work(silent) for child in children]) and time.monotonic() < until:
            rows = [row for child in children for row in child.all_rows()]
            if rows != shown:
                yield rows
            shown = rows
            time.sleep(0.2)
    except FileNotFoundError as error:  # the command
        yield [*(shown or []), {"name": children[0].name, "ok": False, "output": str(error)}]
        return
    finally:
        for child in children:
            child.stop(f"its time was up, {seconds:.0f} seconds")
    yield [row for child in children for row in child.all_rows()]
