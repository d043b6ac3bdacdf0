"""Data sets, samplers and the loader."""

from __future__ import annotations

import collections
import threading

import numpy as np
import pytest

import tinyrnn
from tinyrnn.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    random_split,
)  # fmt: skip


class Squares(Dataset):
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index, float(index**2)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(7))


def numbers_in(loader):
    return [batch[0].tolist() for batch in loader]


@pytest.mark.parametrize("workers", [0, 3])
def test_batches_in_order(workers):
    loader = DataLoader(Squares(7), batch_size=3, num_workers=workers)
    assert numbers_in(loader) == [[0, 1, 2], [3, 4, 5], [6]] == numbers_in(loader)
    assert len(loader) == 3 and next(iter(loader))[1].dtype == tinyrnn.float64
    assert numbers_in(DataLoader(Squares(7), 3, drop_last=True, num_workers=workers)) == [[0, 1, 2], [3, 4, 5]]


def test_shuffled_anew_in_every_pass_and_again_with_the_same_seed():
    def passes():
        loader = DataLoader(Squares(20), batch_size=4, shuffle=True, generator=tinyrnn.Generator().manual_seed(3))
        return numbers_in(loader), numbers_in(loader)

    first, second = passes()
    assert first != second and (first, second) == passes()
    assert all(sorted(i for batch in each for i in batch) == list(range(20)) for each in (first, second))
    tinyrnn.manual_seed(1)
    once = numbers_in(DataLoader(Squares(20), 4, shuffle=True))
    tinyrnn.manual_seed(1)
    assert once == numbers_in(DataLoader(Squares(20), 4, shuffle=True))


def test_tensor_dataset_gives_rows_and_lists_of_rows_give_the_same_as_one_by_one():
    x, y = tinyrnn.arange(12.0).reshape(6, 2), tinyrnn.arange(6)
    data = TensorDataset(x, y)
    assert len(data) == 6 and tinyrnn.equal(data[2][0], x[2]) and data[-1][1].item() == 5
    for source in (data, Subset(data, [5, 1, 3, 0])):
        at_once = list(DataLoader(source, batch_size=3))
        one_by_one = list(DataLoader(source, batch_size=3, collate_fn=lambda samples: default_collate(samples)))
        for a, b in zip(at_once, one_by_one, strict=True):
            assert isinstance(a, list) and all(tinyrnn.equal(left, right) for left, right in zip(a, b, strict=True))


def test_samplers():
    assert list(SequentialSampler(range(3))) == [0, 1, 2]
    assert sorted(RandomSampler(range(5))) == [0, 1, 2, 3, 4]
    twice = list(RandomSampler(range(5), num_samples=8))
    assert sorted(twice[:5]) == [0, 1, 2, 3, 4] and len(twice) == 8 == len(RandomSampler(range(5), num_samples=8))
    assert set(RandomSampler(range(3), replacement=True, num_samples=50)) == {0, 1, 2}
    assert sorted(SubsetRandomSampler([4, 9, 2])) == [2, 4, 9]
    assert set(WeightedRandomSampler([0.0, 1.0, 1.0], 60)) == {1, 2}
    assert list(BatchSampler(range(5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2, drop_last=False)) == 3

    class Backwards(Sampler):
        def __iter__(self):
            return iter([2, 1, 0])

    assert numbers_in(DataLoader(Squares(3), 2, sampler=Backwards())) == [[2, 1], [0]]
    assert numbers_in(DataLoader(Squares(9), batch_sampler=[[1], [8, 2]])) == [[1], [8, 2]]


def test_random_split():
    parts = random_split(Squares(10), [7, 3], generator=tinyrnn.Generator().manual_seed(0))
    assert [len(part) for part in parts] == [7, 3]
    assert sorted(i for part in parts for i, _ in (part[k] for k in range(len(part)))) == list(range(10))
    assert [len(part) for part in random_split(Squares(10), [0.55, 0.25, 0.2])] == [6, 2, 2]
    with pytest.raises(ValueError, match=r"add up to 10.*got 9"):
        random_split(Squares(10), [7, 2])


def test_concatenation():
    both = Squares(3) + Squares(2)
    assert isinstance(both, ConcatDataset) and [both[i][0] for i in range(5)] == [0, 1, 2, 0, 1] and both[-1][0] == 1
    with pytest.raises(IndexError, match="5 is out of range for 5"):
        both[5]


def test_iterable_datasets():
    assert [batch.tolist() for batch in DataLoader(Stream(), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(DataLoader(Stream(), None)) == list(range(7))
    with pytest.raises(ValueError, match="own order"):
        DataLoader(Stream(), shuffle=True)


Point = collections.namedtuple("Point", "x y")


def test_collating_is_pytorchs():
    torch = pytest.importorskip("torch")
    from torch.utils.data import default_collate as theirs

    for batch in (
        [1, 2], [1.5, 2.5], [True, False], ["a", "bc"], [np.float32(1), np.float32(2)], [np.arange(3), np.arange(3)],
        [{"a": 1, "b": [1.0, "x"]}, {"a": 2, "b": [2.0, "y"]}], [(1, 2.0), (3, 4.0)], [Point(1, 2.0), Point(3, 4.0)],
    ):  # fmt: skip
        assert_same(default_collate(batch), theirs(batch), torch)
    assert_same(
        default_convert((np.arange(2), "a", {"b": 1})), torch.utils.data.default_convert((np.arange(2), "a", {"b": 1})), torch
    )


def assert_same(ours, theirs, torch):
    if isinstance(theirs, torch.Tensor):
        assert str(ours.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1]
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_same(ours[key], theirs[key], torch)
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs) and len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b, torch)
    else:
        assert ours == theirs


def test_workers_are_threads_that_keep_order_and_hand_errors_on():
    seen = set()

    class Slow(Squares):
        def __getitem__(self, index):
            seen.add(threading.current_thread().name)
            if index == 5:
                raise KeyError("sample five")
            return super().__getitem__(index)

    loader = iter(DataLoader(Slow(8), batch_size=2, num_workers=2, prefetch_factor=1))
    assert next(loader)[0].tolist() == [0, 1] and next(loader)[0].tolist() == [2, 3]
    with pytest.raises(KeyError, match="sample five"):
        next(loader)
    assert all(name.startswith("tinyrnn-data") for name in seen)


def test_workers_can_be_kept_and_are_told_their_numbers():
    started, threads = [], set()

    class Named(Squares):
        def __getitem__(self, index):
            threads.add(threading.current_thread())
            return super().__getitem__(index)

    loader = DataLoader(Named(8), 2, num_workers=1, persistent_workers=True, worker_init_fn=started.append)
    assert numbers_in(loader) == numbers_in(loader) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert started == [0] and len(threads) == 1
    loader = DataLoader(Named(2), num_workers=1, worker_init_fn=started.append)
    assert numbers_in(loader) == numbers_in(loader) == [[0], [1]]
    assert started == [0, 0, 0] and len(threads) == 3


def test_what_a_worker_raises_when_it_starts_is_raised():
    def fail(number):
        raise KeyError(f"worker {number}")

    with pytest.raises(KeyError, match="worker 0"):
        list(DataLoader(Squares(4), num_workers=1, worker_init_fn=fail))


def test_a_batch_that_does_not_come_in_time():
    release = threading.Event()

    class Stuck(Squares):
        def __getitem__(self, index):
            release.wait(10)
            return super().__getitem__(index)

    loader = iter(DataLoader(Stuck(2), num_workers=1, timeout=0.05))
    with pytest.raises(RuntimeError, match=r"timed out after 0\.05 seconds"):
        next(loader)
    release.set()


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda: DataLoader(Squares(3), persistent_workers=True), ValueError, "needs num_workers > 0"),
        (lambda: DataLoader(Squares(3), timeout=-1), ValueError, "non-negative, got -1"),
        (lambda: DataLoader(Squares(3), multiprocessing_context="fork"), NotImplementedError, "threads"),
        (lambda: DataLoader(Squares(3), batch_size=0), ValueError, "batch_size=0"),
        (lambda: DataLoader(Squares(3), shuffle=True, sampler=range(3)), ValueError, "mutually exclusive with shuffle"),
        (lambda: DataLoader(Squares(3), batch_sampler=[[0]], shuffle=True), ValueError, "batch_sampler option is mutually"),
        (lambda: DataLoader(Squares(3), None, drop_last=True), ValueError, "mutually exclusive with drop_last"),
        (lambda: DataLoader(Squares(3), num_workers=-1), ValueError, "non-negative, got -1"),
        (lambda: DataLoader(Squares(3), prefetch_factor=2), ValueError, "num_workers > 0"),
        (lambda: TensorDataset(tinyrnn.ones(2), tinyrnn.ones(3)), ValueError, r"got \[2, 3\]"),
        (lambda: RandomSampler(range(3), num_samples=0), ValueError, "num_samples=0"),
        (lambda: Dataset()[0], NotImplementedError, "does not define __getitem__"),
        (lambda: default_collate([object()]), TypeError, "found object.*collate_fn"),
        (lambda: default_collate([[1], [1, 2]]), RuntimeError, "equal size"),
        (lambda: default_collate([tinyrnn.ones(2), tinyrnn.ones(3)]), RuntimeError, r"shapes \[\(2,\), \(3,\)\].*pad_sequence"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_a_sentence(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call()


def test_pinned_memory_is_warned_of():
    with pytest.warns(UserWarning, match="not pinned"):
        assert numbers_in(DataLoader(Squares(2), pin_memory=True)) == [[0], [1]]
