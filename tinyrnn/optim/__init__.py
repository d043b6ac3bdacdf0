"""Optimizers, under PyTorch's names."""

from tinyrnn.optim.adam import Adam, AdamW
from tinyrnn.optim.optimizer import Optimizer
from tinyrnn.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
