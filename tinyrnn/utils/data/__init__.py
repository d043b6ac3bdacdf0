"""Data sets, samplers and the loader of batches, under PyTorch's names."""

from tinyrnn import _lazy
from tinyrnn.utils.data.collate import default_collate, default_convert
from tinyrnn.utils.data.datasets import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from tinyrnn.utils.data.loader import DataLoader
from tinyrnn.utils.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)  # fmt: skip

__all__ = [
    "BatchSampler", "ConcatDataset", "DataLoader", "Dataset", "IterableDataset", "RandomSampler", "Sampler",
    "SequentialSampler", "Subset", "SubsetRandomSampler", "TensorDataset", "WeightedRandomSampler", "default_collate",
    "default_convert", "random_split",
]  # fmt: skip

__getattr__ = _lazy.answering(__name__)
