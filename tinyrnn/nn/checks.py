"""Checks of what layers are made with, in PyTorch's words where it has some."""

from __future__ import annotations

from numbers import Real
from typing import Any


def check_count(name: str, value: Any) -> None:
    """TypeError or ValueError unless `value` is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
    if value <= 0:
        raise ValueError(f"{name} must be greater than zero")


def check_counts(**counts: Any) -> None:
    """`check_count` for each of them."""
    for name, value in counts.items():
        check_count(name, value)


def check_flag(name: str, value: Any) -> None:
    """TypeError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")


def check_probability(name: str, value: Any, meaning: str) -> float:
    """`value` as a float; ValueError unless it is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(f"{name} should be a number in range [0, 1], {meaning}, got {value!r}")
    return float(value)
