"""Adagrad."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.engine.base import wrap
from tinyrnn.kernels.narrow import written_in_32_bits
from tinyrnn.optim.optimizer import Optimizer, check_range, check_ways, descent


class Adagrad(Optimizer):
    """p -= lr' g / (sqrt(s) + eps), s the sum of all g^2 so far; Duchi, Hazan & Singer 2011.

    Parameters
    ----------
    lr_decay : float
        lr' = lr / (1 + (t - 1) lr_decay) in step t.
    weight_decay : float
        weight_decay p is added to g.
    initial_accumulator_value : float
        What s starts with.
    maximize : bool
        Ascend.
    foreach, fused : bool, optional
        Ways of PyTorch to take the step: see `check_ways`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        check_ways(foreach, fused)
        super().__init__(params, defaults)

    def check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_range(name, group[name], 0.0)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        start = param_group["initial_accumulator_value"]
        for p in param_group["params"]:
            self.state[p] = {"step": wrap(np.zeros((), np.float32)), "sum": wrap(np.full_like(p.array, start))}

    def update(self, params: list, group: dict[str, Any]) -> None:
        for p in params:
            state = self.state[p]
            grad = descent(p, group)
            state["step"].array += 1
            rate = group["lr"] / (1 + (float(state["step"].array) - 1) * group["lr_decay"])
            _step(p.array, grad, state["sum"].array, rate, group["eps"])


@written_in_32_bits(0, 2)
def _step(param: np.ndarray, grad: np.ndarray, total: np.ndarray, rate: float, eps: float) -> None:
    total += grad * grad
    param -= rate * (grad / (np.sqrt(total) + eps))
