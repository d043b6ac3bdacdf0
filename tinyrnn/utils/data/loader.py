"""DataLoader: goes through a data set batch by batch."""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.thread import BrokenThreadPool
from typing import Any

from tinyrnn import cuda
from tinyrnn.utils.data.collate import default_collate, default_convert
from tinyrnn.utils.data.datasets import IterableDataset, Subset, TensorDataset
from tinyrnn.utils.data.samplers import BatchSampler, RandomSampler, SequentialSampler, batches_of


class DataLoader:
    """An iterable of batches; every pass is a new one, shuffled anew.

    Parameters
    ----------
    dataset : Dataset or IterableDataset, or anything with ``__getitem__`` and ``__len__``
    batch_size : int, optional
        Samples in a batch; None gives samples one by one.
    shuffle : bool
        In random order.
    sampler : iterable of int, optional
        In which order samples come, in place of `shuffle`.
    batch_sampler : iterable of list of int, optional
        Which samples make a batch, in place of `batch_size`, `shuffle`, `sampler` and `drop_last`.
    num_workers : int
        Threads that fetch and collate batches ahead; 0: none. (PyTorch starts processes. Threads need no copies, and reading
        and NumPy's work go on side by side; Python code of the data set takes turns. Samples of an IterableDataset are read
        by the caller, and only collated ahead.)
    collate_fn : callable, optional
        Makes a batch of a list of samples; by default `default_collate`.
    pin_memory : bool
        Allowed, because programs pass it: copies to a GPU come from pageable memory. Without a GPU a warning, as in PyTorch.
    drop_last : bool
        Leave out a last batch that is shorter.
    timeout : float
        Seconds to wait for a batch of the workers; 0: as long as it takes.
    worker_init_fn : callable, optional
        Called in every worker when it starts, with its number.
    multiprocessing_context : None
        Workers are no processes.
    generator : Generator, optional
        For `shuffle`; by default each pass draws a seed from the global one.
    prefetch_factor : int, optional
        Batches that each worker is ahead, by default 2.
    persistent_workers : bool
        Keep the workers from one pass to the next.

    Raises
    ------
    ValueError, NotImplementedError
        If options exclude each other, or a context for processes is given.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"num_workers option should be non-negative, got {num_workers}; use 0 to load in this thread")
        if prefetch_factor is not None and (num_workers == 0 or prefetch_factor < 1):
            raise ValueError("prefetch_factor is for num_workers > 0, and at least 1")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        if timeout < 0:
            raise ValueError(f"timeout option should be non-negative, got {timeout}; 0 waits as long as it takes")
        if multiprocessing_context is not None:
            raise NotImplementedError(
                f"multiprocessing_context={multiprocessing_context!r}: workers are threads of this process; leave it out"
            )
        if pin_memory and not cuda.is_available():
            warnings.warn("pin_memory is set, but no accelerator is found, so memory is not pinned", stacklevel=2)
        self.dataset = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.generator = generator
        self.prefetch_factor = prefetch_factor
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.persistent_workers = persistent_workers
        self._kept: ThreadPoolExecutor | None = None  # of persistent workers, from the first pass on
        self._failed: Exception | None = None  # what `worker_init_fn` raised
        self._iterable = isinstance(dataset, IterableDataset)
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None gives samples one by one, and is mutually exclusive with drop_last")
        if self._iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("an IterableDataset comes in its own order: expected no shuffle, sampler or batch_sampler")
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if sampler is None and not self._iterable:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_sampler is None and batch_size is not None and not self._iterable:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)  # type: ignore[arg-type]
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.collate_fn = collate_fn or (default_convert if batch_size is None and batch_sampler is None else default_collate)

    def __len__(self) -> int:
        """The number of batches, if it is known."""
        if not self._iterable:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        size = len(self.dataset)
        if self.batch_size is None:
            return size
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        jobs = self._jobs()
        return map(self._batch, jobs) if self.num_workers == 0 else self._ahead(jobs)

    def _jobs(self) -> Iterator[Any]:
        """What each batch is made of: numbers of samples or, of an IterableDataset, the samples."""
        if not self._iterable:
            yield from self.sampler if self.batch_sampler is None else self.batch_sampler  # type: ignore[misc]
        elif self.batch_size is None:
            yield from self.dataset
        else:
            yield from batches_of(self.dataset, self.batch_size, self.drop_last)

    def _batch(self, job: Any) -> Any:
        if self._iterable:
            return self.collate_fn(job)
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[job])
        if self.collate_fn is default_collate and _takes_lists(self.dataset):
            return list(self.dataset[list(job)])  # rows of tensors: the same as stacking them one by one
        return self.collate_fn([self.dataset[index] for index in job])

    def _ahead(self, jobs: Iterator[Any]) -> Iterator[Any]:
        """Batches in their order, while threads work on the next ones. An error comes at the batch where it happened."""
        most = self.num_workers * (self.prefetch_factor or 2)
        pool, waiting = self._workers(), deque[Future]()
        try:
            for job in jobs:
                waiting.append(pool.submit(self._batch, job))
                if len(waiting) > most:
                    yield self._fetched(waiting.popleft())
            while waiting:
                yield self._fetched(waiting.popleft())
        except BrokenThreadPool as error:
            raise self._failed or error from None
        finally:
            for future in waiting:
                future.cancel()
            if pool is not self._kept:
                pool.shutdown(wait=False)  # not for what is late

    def _workers(self) -> ThreadPoolExecutor:
        if self._kept is not None:
            return self._kept
        numbers = itertools.count()

        def start() -> None:
            try:
                if self.worker_init_fn is not None:
                    self.worker_init_fn(next(numbers))
            except Exception as error:
                self._failed = error
                raise

        pool = ThreadPoolExecutor(self.num_workers, "tinyrnn-data", start)
        if self.persistent_workers:
            self._kept = pool
        return pool

    def _fetched(self, batch: Future) -> Any:
        try:
            return batch.result(self.timeout or None)
        except FutureTimeout:
            if batch.done():
                raise  # by the data set itself
            raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None


def _takes_lists(dataset: Any) -> bool:
    """Whether a list of numbers gives the rows of all of them at once."""
    while type(dataset) is Subset:
        dataset = dataset.dataset
    return type(dataset) is TensorDataset
