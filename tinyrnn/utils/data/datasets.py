"""Data sets: what can be asked for sample number i, or gone through."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from tinyrnn._tensor import Tensor
from tinyrnn.random import randperm

Sample_co = TypeVar("Sample_co", covariant=True)


class Dataset(Generic[Sample_co]):
    """Samples by number. A data set defines ``__getitem__(index)`` and, unless it is only indexed, ``__len__()``."""

    def __getitem__(self, index: Any) -> Sample_co:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__(index), which gives a sample")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Sample_co]):
    """Samples one after the other. It defines ``__iter__()``; samplers and shuffling have no say."""

    def __iter__(self) -> Iterator[Sample_co]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__(), which goes through the samples")


class TensorDataset(Dataset[tuple]):
    """Sample i is row i of every tensor.

    Raises
    ------
    ValueError
        If the tensors differ in their first dimension.
    """

    def __init__(self, *tensors: Tensor) -> None:
        sizes = [len(tensor) for tensor in tensors]
        if len(set(sizes)) != 1:
            raise ValueError(
                f"TensorDataset: expected tensors of one first dimension, the number of samples, got {sizes or 'no tensor'}"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple:
        return tuple([tensor[index] for tensor in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset[Sample_co]):
    """Sample i is sample ``indices[i]`` of another data set."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Sample_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[Sample_co]):
    """Data sets one behind the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one data set")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise TypeError("ConcatDataset: an IterableDataset has no sample number i; chain them with itertools.chain")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Sample_co:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range for {size} samples")
        index %= size
        which = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


def random_split(dataset: Any, lengths: Sequence[float], generator: Any = None) -> list[Subset]:
    """Cut a data set at random into parts that do not overlap.

    Parameters
    ----------
    dataset : with a length
    lengths : samples in each part; or shares that add up to 1, of which what does not come out even goes to the first parts.
    generator : Generator, optional

    Raises
    ------
    ValueError
        If the parts do not add up to the data set.
    """
    size = len(dataset)
    counts = list(lengths)
    if math.isclose(sum(counts), 1) and sum(counts) <= 1 and all(0 <= share <= 1 for share in counts):
        counts = [math.floor(size * share) for share in lengths]
        for i in range(size - int(sum(counts))):
            counts[i % len(counts)] += 1
    if sum(counts) != size:
        raise ValueError(
            f"random_split: expected lengths that add up to {size}, the samples of the data set, got {sum(counts)}"
        )
    order = randperm(size, generator=generator).tolist()
    ends = list(itertools.accumulate(int(count) for count in counts))
    return [Subset(dataset, order[end - int(count) : end]) for end, count in zip(ends, counts, strict=True)]
