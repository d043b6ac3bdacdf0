"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.engine.base import wrap
from tinyrnn.kernels.dispatch import backend
from tinyrnn.optim.optimizer import Optimizer, check_range, check_ways, same_kind


class Adam(Optimizer):
    """p -= lr m' / (sqrt(v') + eps); Kingma & Ba 2015, algorithm 1.

    m and v are running means of the gradient g and of g^2 with decay `betas`; m' = m / (1 - beta1^t) and
    v' = v / (1 - beta2^t) in step t.

    Parameters
    ----------
    weight_decay : float
        Added to g as weight_decay p; or, with `decoupled_weight_decay`, p is first multiplied by 1 - lr weight_decay.
    amsgrad : bool
        v' uses the largest v so far (Reddi, Kale & Kumar 2018).
    maximize : bool
        Ascend.
    foreach, fused : bool, optional
        Ways of PyTorch to take the step: see `check_ways`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        check_ways(foreach, fused)
        super().__init__(params, defaults)

    def check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "eps", "weight_decay"):
            check_range(name, group[name], 0.0)
        for beta in group["betas"]:
            check_range("betas", beta, 0.0, 1.0)

    def update(self, params: list, group: dict[str, Any]) -> None:
        for p in params:
            state = self.state[p]
            if not state:
                state["step"] = wrap(np.zeros((), np.float32))
                state["exp_avg"] = wrap(np.zeros_like(p.array))
                state["exp_avg_sq"] = wrap(np.zeros_like(p.array))
            if group["amsgrad"] and "max_exp_avg_sq" not in state:
                state["max_exp_avg_sq"] = wrap(np.zeros_like(p.array))
            state["step"].array += 1
        for members in same_kind(params, [int(self.state[p]["step"].array) for p in params]):
            self._update_alike(members, group)

    def _update_alike(self, params: list, group: dict[str, Any]) -> None:
        states = [self.state[p] for p in params]
        beta1, beta2 = group["betas"]
        backend(params[0].array).adam_step(
            [p.array for p in params],
            [p.grad.array for p in params],
            [state["exp_avg"].array for state in states],
            [state["exp_avg_sq"].array for state in states],
            [state["max_exp_avg_sq"].array for state in states] if group["amsgrad"] else None,
            int(states[0]["step"].array),
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            group["decoupled_weight_decay"],
            group["maximize"],
        )


class AdamW(Adam):
    """Adam with `decoupled_weight_decay` (Loshchilov & Hutter 2019, algorithm 2)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        ways = {"foreach": foreach, "fused": fused}
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, **ways, decoupled_weight_decay=True)
