"""Optimizers, under PyTorch's names."""

from tinyrnn import _lazy
from tinyrnn.optim.adam import Adam, AdamW
from tinyrnn.optim.optimizer import Optimizer
from tinyrnn.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]

__getattr__ = _lazy.answering(__name__)
