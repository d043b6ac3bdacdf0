"""How samples become a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyrnn import dtypes
from tinyrnn._tensor import Tensor
from tinyrnn.creation import as_tensor, tensor
from tinyrnn.ops.slicing import stack


def default_collate(batch: Any) -> Any:
    """Samples of one structure as one sample of batches.

    Tensors and arrays are stacked along a new first dimension, numbers become a tensor (float64, int64 or bool), strings stay
    as they are; inside of mappings, tuples and lists, the same for every place.

    Raises
    ------
    RuntimeError
        If samples have different lengths or shapes.
    TypeError
        If they are of another type; a `collate_fn` of your own can bring them together.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if isinstance(first, (np.ndarray, np.generic)):
        if np.asarray(first).dtype.kind in "SUO":
            raise TypeError(f"default_collate: cannot make a tensor of arrays of {np.asarray(first).dtype}; pass a collate_fn")
        return _stacked([as_tensor(np.asarray(each)) for each in batch])
    if isinstance(first, bool):
        return tensor(list(batch))
    if isinstance(first, float):
        return tensor(list(batch), dtype=dtypes.float64)
    if isinstance(first, int):
        return tensor(list(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([each[key] for each in batch]) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*[default_collate(each) for each in zip(*batch, strict=True)])
    if isinstance(first, Sequence):
        if any(len(each) != len(first) for each in batch):
            raise RuntimeError(
                "each element in list of batch should be of equal size; pass a collate_fn that brings them together"
            )
        return [default_collate(each) for each in zip(*batch, strict=True)]
    raise TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {type(first).__name__}; "
        f"pass a collate_fn"
    )


def default_convert(data: Any) -> Any:
    """A sample on its own, without a batch: arrays in it become tensors."""
    if isinstance(data, (np.ndarray, np.generic)) and np.asarray(data).dtype.kind not in "SUO":
        return as_tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*[default_convert(each) for each in data])
    if isinstance(data, tuple):
        return [default_convert(each) for each in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return [default_convert(each) for each in data]
    return data


def _stacked(batch: Any) -> Any:
    shapes = {tuple(each.shape) for each in batch}
    if len(shapes) > 1:
        raise RuntimeError(
            f"stack expects each tensor to be equal size, but samples have shapes {sorted(shapes)}; pass a collate_fn, for "
            f"instance with nn.utils.rnn.pad_sequence"
        )
    return stack(list(batch), 0)
