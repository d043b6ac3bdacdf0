"""pack_padded_sequence and what undoes it. In the graph, a PackedSequence stays the padded batch and its lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.interop.onnx.graph import Graph
from tinyrnn.interop.onnx.scan import inside_sequences
from tinyrnn.interop.onnx.table import emits
from tinyrnn.nn.utils import rnn

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)


class Packed(str):
    """The value of the data of a PackedSequence: an empty name, for the graph has no such rows.

    padded : the value (T, B, F). lengths : int32 (B,). steps : T in the example.
    """

    padded: str
    lengths: str
    steps: int


def packed_values(packed: Any, padded: str, lengths: str, steps: int) -> list[str]:
    """A value for each tensor of a PackedSequence."""
    value = Packed()
    value.padded, value.lengths, value.steps = padded, lengths, steps
    return [value] * sum(field is not None for field in packed)


@emits(rnn.pack_padded_sequence)
def _pack(g: Graph, out: Any, input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> list[str]:
    if input.array.ndim != 3:
        raise NotImplementedError(f"only batches of 3 dimensions can be exported, this one has {input.array.ndim}")
    x = g("Transpose", g.value(input), perm=[1, 0, 2]) if batch_first else g.value(input)
    return packed_values(out, x, g.value(lengths, _INT32), input.array.shape[batch_first])


@emits(rnn.pad_packed_sequence)
def _pad(
    g: Graph, out: Any, sequence: Any, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> list[str]:
    """All steps of the batch that was packed, also if they are more than the longest sequence has."""
    padded, value = out[0], sequence.data.value
    if total_length not in (None, value.steps):
        raise NotImplementedError("total_length can be exported if it is the number of steps before packing")
    missing = [(0, 0)] * 3
    missing[batch_first] = (0, value.steps - padded.array.shape[batch_first])
    padded.array = np.pad(padded.array, missing, constant_values=padding_value)
    inside = inside_sequences(g, value.padded, value.lengths)
    x = g("Where", inside, value.padded, g.value(padding_value, padded.array.dtype))
    return [g("Transpose", x, perm=[1, 0, 2]) if batch_first else x, g.cast(value.lengths, _INT32, _INT64)]
