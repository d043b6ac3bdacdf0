"""Optimizers and schedules of the learning rate, under PyTorch's names."""

from tinyrnn import _lazy
from tinyrnn.optim import lr_scheduler
from tinyrnn.optim.adagrad import Adagrad
from tinyrnn.optim.adam import Adam, AdamW
from tinyrnn.optim.lbfgs import LBFGS
from tinyrnn.optim.optimizer import Optimizer
from tinyrnn.optim.rmsprop import RMSprop
from tinyrnn.optim.sgd import SGD

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]

__getattr__ = _lazy.answering(__name__)
