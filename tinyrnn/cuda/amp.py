"""Mixed precision under the names of older programs: `tinyrnn.amp` for GPUs."""

from __future__ import annotations

from tinyrnn import _lazy, amp, dtypes

__all__ = ["GradScaler", "autocast"]

__getattr__ = _lazy.answering(__name__)


class autocast(amp.autocast):  # noqa: N801 (PyTorch's name)
    """``amp.autocast("cuda", dtype)``."""

    def __init__(self, enabled: bool = True, dtype: dtypes.dtype = dtypes.float16, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """``amp.GradScaler("cuda", ...)``."""

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
