"""Optimizer: parameter groups, state, and how both are saved."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tinyrnn._tensor import Tensor
from tinyrnn.engine.base import version_of, wrap
from tinyrnn.grad_modes import enable_grad, no_grad
from tinyrnn.kernels.narrow import widened
from tinyrnn.zero_grad import zero_gradients


class Optimizer:
    """Base class of the optimizers.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        What to optimize. Dicts are parameter groups: ``{"params": [...], "lr": 0.1}``, with options of their own.
    defaults : dict
        The options of groups that do not set them.

    Attributes
    ----------
    param_groups : list of dict
        Options may be changed between steps; a learning rate schedule does nothing else.
    state : dict
        By parameter: a dict of what the optimizer remembers of it.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__name__}; wrap it in a list"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize more parameters: a dict with "params" and any options; the others are the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError("optimizer parameters need an order that is the same in every run; use a list instead of a set")
        params = [params] if isinstance(params, Tensor) else list(params)
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}")
            if not param.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        if len(params) != len(set(params)):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        if not {p for group in self.param_groups for p in group["params"]}.isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")
        param_group["params"] = params
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.check_options(param_group)
        self.param_groups.append(param_group)

    def check_options(self, group: dict[str, Any]) -> None:
        """Raise a ValueError for options out of range; called for every new group."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with ``set_to_none=False`` fill them with zeros."""
        for group in self.param_groups:
            zero_gradients(group["params"], set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        `closure`, if given, is called first, with recording on, to compute gradients; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                params = [p for p in group["params"] if p.grad is not None]
                if params:
                    self.update(params, group)
                for p in params:
                    version_of(p).count += 1
        return loss

    def update(self, params: list, group: dict[str, Any]) -> None:
        """One step for `params`, which all have gradients, with the options in `group`; every optimizer defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define update(params, group)")

    # ---- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """``{"state": {number: {name: tensor or value}}, "param_groups": [...]}``, parameters replaced by numbers.

        Numbers count the parameters through all groups. Tensors are shared with the optimizer, not copied.
        """
        numbers: dict[Any, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(param, len(numbers))
            packed = {name: value for name, value in group.items() if name != "params"}
            groups.append({**packed, "params": [numbers[param] for param in group["params"]]})
        return {"state": {numbers[p]: state for p, state in self.state.items() if p in numbers}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, options included.

        State tensors are copied and converted to the dtype of their parameter.

        Raises
        ------
        ValueError
            If numbers of groups or parameters, or the shape of a state tensor, do not fit. Nothing is loaded then.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, expected {len(self.param_groups)}"
            )
        for number, (group, other) in enumerate(zip(self.param_groups, saved, strict=True)):
            if len(group["params"]) != len(other["params"]):
                raise ValueError(
                    f"loaded state dict contains a parameter group that doesn't match the size of optimizer's group "
                    f"{number}: {len(other['params'])} parameters, expected {len(group['params'])}"
                )
        numbers = itertools.chain.from_iterable(group["params"] for group in saved)
        params = itertools.chain.from_iterable(group["params"] for group in self.param_groups)
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for number, param in zip(numbers, params, strict=True):
            if number in state_dict["state"]:
                items = state_dict["state"][number].items()
                state[param] = {name: _fit(value, name, param, number) for name, value in items}
        self.param_groups = [
            {**group, **{name: copy.copy(value) for name, value in other.items() if name != "params"}}
            for group, other in zip(self.param_groups, saved, strict=True)
        ]
        self.state = state

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _fit(value: Any, name: str, param: Any, number: Any) -> Any:
    """A copy of one piece of state for `param`: of its dtype and on its device, but for the step count."""
    if not isinstance(value, Tensor):
        return copy.copy(value)
    if name == "step":
        return wrap(value.array.copy())
    if value.array.shape != param.array.shape:
        raise ValueError(
            f"loaded state dict does not fit: {name} of parameter {number} has shape {value.array.shape}, expected "
            f"{param.array.shape}"
        )
    fitted = wrap(param.array.copy())
    with no_grad():
        fitted.copy_(value)
    return fitted


def check_range(name: str, value: Any, low: float, below: float = float("inf")) -> None:
    """Raise a ValueError unless ``low <= value < below`` (or both are infinite)."""
    if not low <= value or not (value < below or below == float("inf")):
        raise ValueError(f"Invalid {name}: {value}, expected {low} <= {name}{'' if below == float('inf') else f' < {below}'}")


def check_ways(foreach: bool | None, fused: bool | None = None) -> None:
    """`foreach` and `fused` say how PyTorch is to take one step for many parameters; the results are those of any other way.

    Raises
    ------
    RuntimeError
        If both are asked for.
    """
    if foreach and fused:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def descent(p: Any, group: dict[str, Any]) -> Any:
    """The gradient array to go down along: the other way if the group says `maximize`, plus its weight_decay times p.

    That of a parameter in 16 bits is in float32.
    """
    grad = -widened(p.grad.array) if group["maximize"] else widened(p.grad.array)
    return grad + group["weight_decay"] * widened(p.array) if group["weight_decay"] else grad


def same_kind(params: Iterable[Any], steps: Iterable[Any]) -> Iterator[list]:
    """`params` in lists of equal array type, dtype and step: what one kernel call can take."""
    kinds: dict[tuple, list] = {}
    for param, step in zip(params, steps, strict=True):
        kinds.setdefault((type(param.array), param.array.dtype, step), []).append(param)
    yield from kinds.values()
