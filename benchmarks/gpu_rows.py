"""Rows of gpu.py as JSON lines, written by its child processes: each twice, when it is begun and when it is done.

So whatever ends a process, the rows until then are there, with the one that it was at; and a process that is started again
goes on after that one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

BEGUN = "begun, and never ended"
LOST = 64  # the exit status of a process that left because no further call to its GPU can succeed
Row = dict[str, Any]


class Rows:
    """The file that TINYRNN_ROWS names, or another."""

    def __init__(self, file: str | Path | None = None) -> None:
        self.file = Path(file or os.environ["TINYRNN_ROWS"])

    def begin(self, name: str) -> None:
        """A row is worked on, which is not as it should be until `end`."""
        self._write({"name": name, "ok": False, "note": BEGUN})

    def end(self, row: Row) -> None:
        """What there is to say of a row that was begun; {"name": name, "skipped": True} removes it."""
        self._write(row)

    def _write(self, row: Row) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def read(self) -> dict[str, Row]:
        """{name: row}, of each what was said last."""
        if not self.file.exists():
            return {}
        text = self.file.read_text(errors="replace")
        lines = text[: text.rfind("\n") + 1].splitlines()  # the last line may still be written to
        return {row["name"]: row for row in map(json.loads, lines)}


def is_lost(cupy: Any) -> bool:
    """Whether this process has lost its GPU, as after an access out of bounds, which every later call fails with."""
    try:
        cupy.cuda.Device().synchronize()
    except cupy.cuda.runtime.CUDARuntimeError:
        return True
    return False
