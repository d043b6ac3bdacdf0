"""Mixed precision: `autocast` runs products in 16 bits, `GradScaler` keeps gradients of float16 from vanishing.

Which ops are cast is written in ops/autocasting.py. Micikevicius et al. 2018, "Mixed precision training".
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinyrnn import _lazy, devices, dtypes
from tinyrnn._tensor import Tensor
from tinyrnn.grad_modes import no_grad
from tinyrnn.kernels.gpu import loader
from tinyrnn.ops import autocasting

__all__ = ["GradScaler", "autocast"]

__getattr__ = _lazy.answering(__name__)


class autocast:  # noqa: N801 (PyTorch's name)
    """``with autocast("cuda"):`` runs products and recurrent layers in 16 bits, and what needs the range in float32.

    Parameters
    ----------
    device_type : "cpu" or "cuda"
        Only tensors there are cast, and none of float64.
    dtype : float16 or bfloat16
        By default float16 on "cuda" and bfloat16 on "cpu". Others disable the region, with a warning, as in PyTorch.
    enabled : bool
        False leaves the ops alone, also within a region that casts.
    cache_enabled : bool, optional
        Whether a float32 weight is cast once for all its uses in the region; True unless the region around says otherwise.

    Also a decorator. Regions are per thread; the backward pass runs in the dtypes of the forward pass, inside a region or not.
    Which ops are cast is PyTorch's list for the device. Recurrent layers and cells return 16 bits on both devices, as PyTorch's
    do on a GPU; on the CPU some of PyTorch's return float32.

    Raises
    ------
    ValueError, RuntimeError
        If the device type is not a string, or there is no such device.
    TypeError
        If `dtype` is not a dtype.
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:  # fmt: skip
        self.device = autocasting.type_of(device_type)
        self.fast_dtype = autocasting.get_autocast_dtype(self.device) if dtype is None else dtypes.as_dtype(dtype)
        if enabled and self.device == "cuda" and not loader.is_available():
            warnings.warn("CUDA is not available. Disabling autocast.", stacklevel=2)
            enabled = False
        if enabled and self.fast_dtype not in (dtypes.float16, dtypes.bfloat16):
            warnings.warn(
                f"In {self.device.upper()} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{self.device.upper()} Autocast only supports dtypes of float16, bfloat16 currently, got {self.fast_dtype}.",
                stacklevel=2,
            )
            enabled = False
        self._enabled, self._keep = bool(enabled), cache_enabled
        self._before: list[dict[str, Any]] = []  # a stack: the same object may be entered again inside its own block

    def __enter__(self) -> autocast:
        self._before.append(autocasting.enter(self.device, self._enabled, self.fast_dtype, self._keep))
        return self

    def __exit__(self, *error: object) -> None:
        autocasting.leave(self._before.pop())

    def __call__(self, func: Callable) -> Callable:
        if not callable(func):
            raise TypeError(f"autocast()(func) requires a callable, but got {type(func).__name__}; or write `with autocast(...):`")

        @functools.wraps(func)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return run


class GradScaler:
    """Multiplies the loss, so that small gradients do not vanish in float16, and divides the gradients again.

    ``scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update()``

    Parameters
    ----------
    device : "cpu" or "cuda"
        Where the optimized parameters are; without a GPU, "cuda" disables the scaler, with a warning.
    init_scale : the scale to start with.
    growth_factor, growth_interval : what the scale is multiplied with after so many steps in a row without inf or NaN.
    backoff_factor : what it is multiplied with after a step whose gradients held one; that step is left out.
    enabled : False lets everything through as it is.

    To clip the gradients, or look at them, call ``unscale_(optimizer)`` first.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and autocasting.type_of(device) == "cuda" and not loader.is_available():
            warnings.warn("GradScaler is enabled, but CUDA is not available. Disabling.", stacklevel=2)
            enabled = False
        if enabled and not (growth_factor > 1.0 and backoff_factor < 1.0):
            raise AssertionError(
                f"The growth factor must be > 1.0 and the backoff factor < 1.0, got {growth_factor} and {backoff_factor}"
            )
        self._enabled = enabled
        self._scale, self._started = float(init_scale), False  # whether anything has been scaled
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._optimizers: dict[int, _Progress] = {}

    def scale(self, outputs: Any) -> Any:
        """A tensor times the scale; of lists, tuples and other iterables of tensors each."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            self._started = True
            return outputs * outputs.new_tensor(self._scale, dtype=dtypes.float32)  # a 0-d loss in float16 becomes float32
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(map(self.scale, outputs))
        if isinstance(outputs, Iterable):
            return map(self.scale, outputs)
        raise ValueError(f"outputs must be a Tensor or an iterable of Tensors, got a {type(outputs).__name__}")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, and note whether they hold inf or NaN.

        Raises
        ------
        RuntimeError
            If that was done since the last `update`, or the optimizer has stepped since.
        ValueError
            If a gradient is float16: there it may be cast from, but the parameters have to be float32.
        """
        if not self._enabled:
            return
        progress = self._progress("unscale_", optimizer)
        if progress.stepped:
            raise RuntimeError("unscale_() is being called after step().")
        if progress.finite is not None:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if any(grad.dtype == dtypes.float16 for grad in grads):
            raise ValueError("Attempting to unscale FP16 gradients.")
        with no_grad():
            finite = [np.isfinite(grad.mul_(1 / self._scale).array).all() for grad in grads]
        progress.finite = [bool(each) for each in finite]  # only now: on a GPU each waits for its answer

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`unscale_`, unless that was done, and ``optimizer.step(*args, **kwargs)`` if no gradient holds inf or NaN.

        Raises
        ------
        RuntimeError
            If it was called since the last `update`, or with a closure.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        progress = self._progress("step", optimizer)
        if progress.stepped:
            raise RuntimeError("step() has already been called since the last update().")
        if progress.finite is None:
            self.unscale_(optimizer)
        if not progress.finite:
            raise AssertionError("No inf checks were recorded for this optimizer: none of its parameters has a gradient.")
        result = optimizer.step(*args, **kwargs) if all(progress.finite) else None
        progress.stepped = True
        return result

    def update(self, new_scale: Any = None) -> None:
        """Choose the scale of the next iteration, after all optimizers have stepped: or set it to a number or a tensor of one."""
        if not self._enabled:
            return
        self._require_start("update")
        found = [finite for progress in self._optimizers.values() for finite in progress.finite or ()]
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not found:
            raise AssertionError("No inf checks were recorded prior to update.")
        elif not all(found):
            self._scale, self._growth_tracker = self._scale * self._backoff_factor, 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                grown = self._scale * self._growth_factor
                self._scale = grown if grown <= dtypes.finfo(dtypes.float32).max else self._scale
                self._growth_tracker = 0
        self._optimizers = {}

    def _progress(self, name: str, optimizer: Any) -> _Progress:
        self._require_start(name)
        return self._optimizers.setdefault(id(optimizer), _Progress())

    def _require_start(self, name: str) -> None:
        if not self._started:
            raise AssertionError(f"Attempted {name}, but nothing was scaled: call scaler.scale(loss).backward() before it.")

    def get_scale(self) -> float:
        """The scale; 1.0 if disabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Whether it scales."""
        return self._enabled

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """What to save after an `update`; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, here or in PyTorch; nothing if disabled."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        vars(self).update({f"_{name.lstrip('_')}": value for name, value in state_dict.items() if name in self.state_dict()})


class _Progress:
    """How far an optimizer is since the last update: for every gradient whether it is finite, and whether it has stepped."""

    finite: list[bool] | None = None
    stepped = False
