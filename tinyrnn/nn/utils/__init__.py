"""Tools for gradients and parameters, and for ragged batches (`rnn`)."""

from tinyrnn import _lazy
from tinyrnn.nn.utils import parametrizations, rnn
from tinyrnn.nn.utils.clip import clip_grad_norm_, clip_grad_value_, get_total_norm
from tinyrnn.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from tinyrnn.nn.utils.normalized_weights import remove_weight_norm, weight_norm

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "get_total_norm", "parameters_to_vector", "parametrizations",
    "remove_weight_norm", "rnn", "vector_to_parameters", "weight_norm",
]  # fmt: skip

__getattr__ = _lazy.answering(__name__)
