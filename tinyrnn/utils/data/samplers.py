"""Samplers: in which order samples come, and which make a batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

from tinyrnn.creation import as_tensor
from tinyrnn.generator import Generator
from tinyrnn.random import multinomial, randint, randperm

Index_co = TypeVar("Index_co", covariant=True)


class Sampler(Generic[Index_co]):
    """Goes through the numbers of samples, or lists of them. It defines ``__iter__()`` and, if it knows, ``__len__()``."""

    def __iter__(self) -> Iterator[Index_co]:
        raise NotImplementedError(
            f"{type(self).__name__} does not define __iter__(), which goes through the numbers of samples"
        )


class SequentialSampler(Sampler[int]):
    """All samples in their order."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Samples in random order.

    Parameters
    ----------
    data_source : with a length
    replacement : bool
        Every draw is from all samples; else each comes once before any comes again.
    num_samples : int, optional
        How many to draw, by default as many as there are.
    generator : Generator, optional
        By default each pass draws a seed from the global one.
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: Any = None
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(self.num_samples, int) or self.num_samples < 0 or (num_samples == 0 and len(data_source) > 0):
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={self.num_samples}")

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size = len(self.data_source)
        generator = self.generator or fresh_generator()
        if self.replacement:
            yield from randint(0, size, (self.num_samples,), generator=generator).tolist()
            return
        for start in range(0, self.num_samples, max(size, 1)):
            yield from randperm(size, generator=generator).tolist()[: self.num_samples - start]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given numbers in random order."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` draws from 0 to ``len(weights) - 1``, with probabilities in proportion to `weights`."""

    def __init__(self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Any = None) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        self.weights = as_tensor(weights).double()
        if self.weights.dim() != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}")
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        yield from multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list]):
    """Lists of `batch_size` numbers from another sampler; `drop_last` leaves out a last one that is shorter."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list]:
        yield from batches_of(self.sampler, self.batch_size, self.drop_last)

    def __len__(self) -> int:
        size = len(self.sampler)  # type: ignore[arg-type]
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)


def batches_of(items: Iterable[Any], size: int, drop_last: bool) -> Iterator[list]:
    """Lists of `size` items; the last may be shorter, unless it is dropped."""
    source = iter(items)
    while batch := list(itertools.islice(source, size)):
        if len(batch) == size or not drop_last:
            yield batch


def fresh_generator() -> Generator:
    """A generator of its own, with a seed drawn from the global one: how many numbers a pass draws disturbs nobody else."""
    return Generator().manual_seed(int(randint(0, 2**62, ()).item()))
