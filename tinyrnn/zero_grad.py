"""Forgetting gradients: what ``zero_grad`` of modules and of optimizers does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def zero_gradients(parameters: Iterable[Any], set_to_none: bool) -> None:
    """Drop the gradients of `parameters`, or zero them in place."""
    for parameter in parameters:
        if set_to_none:
            parameter.grad = None
        elif parameter.grad is not None:
            parameter.grad = parameter.grad.detach()
            parameter.grad.zero_()
