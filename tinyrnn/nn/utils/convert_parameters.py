"""All parameters of a model as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinyrnn.ops.slicing import cat, split


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All elements of `parameters`, one after the other, in a new vector; gradients flow through it."""
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Let `parameters` take over the elements of a vector that `parameters_to_vector` made, or one of that length.

    Raises
    ------
    ValueError
        If the vector has not as many elements as the parameters together.
    """
    targets = list(parameters)
    sizes = [parameter.numel() for parameter in targets]
    if vec.shape != (sum(sizes),):
        raise ValueError(f"vector_to_parameters: expected a vector of {sum(sizes)} elements, got shape {tuple(vec.shape)}")
    for parameter, piece in zip(targets, split(vec.detach(), sizes), strict=True):
        parameter.data = piece.reshape(parameter.shape)
