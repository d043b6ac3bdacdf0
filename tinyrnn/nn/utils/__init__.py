"""Tools for gradients and parameters, and for ragged batches (`rnn`)."""

from tinyrnn import _lazy
from tinyrnn.nn.utils import rnn
from tinyrnn.nn.utils.clip import clip_grad_norm_, clip_grad_value_, get_total_norm
from tinyrnn.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "get_total_norm", "parameters_to_vector", "rnn", "vector_to_parameters",
]  # fmt: skip

__getattr__ = _lazy.answering(__name__)
