"""Writing files that are never half written, and reading arrays of safetensors files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tinyrnn.dtypes import bfloat16


def write_atomically(path: Path, data: bytes) -> None:
    """Put a file in place at once: it holds the old content or the new, also after a crash.

    Raises
    ------
    OSError
        If it cannot be written; the old file is then as it was.
    """
    if path.exists() and not path.is_file():  # a pipe or a device is written to, not replaced
        path.write_bytes(data)
        return
    path = path.resolve()  # a link stays one
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def stored_array(file: Any, name: str) -> np.ndarray:
    """An array of an open safetensors file."""
    kind = bfloat16.numpy if file.get_slice(name).get_dtype() == "BF16" else None  # ml_dtypes has to be loaded before
    return np.asarray(file.get_tensor(name), kind)
