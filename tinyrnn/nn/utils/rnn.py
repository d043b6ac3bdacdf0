"""Ragged batches as PyTorch programs hold them: padded, packed, or as lists of sequences.

Layers take `lengths=` directly, which does the same with less to write; these are for programs that pack themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyrnn import _lazy
from tinyrnn._tensor import Tensor
from tinyrnn.devices import in_main_memory
from tinyrnn.engine.base import wrap
from tinyrnn.ops.packing import packing_of, put_rows, take_rows
from tinyrnn.ops.selection import where
from tinyrnn.ops.shaping import reshape, transpose
from tinyrnn.ops.slicing import cat, narrow, stack

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip

__getattr__ = _lazy.answering(__name__)


class _Fields(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Fields):
    """The valid steps of a batch of sequences, step by step, longest sequence first.

    RNN, LSTM and GRU take it in place of a padded batch, and return their output as one.

    Attributes
    ----------
    data : Tensor (N, ...), N steps of all sequences together
    batch_sizes : Tensor (T,), int64
        How many sequences reach each step; row `sum(batch_sizes[:t]) + b` of `data` is step t of the sequence that is b-th
        longest.
    sorted_indices : Tensor (B,) or None
        Which sequences of the batch they are, longest first; None: the batch came that way.
    unsorted_indices : Tensor (B,) or None
        Undoes `sorted_indices`.
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        if batch_sizes is None:
            raise ValueError("PackedSequence: batch_sizes are missing; pack_padded_sequence(input, lengths) makes both")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With `data` as ``data.to(...)`` gives it; `self` if that changes nothing."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def cpu(self) -> PackedSequence:
        return self.to("cpu")

    def float(self) -> PackedSequence:
        """With `data` as float32."""
        return type(self)(self.data.float(), *self[1:])

    def double(self) -> PackedSequence:
        """With `data` as float64."""
        return type(self)(self.data.double(), *self[1:])

    def half(self) -> PackedSequence:
        """With `data` as float16."""
        return type(self)(self.data.half(), *self[1:])

    def bfloat16(self) -> PackedSequence:
        """With `data` as bfloat16."""
        return type(self)(self.data.bfloat16(), *self[1:])

    def long(self) -> PackedSequence:
        """With `data` as int64."""
        return type(self)(self.data.long(), *self[1:])

    def int(self) -> PackedSequence:
        """With `data` as int32."""
        return type(self)(self.data.int(), *self[1:])

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda


def invert_permutation(permutation: Any) -> Any:
    """The permutation (B,) that undoes another; None of None."""
    return None if permutation is None else wrap(np.argsort(permutation.array))


def pack_padded_sequence(input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """Pack a padded batch; what lies behind the end of a sequence is not looked at.

    Parameters
    ----------
    input : Tensor (T, B, ...), with `batch_first` (B, T, ...)
    lengths : B integers from 1 to T (list, array or tensor)
    batch_first : bool
    enforce_sorted : bool
        Lengths must fall. False takes any order: results of layers, and `pad_packed_sequence`, have the order of the batch.

    Raises
    ------
    RuntimeError
        If a length is not from 1 to T, or they do not fall and should.
    ValueError
        If there are not B of them.
    """
    T, B = _steps_and_sequences("pack_padded_sequence", input, batch_first)
    given = _integers("pack_padded_sequence", lengths)
    if given.shape != (B,):
        turned = given.shape == (T,) and not batch_first
        hint = "; is the input (batch, time, feature)? pass batch_first=True" if turned else ""
        raise ValueError(
            f"pack_padded_sequence: expected {B} lengths, one for each sequence of the batch, got shape {given.shape}{hint}"
        )
    if B == 0:
        raise RuntimeError("pack_padded_sequence: cannot pack a batch of no sequences")
    if given.min() <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0; layers take "
            "empty sequences by lengths="
        )
    if given.max() > T:
        raise RuntimeError(f"pack_padded_sequence: expected lengths of at most {T}, the steps of the input, got {given.max()}")
    if enforce_sorted and (given[1:] > given[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement"
        )
    packing = packing_of(given, T, B)
    rows = np.arange(T * B) if packing.rows is None else packing.rows
    if batch_first:  # in (B, T) and not (T, B)
        rows = rows % B * T + rows // B
    data = take_rows(
        reshape(input, (T * B, *input.array.shape[2:])), None if packing.rows is None and not batch_first else rows
    )
    order = None if enforce_sorted else wrap(np.arange(B) if packing.order is None else packing.order)
    return PackedSequence(data, wrap(np.array(packing.batch_sizes, np.int64)), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """Undo `pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool
    padding_value : float
        What lies behind the end of a sequence.
    total_length : int, optional
        Steps of the result, if it should have more than the longest sequence.

    Returns
    -------
    Tensor (T, B, ...), with `batch_first` (B, T, ...), and the lengths, (B,) int64, in the order of the batch.

    Raises
    ------
    ValueError
        If `total_length` is less than the longest sequence.
    """
    sizes = _batch_sizes(sequence)
    longest, B = len(sizes), int(sizes[0])
    T = longest if total_length is None else total_length
    if longest > T:
        raise ValueError(
            f"Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    step = np.repeat(np.arange(longest), sizes)
    place = np.arange(len(step)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    lengths = (sizes[:, None] > np.arange(B)).sum(0)
    if sequence.unsorted_indices is not None:
        place = sequence.sorted_indices.array[place]
        lengths = lengths[sequence.unsorted_indices.array]
    rows = place * T + step if batch_first else step * B + place
    shape = (B, T) if batch_first else (T, B)
    padded = reshape(put_rows(sequence.data, rows, T * B), (*shape, *sequence.data.array.shape[1:]))
    if padding_value != 0:
        padded = _filled(padded, lengths, padding_value, batch_first)
    return padded, wrap(lengths.astype(np.int64))


def pad_sequence(sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right") -> Any:
    """Stack sequences (T_b, ...) of different lengths: (T, B, ...), with `batch_first` (B, T, ...), T that of the longest.

    `padding_side` says on which side of a short sequence `padding_value` stands, "right" or "left".
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: expected padding_side to be one of left or right, but got {padding_side}")
    sequences = _list_of_sequences("pad_sequence", sequences)
    T = max(len(each.array) for each in sequences)
    padded = []
    for each in sequences:
        missing = T - len(each.array)
        if missing:
            padding = each.new_full((missing, *each.array.shape[1:]), padding_value)
            each = cat([each, padding] if padding_side == "right" else [padding, each])
        padded.append(each)
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """Undo `pad_sequence`: a list of B sequences (lengths[b], ...)."""
    _, B = _steps_and_sequences("unpad_sequence", padded_sequences, batch_first)
    given = _integers("unpad_sequence", lengths)
    if given.shape != (B,):
        raise ValueError(f"unpad_sequence: expected {B} lengths, one for each sequence of the batch, got shape {given.shape}")
    sequences = padded_sequences if batch_first else transpose(padded_sequences, 0, 1)
    return [narrow(sequences[b], 0, 0, int(given[b])) for b in range(B)]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (T_b, ...) of different lengths; `enforce_sorted` as for `pack_padded_sequence`."""
    sequences = _list_of_sequences("pack_sequence", sequences)
    return pack_padded_sequence(pad_sequence(sequences), [len(each.array) for each in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """Undo `pack_sequence`: a list of sequences (T_b, ...)."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


# ---- checks ----------------------------------------------------------------------------------------------------------


def _steps_and_sequences(name: str, input: Any, batch_first: bool) -> tuple[int, int]:
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}: expected a padded batch as a tensor, got {type(input).__name__}")
    if input.array.ndim < 2:
        raise RuntimeError(f"{name}: expected at least 2 dimensions, time and batch, got shape {tuple(input.array.shape)}")
    first, second = input.array.shape[:2]
    return (second, first) if batch_first else (first, second)


def _integers(name: str, lengths: Any) -> np.ndarray:
    if isinstance(lengths, (list, tuple)):
        lengths = [each.item() if isinstance(each, Tensor) else each for each in lengths]
    given = np.asarray(in_main_memory(lengths.array) if isinstance(lengths, Tensor) else lengths)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected lengths to be integers, got {given.dtype}")
    return given.astype(np.int64)


def _list_of_sequences(name: str, sequences: Any) -> list[Any]:
    found = list(sequences) if isinstance(sequences, (Iterable, Tensor)) else []
    if not found or not all(isinstance(each, Tensor) and each.array.ndim for each in found):
        raise RuntimeError(
            f"{name}: expected a list of at least one tensor with a first dimension of time, got {sequences!r:.80}"
        )
    return found


def _batch_sizes(sequence: Any) -> np.ndarray:
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"expected a PackedSequence, got {type(sequence).__name__}; pack_padded_sequence makes one")
    return sequence.batch_sizes.array


def _filled(padded: Any, lengths: np.ndarray, value: float, batch_first: bool) -> Any:
    """`padded` with `value` in place of the zeros behind the end of every sequence."""
    T = padded.array.shape[1 if batch_first else 0]
    inside = np.arange(T) < lengths[:, None] if batch_first else np.arange(T)[:, None] < lengths
    inside = inside.reshape(*inside.shape, *[1] * (padded.array.ndim - 2))
    return where(wrap(np.broadcast_to(inside, padded.array.shape).copy()), padded, value)
