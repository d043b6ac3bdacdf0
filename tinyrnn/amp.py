"""Mixed precision (Micikevicius et al. 2018): `autocast`, whose lists of ops are in ops/autocasting.py, and `GradScaler`."""

from __future__ import annotations

import functools
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinyrnn import _lazy, dtypes
from tinyrnn._tensor import Tensor
from tinyrnn.grad_modes import no_grad
from tinyrnn.kernels.gpu import loader
from tinyrnn.ops import autocasting

__all__ = ["GradScaler", "autocast"]

__getattr__ = _lazy.answering(__name__)


class autocast:  # noqa: N801 (PyTorch's name)
    """In ``with autocast("cuda"):`` products and recurrent layers run in 16 bits, and what needs the range in float32.

    It takes tensors of that type of device, "cpu" or "cuda", but none of float64; also as a decorator, and per thread. Backward
    runs in the dtypes of forward wherever it is called. Recurrent layers and cells return 16 bits on both types, as PyTorch's
    do on a GPU; on the CPU its LSTM and GRU may return float32.

    Parameters
    ----------
    dtype : float16, the default on "cuda", or bfloat16, that on "cpu". Others disable it, with a warning, as in PyTorch.
    enabled : False leaves ops alone, also within a region that casts.
    cache_enabled : whether a float32 weight is cast once for all its uses; None is as around, at first True.

    Raises
    ------
    ValueError, RuntimeError
        If the device type is not a string, or not known.
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:  # fmt: skip
        place = autocasting.type_of(device_type)
        chosen = autocasting.get_autocast_dtype(place) if dtype is None else dtypes.as_dtype(dtype)
        problem = ""
        if place == "cuda" and not loader.is_available():
            problem = "CUDA is not available"
        elif chosen not in (dtypes.float16, dtypes.bfloat16):
            problem = f"In {place.upper()} autocast, but the target dtype is not supported"
        if enabled and problem:
            warnings.warn(f"{problem}. Disabling autocast.", stacklevel=2)
        self._region = (place, bool(enabled and not problem), chosen, cache_enabled)
        # by thread, a stack: the same object may be entered again inside its own block
        self._before: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)

    def __enter__(self) -> autocast:
        self._before[threading.get_ident()].append(autocasting.enter(*self._region))
        return self

    def __exit__(self, *error: object) -> None:
        autocasting.leave(self._before[threading.get_ident()].pop())

    def __call__(self, func: Callable) -> Callable:
        if not callable(func):
            raise TypeError(f"autocast()(func) requires a callable, but got {type(func).__name__}; or use `with`")

        @functools.wraps(func)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return run


class GradScaler:
    """Multiplies the loss by a scale, so that gradients do not vanish in float16, and divides those of the parameters again.

    ``scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update()``; to clip, ``scaler.unscale_(optimizer)`` before
    `step`. A step whose gradients hold inf or NaN is left out, and the scale then multiplied by `backoff_factor`; after
    `growth_interval` steps in a row without, by `growth_factor`.
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
        if enabled and not growth_factor > 1.0 > backoff_factor:
            raise AssertionError(f"growth factor must be > 1.0 and backoff factor < 1.0, got {growth_factor}, {backoff_factor}")
        self._enabled, self._started = enabled, False
        self._scale, self._growth_tracker = float(init_scale), 0
        self._growth_factor, self._backoff_factor, self._growth_interval = growth_factor, backoff_factor, growth_interval
        self._forget()

    def _forget(self) -> None:
        # of every optimizer since the last update, by identity
        self._finite: dict[int, list[bool]] = {}
        self._stepped: set[int] = set()

    def scale(self, outputs: Any) -> Any:
        """A tensor times the scale; of an iterable of tensors each."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            self._started = True
            return outputs * outputs.new_tensor(self._scale, dtype=dtypes.float32)  # makes a 0-d loss float32
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError(f"outputs must be a Tensor or an iterable of Tensors, got a {type(outputs).__name__}")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer's parameters by the scale: once before each `step`, which else does it."""
        if not self._enabled:
            return
        self._check_started("unscale_")
        if id(optimizer) in self._stepped:
            raise RuntimeError("unscale_() is being called after step().")
        if id(optimizer) in self._finite:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if any(grad.dtype == dtypes.float16 for grad in grads):
            raise ValueError("Attempting to unscale FP16 gradients; keep the parameters in float32, autocast casts them.")
        with no_grad():
            finite = [np.isfinite(grad.mul_(1 / self._scale).array).all() for grad in grads]
        self._finite[id(optimizer)] = [bool(each) for each in finite]  # only now: the first waits for the GPU

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step(*args, **kwargs)``, on gradients divided by the scale, unless one holds inf or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_started("step")
        if id(optimizer) in self._stepped:
            raise RuntimeError("step() has already been called since the last update().")
        if id(optimizer) not in self._finite:
            self.unscale_(optimizer)
        finite = self._finite[id(optimizer)]
        if not finite:
            raise AssertionError("No inf checks were recorded for this optimizer: none of its parameters has a gradient.")
        result = optimizer.step(*args, **kwargs) if all(finite) else None
        self._stepped.add(id(optimizer))
        return result

    def update(self, new_scale: Any = None) -> None:
        """Choose the next scale, after all optimizers have stepped; or set it to a number or a tensor of one."""
        if not self._enabled:
            return
        self._check_started("update")
        finite = [each for found in self._finite.values() for each in found]
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not finite:
            raise AssertionError("No inf checks were recorded prior to update.")
        elif not all(finite):
            self._scale, self._growth_tracker = self._scale * self._backoff_factor, 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                grown, self._growth_tracker = self._scale * self._growth_factor, 0
                self._scale = grown if grown <= dtypes.finfo(dtypes.float32).max else self._scale
        self._forget()

    def _check_started(self, name: str) -> None:
        if not self._started:
            raise AssertionError(f"Attempted {name}, but nothing was scaled; call scaler.scale(loss).backward() first.")

    def get_scale(self) -> float:
        """The scale; 1.0 if disabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
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
        names = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker") if self._enabled else ()
        return {name: vars(self)[f"_{name.lstrip('_')}"] for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, here or in PyTorch; nothing if disabled."""
        if self._enabled and not state_dict:
            raise RuntimeError("The source state dict is empty, possibly because it is from a disabled instance of GradScaler.")
        for name in self.state_dict():
            vars(self)[f"_{name.lstrip('_')}"] = state_dict[name]
