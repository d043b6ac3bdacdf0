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


class Ragged(str):
    """A value whose size along `open_axis` follows the numbers of an input, not its size."""

    open_axis: int

    def __new__(cls, value: str, open_axis: int) -> Ragged:
        ragged = super().__new__(cls, value)
        ragged.open_axis = open_axis
        return ragged


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
    """As many steps as the longest sequence has, or all of the batch that was packed."""
    value = sequence.data.value
    if total_length not in (None, value.steps):
        raise NotImplementedError("total_length can be exported if it is the number of steps before packing")
    inside = inside_sequences(g, value.padded, value.lengths)
    x = g("Where", inside, value.padded, g.value(padding_value, out[0].array.dtype))
    lengths = g.cast(value.lengths, _INT32, _INT64)
    if total_length is None:
        x = g("Slice", x, g.ints(0), g("ReduceMax", lengths, axes=[0], keepdims=1), g.ints(0))
    x = g("Transpose", x, perm=[1, 0, 2]) if batch_first else x
    return [Ragged(x, int(batch_first)), lengths]
