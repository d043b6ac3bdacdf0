"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.engine.base import wrap
from tinyrnn.kernels.dispatch import backend
from tinyrnn.optim.optimizer import Optimizer, check_range, check_ways, same_kind


class SGD(Optimizer):
    """p -= lr b, where b = momentum b + (1 - dampening) g and g is the gradient plus weight_decay p.

    The first b is g. With `nesterov` (Sutskever et al. 2013) the step is lr (g + momentum b). `maximize` ascends.
    `foreach` and `fused` are ways of PyTorch to take it: see `check_ways`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        check_ways(foreach, fused)
        super().__init__(params, defaults)

    def check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            check_range(name, group[name], 0.0)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def update(self, params: list, group: dict[str, Any]) -> None:
        first = [self.state[p].get("momentum_buffer") is None if group["momentum"] else False for p in params]
        for members in same_kind(params, first):
            self._update_alike(members, group)

    def _update_alike(self, params: list, group: dict[str, Any]) -> None:
        buffers = None
        dampening = group["dampening"]
        if group["momentum"]:
            if self.state[params[0]].get("momentum_buffer") is None:
                dampening = 0  # so that the first b is g
                for p in params:
                    self.state[p]["momentum_buffer"] = wrap(np.zeros_like(p.array))
            buffers = [self.state[p]["momentum_buffer"].array for p in params]
        backend(params[0].array).sgd_step(
            [p.array for p in params],
            [p.grad.array for p in params],
            buffers,
            group["lr"],
            group["momentum"],
            dampening,
            group["weight_decay"],
            group["nesterov"],
            group["maximize"],
        )
