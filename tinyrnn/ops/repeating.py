"""Copies with repetitions: repeat and tile the whole, repeat_interleave each slice."""

from __future__ import annotations

import numpy as np

from tinyrnn.engine.base import wrap
from tinyrnn.engine.tape import record
from tinyrnn.ops.broadcasting import sum_to
from tinyrnn.ops.casting import array
from tinyrnn.ops.gathering import index_select
from tinyrnn.ops.shaping import as_sizes, flatten, reshape
from tinyrnn.ops.slicing import wrap_dim


def repeat(input, *sizes, repeats=None):
    """`input` laid out ``sizes[i]`` times along dimension i (a copy); further sizes add new dimensions in front."""
    x = array(input)
    counts = as_sizes("repeat", sizes, repeats)
    if len(counts) < x.ndim:
        raise RuntimeError(
            f"Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: got "
            f"{len(counts)} repeats for {x.ndim} dimensions"
        )
    if min(counts, default=0) < 0:
        raise RuntimeError(f"repeat: expected counts of at least 0, got {list(counts)}")
    return record(repeat_backward, (input,), np.tile(x, counts), (counts, x.shape))


def repeat_backward(node, g, counts, shape):
    sizes = (1,) * (len(counts) - len(shape)) + shape
    pairs = [n for pair in zip(counts, sizes) for n in pair]
    ones = [n for size in sizes for n in (1, size)]
    return reshape(sum_to(reshape(g, pairs), tuple(ones)), shape)


def tile(input, *sizes, dims=None):
    """Like `repeat`; missing counts in front are 1."""
    counts = as_sizes("tile", sizes, dims)
    return repeat(input, (1,) * (array(input).ndim - len(counts)) + counts)


def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Each slice along `dim` (each element of the flat tensor without `dim`) `repeats` times in a row.

    `repeats` is an int, or a tensor with one count per slice. With a tensor of counts alone, the result is the numbers
    of the slices, each as often as its count says. `output_size` is the size to expect along `dim`.

    Raises
    ------
    RuntimeError
        If the counts are negative, are not one per slice, or do not add up to `output_size`.
    """
    if repeats is None:
        counts = array(input)
        _check_counts(counts, counts.size, output_size)
        return wrap(np.repeat(np.arange(counts.size), counts))
    if dim is None:
        input, dim = flatten(input), 0
    size = array(input).shape[wrap_dim(dim, array(input).ndim)]
    counts = np.asarray(array(repeats))
    if counts.ndim and counts.size not in (1, size):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and "
            f"input.size({dim}) = {size}"
        )
    _check_counts(counts, size, output_size)
    return index_select(input, dim, np.repeat(np.arange(size), counts))


def _check_counts(counts, size, output_size):
    if counts.size and counts.min() < 0:
        raise RuntimeError(f"repeats can not be negative, got {int(counts.min())}")
    total = int(counts.sum()) * (size if counts.size == 1 and size != 1 else 1)
    if output_size is not None and output_size != total:
        raise RuntimeError(f"repeat_interleave: Invalid output_size, expected {total} but got {output_size}")
