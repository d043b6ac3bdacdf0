"""no_grad, enable_grad, inference_mode, set_grad_enabled, detect_anomaly: `with` blocks and decorators, per thread."""

from __future__ import annotations

import contextlib
from typing import Any

from tinyrnn.engine.modes import change_modes, mode, recording


class _Mode(contextlib.ContextDecorator):
    """Sets some modes inside a `with` block or a decorated function, and puts them back afterwards."""

    def __init__(self, **changes: bool) -> None:
        self._changes = changes

    def _recreate_cm(self) -> _Mode:
        return _Mode(**self._changes)  # a decorated function may call itself

    def __enter__(self) -> None:
        self._before = change_modes(self._changes)

    def __exit__(self, *error: Any) -> None:
        change_modes(self._before)


def no_grad() -> _Mode:
    """Record nothing: results inside have ``requires_grad=False``."""
    return _Mode(grad=False)


def enable_grad() -> _Mode:
    """Record again inside a `no_grad` block."""
    return _Mode(grad=True, inference=False)


def inference_mode(mode: bool = True) -> _Mode:
    """Like `no_grad`, for code that never trains; ``inference_mode(False)`` records again, as in PyTorch."""
    return _Mode(grad=not mode, inference=bool(mode))


class set_grad_enabled(_Mode):  # noqa: N801 (PyTorch's name)
    """Switch recording on or off, at once; as a context manager, until the block ends."""

    def __init__(self, mode: bool) -> None:
        super().__init__(grad=bool(mode))
        self._before = change_modes(self._changes)

    def __enter__(self) -> None:
        change_modes(self._changes)  # what to go back to was noted when the switch was made


def detect_anomaly(mode: bool = True) -> _Mode:
    """Check every gradient for NaN during backward; the error names the op, its shapes and the line that ran it."""
    return _Mode(anomaly=bool(mode))


def set_detect_anomaly(mode: bool) -> None:
    """Check every gradient of this thread for NaN from now on (see `detect_anomaly`), or stop checking."""
    change_modes({"anomaly": bool(mode)})


def is_grad_enabled() -> bool:
    """Whether ops are being recorded in this thread."""
    return recording()


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return mode("inference")


def is_anomaly_enabled() -> bool:
    """Whether gradients of this thread are checked for NaN."""
    return mode("anomaly")
