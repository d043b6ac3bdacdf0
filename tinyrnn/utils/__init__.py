"""Tools that are not layers: data sets and their batches (`data`)."""

from tinyrnn import _lazy
from tinyrnn.utils import data

__all__ = ["data"]

__getattr__ = _lazy.answering(__name__)
