"""Checks of what layers are made with, in PyTorch's words where it has some."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any


def check_integer(name: str, value: Any) -> int:
    """`value` as an int, which it or NumPy calls it already; TypeError else."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
    return int(value)


def check_count(name: str, value: Any) -> int:
    """`value` as an int; TypeError or ValueError unless it is a positive integer."""
    count = check_integer(name, value)
    if count <= 0:
        raise ValueError(f"{name} must be greater than zero")
    return count


def check_counts(**counts: Any) -> list[int]:
    """`check_count` of each of them, in their order."""
    return [check_count(name, value) for name, value in counts.items()]


def check_flag(name: str, value: Any) -> None:
    """TypeError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")


def check_probability(name: str, value: Any, meaning: str) -> float:
    """`value` as a float; ValueError unless it is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(f"{name} should be a number in range [0, 1], {meaning}, got {value!r}")
    return float(value)


def check_projection(proj_size: Any, hidden_size: int) -> int:
    """`proj_size`, an int from 0 to below `hidden_size`; TypeError or ValueError else."""
    proj_size = check_integer("proj_size", proj_size)
    if proj_size < 0:
        raise ValueError(f"proj_size should be a positive integer or zero to disable projections, got {proj_size}")
    if proj_size >= hidden_size:
        raise ValueError(f"proj_size has to be smaller than hidden_size={hidden_size}, got {proj_size}")
    return proj_size


def check_zoneout(zoneout: Any, states: tuple[str, ...]) -> float | tuple[float, float]:
    """A probability, or of an LSTM one for h and one for c; 0 if both are."""
    meaning = "the probability of a unit keeping its old state"
    if not isinstance(zoneout, tuple):
        return check_probability("zoneout", zoneout, meaning)
    if len(states) != 2 or len(zoneout) != 2:
        raise ValueError(f"zoneout should be a number, or of an LSTM a pair for h and c, got {zoneout!r}")
    h, c = (check_probability("zoneout", each, meaning) for each in zoneout)
    return (h, c) if h or c else 0.0
