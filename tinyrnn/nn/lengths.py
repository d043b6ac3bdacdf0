"""The `lengths` argument of layers that take ragged batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.devices import in_main_memory
from tinyrnn.engine.base import TensorBase
from tinyrnn.nn.module import Module


def checked_lengths(layer: Module, lengths: Any, B: int, limit: int, limit_name: str) -> np.ndarray:
    """`lengths` (list, array or tensor) as an int64 array of B numbers from 0 to `limit`; else an error of `layer`."""
    try:
        given = np.asarray(in_main_memory(lengths.array) if isinstance(lengths, TensorBase) else lengths)
    except ValueError:  # nested lists of unequal lengths
        layer.fail(f"lengths are a nested {type(lengths).__name__}, expected {B} integers, one for each sequence", TypeError)
    if given.shape != (B,):
        layer.fail(f"lengths have shape {given.shape}, expected ({B},): one for each sequence of the batch")
    if given.dtype.kind not in "iu" and B:  # an empty list is one of floats to NumPy
        layer.fail(f"lengths are {given.dtype}, expected integers", TypeError)
    wrong = np.flatnonzero((given < 0) | (given > limit))
    if wrong.size:
        layer.fail(f"lengths[{wrong[0]}] is {given[wrong[0]]}, expected 0 to {limit}, the number of {limit_name}")
    return given.astype(np.int64)
