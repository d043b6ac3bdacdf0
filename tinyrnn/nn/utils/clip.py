"""Clipping gradients by their joint norm (Pascanu, Mikolov & Bengio 2013) or element by element."""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyrnn import dtypes
from tinyrnn._tensor import Tensor
from tinyrnn.engine.base import as_array, version_of, wrap
from tinyrnn.kernels.dispatch import backend
from tinyrnn.kernels.narrow import widened


def get_total_norm(tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Any:
    """The `norm_type`-norm of all elements of `tensors` together (``inf``: the largest magnitude), as a 0-d tensor.

    Raises
    ------
    RuntimeError
        If `error_if_nonfinite` and the norm is infinite or NaN.
    """
    arrays = [tensor.array for tensor in _as_list(tensors)]
    norm_type = float(norm_type)
    if not arrays:
        return wrap(np.zeros((), dtypes.get_default_dtype().numpy))
    if norm_type == 2.0:
        total = as_array(backend(arrays[0]).global_norm(arrays))
    else:
        total = as_array(_norm(np.stack([_norm(array, norm_type) for array in arrays]), norm_type))
    total = total.astype(np.result_type(*arrays), copy=False)
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            f"clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            f"`error_if_nonfinite=False`"
        )
    return wrap(total)


def _norm(array: Any, norm_type: float) -> Any:
    magnitudes = widened(np.abs(array))
    if norm_type == math.inf:
        return magnitudes.max() if magnitudes.size else np.zeros_like(magnitudes, shape=())
    if norm_type == -math.inf:
        return magnitudes.min() if magnitudes.size else np.full_like(magnitudes, math.inf, shape=())
    if norm_type == 0:
        return (magnitudes != 0).sum().astype(magnitudes.dtype)
    return (magnitudes**norm_type).sum() ** (1.0 / norm_type)


def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Any:
    """Scale all gradients by ``min(1, max_norm / (norm + 1e-6))``, in place, and return their joint norm before that.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are left out.
    max_norm : float
        The joint norm afterwards is at most this.
    norm_type : float
        Order of the norm; ``math.inf`` or ``"inf"`` for the largest magnitude.
    error_if_nonfinite : bool
        Raise a RuntimeError if the norm is infinite or NaN, instead of scaling by it.
    """
    parameters = _as_list(parameters)
    gradients = [p.grad for p in parameters if p.grad is not None]
    total_norm = get_total_norm(gradients, norm_type, error_if_nonfinite)
    scale = np.minimum(float(max_norm) / (total_norm.array + 1e-6), 1.0)
    if gradients:
        arrays = [_writable(gradient) for gradient in gradients]
        backend(arrays[0]).scale_inplace(arrays, scale)
    return total_norm


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Clamp every element of every gradient to [-clip_value, clip_value], in place."""
    clip_value = float(clip_value)
    for parameter in _as_list(parameters):
        if parameter.grad is not None:
            array = _writable(parameter.grad)
            np.clip(array, -clip_value, clip_value, out=array)


def _as_list(tensors: Any) -> list:
    if isinstance(tensors, Tensor):
        return [tensors]
    if not isinstance(tensors, Iterable):
        raise TypeError(f"expected a tensor or an iterable of tensors, got {type(tensors).__name__}")
    listed = list(tensors)
    if not listed and isinstance(tensors, types.GeneratorType):
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    return listed


def _writable(tensor: Any) -> Any:
    """The array of a gradient that is about to be written; the write is counted."""
    if not getattr(tensor.array.flags, "writeable", True):  # expanded, under create_graph
        tensor.array = tensor.array.copy()
        tensor.version = None
    version_of(tensor).count += 1
    return tensor.array
