"""Tools for gradients, and for ragged batches (`rnn`)."""

from tinyrnn import _lazy
from tinyrnn.nn.utils import rnn
from tinyrnn.nn.utils.clip import clip_grad_norm_, clip_grad_value_, get_total_norm

__all__ = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm", "rnn"]

__getattr__ = _lazy.answering(__name__)
