"""How to train: the recipe and the budget."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

GREATEST_SEED: Final = 2**64 - 1

# The rate stays for the first third of the budget, then falls in a line that would meet zero at its end.
_FALL, _FLOOR = 1.5, 0.02


@dataclass(frozen=True)
class TrainingConfig:
    """What `Trainer` needs to know beside model and data.

    Attributes
    ----------
    batch : int
        Pairs in a batch.
    epochs : int, optional
        Budget in passes over the training pairs. With neither `epochs` nor `minutes`, 10.
    minutes : float, optional
        Budget in time since the start, validation included; with both, training ends when the first is used up.
    lr : float
        Adam's learning rate; falls linearly over the last two thirds of the budget to 2 % of this.
    clip : float
        Gradients with a larger norm are scaled down to it.
    seed : int
        Seed of shuffling and dropout, at most 2**64 - 1. The same seed gives the same numbers as long as the schedule
        goes by `epochs`; one that goes by `minutes` depends on the speed of the machine.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    batch: int = 64
    epochs: int | None = None
    minutes: float | None = None
    lr: float = 1e-3
    clip: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs is None and self.minutes is None:
            object.__setattr__(self, "epochs", 10)
        for name, least in (("batch", 1), ("epochs", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
        if self.seed > GREATEST_SEED:
            raise ValueError(f"seed: expected at most {GREATEST_SEED}, got {self.seed}; choose a smaller one")
        for name in ("minutes", "lr", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}: expected a positive number, got {value!r}")

    def progress(self, steps: int, steps_per_epoch: int, seconds: float) -> float:
        """Give the used share of the budget: 1 or more when it is used up."""
        by_steps = 0.0 if self.epochs is None else steps / (self.epochs * steps_per_epoch)
        by_time = 0.0 if self.minutes is None else seconds / (60 * self.minutes)
        return max(by_steps, by_time)

    def learning_rate(self, progress: float) -> float:
        """Give the learning rate after this share of the budget."""
        return self.lr * max(_FLOOR, min(1.0, _FALL * (1 - progress)))

    def to_json(self) -> dict[str, Any]:
        """Give the values as JSON data."""
        return asdict(self)
