"""Tools for parameters and their gradients."""

from tinyrnn import _lazy
from tinyrnn.nn.utils.clip import clip_grad_norm_, clip_grad_value_, get_total_norm

__all__ = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm"]

__getattr__ = _lazy.answering(__name__)
