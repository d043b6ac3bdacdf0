"""L-BFGS: a quasi-Newton method that remembers the last changes of the parameters and of their gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyrnn._tensor import Tensor
from tinyrnn.engine.base import version_of, wrap
from tinyrnn.grad_modes import enable_grad
from tinyrnn.kernels.narrow import is_narrow, widened
from tinyrnn.optim.line_search import Point, strong_wolfe
from tinyrnn.optim.optimizer import Optimizer, check_range


class LBFGS(Optimizer):
    """p += t d, where d = -H g, and H approximates the inverse of the Hessian; Nocedal & Wright 2006, algorithm 7.4.

    One `step` is up to `max_iter` iterations on the same data, so it needs a closure that computes the loss and its
    gradients anew: ``optimizer.step(closure)``. There can only be one parameter group.

    Parameters
    ----------
    lr : float
        The step length t, or with a line search the one that is tried first.
    max_iter : int
        Iterations per step.
    max_eval : int, optional
        Evaluations of the closure per step, by default 5/4 `max_iter`.
    tolerance_grad, tolerance_change : float
        A step ends early once no element of the gradient, or of the change of the parameters or the loss, is larger.
    history_size : int
        The number of changes remembered, each as long as all parameters together.
    line_search_fn : "strong_wolfe", optional
        Choose t by a line search; None takes `lr` as it is.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if self.param_groups:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups): its one step is for all")
        super().add_param_group(param_group)

    def check_options(self, group: dict[str, Any]) -> None:
        check_range("lr", group["lr"], 0.0)
        check_range("history_size", group["history_size"], 1)
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"Invalid line_search_fn: {group['line_search_fn']!r}, expected None or 'strong_wolfe'")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Go down until a tolerance or limit is reached; returns the loss from before."""
        if closure is None:
            raise TypeError("LBFGS.step needs a closure: clear the gradients, compute the loss, call its backward, return it")
        loss = self._evaluate(closure)
        (group,) = self.param_groups
        state = self.state[group["params"][0]]
        limit = state["func_evals"] - 1 + group["max_eval"]
        now, gradient = float(loss), self._gradient()
        for iteration in range(1, group["max_iter"] + 1):
            if not gradient.size or np.abs(gradient).max() <= group["tolerance_grad"]:
                break
            direction = _direction(state, gradient, group["history_size"])
            t = group["lr"] * (min(1.0, 1.0 / float(np.abs(gradient).sum())) if state["n_iter"] == 1 else 1)
            state.update(d=wrap(direction), t=t, prev_flat_grad=wrap(gradient))
            start = Point(0.0, now, gradient, float(gradient @ direction))
            if start.slope > -group["tolerance_change"]:
                break
            if group["line_search_fn"] is not None:
                end = self._search(closure, start, t, direction, limit - state["func_evals"])
                state["t"], now, gradient = end.t, end.loss, end.gradient
                self._move(end.t, direction)
            else:
                self._move(t, direction)
                if iteration < group["max_iter"]:  # the next step, perhaps with other data, evaluates for itself
                    now, gradient = float(self._evaluate(closure)), self._gradient()
            if state["func_evals"] >= limit:
                break
            longest = float(np.abs(direction).max()) * abs(state["t"])
            if longest <= group["tolerance_change"] or abs(now - start.loss) < group["tolerance_change"]:
                break
        return loss

    def _search(self, closure: Callable[[], Any], start: Point, t: float, direction: np.ndarray, tries: int) -> Point:
        (group,) = self.param_groups
        before = [p.array.copy() for p in group["params"]]

        def evaluate(t: float) -> Point:
            self._move(t, direction)
            loss, gradient = float(self._evaluate(closure)), self._gradient()
            for p, array in zip(group["params"], before, strict=True):
                p.array[...] = array
            return Point(t, loss, gradient, float(gradient @ direction))

        size = float(np.abs(direction).max())
        return strong_wolfe(evaluate, start, t, size, max_steps=tries)

    def _evaluate(self, closure: Callable[[], Any]) -> Any:
        state = self.state[self.param_groups[0]["params"][0]]  # one state for all: PyTorch keeps it with the first
        state["func_evals"] = state.get("func_evals", 0) + 1
        with enable_grad():
            return closure()

    def _gradient(self) -> np.ndarray:
        """The gradients of all parameters, one after the other; those of 16-bit ones in float32, as is all that follows."""
        params = self.param_groups[0]["params"]
        flat = [np.zeros(p.array.size, p.array.dtype) if p.grad is None else p.grad.array.ravel() for p in params]
        return np.concatenate([widened(each) for each in flat])

    def _move(self, t: float, direction: np.ndarray) -> None:
        start = 0
        for p in self.param_groups[0]["params"]:
            p.array[...] += t * direction[start : start + p.array.size].reshape(p.array.shape)
            version_of(p).count += 1
            start += p.array.size

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; tensors are copied and converted to the dtype that a step computes in."""
        super().load_state_dict({**state_dict, "state": {}})
        params = self.param_groups[0]["params"]
        dtype = np.result_type(*(np.float32 if is_narrow(p.array) else p.array.dtype for p in params))
        for state in state_dict["state"].values():
            self.state[params[0]] = {name: _copied(value, dtype) for name, value in state.items()}


def _copied(value: Any, dtype: np.dtype) -> Any:
    if isinstance(value, list):
        return [_copied(item, dtype) for item in value]
    return wrap(value.array.astype(dtype)) if isinstance(value, Tensor) else value


def _direction(state: dict[str, Any], gradient: np.ndarray, history_size: int) -> np.ndarray:
    """-H g, by two loops over the remembered changes; the last change is remembered first."""
    state["n_iter"] = state.get("n_iter", 0) + 1
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
    else:
        _remember(state, gradient, history_size)
    past = [(y.array, s.array, float(ro)) for y, s, ro in zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True)]
    direction = -gradient
    weights = []
    for y, s, ro in reversed(past):
        weights.append(ro * (s @ direction))
        direction -= weights[-1] * y
    direction *= float(state["H_diag"])
    for (y, s, ro), weight in zip(past, reversed(weights), strict=True):
        direction += (weight - ro * (y @ direction)) * s
    return direction


def _remember(state: dict[str, Any], gradient: np.ndarray, history_size: int) -> None:
    """Add what the gradient (y) and the parameters (s) have changed by, if the curvature along that is positive."""
    y = gradient - state["prev_flat_grad"].array
    s = state["d"].array * float(state["t"])
    curvature = float(y @ s)
    if curvature <= 1e-10:
        return
    for name, value in (("old_dirs", wrap(y)), ("old_stps", wrap(s)), ("ro", 1 / curvature)):
        state[name] = [*state[name], value][-history_size:]
    state["H_diag"] = curvature / float(y @ y)
