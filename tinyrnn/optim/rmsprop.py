"""RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.engine.base import wrap
from tinyrnn.kernels.narrow import written_in_32_bits
from tinyrnn.optim.optimizer import Optimizer, check_range, check_ways, descent


class RMSprop(Optimizer):
    """p -= lr g / (sqrt(v) + eps), v a running mean of g^2 with decay `alpha`; Hinton 2012, lecture 6e of his course.

    Parameters
    ----------
    weight_decay : float
        weight_decay p is added to g.
    momentum : float
        The step is lr b, where b = momentum b + g / (sqrt(v) + eps).
    centered : bool
        v less the square of the running mean of g: an estimate of the variance (Graves 2013, equation 40).
    maximize : bool
        Ascend.
    foreach : bool, optional
        A way of PyTorch to take the step: see `check_ways`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        check_ways(foreach)
        super().__init__(params, defaults)

    def check_options(self, group: dict[str, Any]) -> None:
        for name in ("lr", "eps", "momentum", "weight_decay", "alpha"):
            check_range(name, group[name], 0.0)

    def update(self, params: list, group: dict[str, Any]) -> None:
        for p in params:
            state = self._state_of(p, group)
            state["step"].array += 1
            mean = state["grad_avg"].array if group["centered"] else None
            buffer = state["momentum_buffer"].array if group["momentum"] else None
            _step(p.array, descent(p, group), state["square_avg"].array, mean, buffer, group)

    def _state_of(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        state = self.state[p]
        state.setdefault("step", wrap(np.zeros((), np.float32)))
        wanted = {"square_avg": True, "momentum_buffer": group["momentum"] > 0, "grad_avg": group["centered"]}
        for name, needed in wanted.items():
            if needed and name not in state:
                state[name] = wrap(np.zeros_like(p.array))
        return state


@written_in_32_bits(0, 2, 3, 4)
def _step(param: Any, grad: Any, square: Any, mean: Any, buffer: Any, group: dict[str, Any]) -> None:
    mean_square = _decay(square, group["alpha"], grad * grad)
    if mean is not None:
        _decay(mean, group["alpha"], grad)
        mean_square = mean_square - mean * mean
    step = grad / (np.sqrt(mean_square) + group["eps"])
    if buffer is not None:
        buffer *= group["momentum"]
        buffer += step
        step = buffer
    param -= group["lr"] * step


def _decay(mean: np.ndarray, decay: float, new: np.ndarray) -> np.ndarray:
    """Move a running mean towards `new`, in place."""
    mean *= decay
    mean += (1 - decay) * new
    return mean
