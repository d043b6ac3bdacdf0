"""no_grad, enable_grad, inference_mode, set_grad_enabled, detect_anomaly: `with` blocks and decorators, per thread."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any

from tinyrnn.engine.modes import change_modes, mode, recording


class _Mode:
    """Sets some modes inside a `with` block or a decorated function, and puts them back afterwards."""

    def __init__(self, **changes: bool) -> None:
        self._changes = changes
        self._before: list[dict[str, bool]] = []  # a stack: the same object may be entered again inside its own block

    def __enter__(self) -> None:
        self._before.append(change_modes(self._changes))

    def __exit__(self, *error: Any) -> None:
        change_modes(self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        if inspect.isgeneratorfunction(function):
            return _decorate_generator(self._changes, function)

        @functools.wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with _Mode(**self._changes):
                return function(*args, **kwargs)

        return decorated


class _Switch(_Mode):
    """A mode that is set at once, for good unless it is used as a context manager or decorator."""

    def __init__(self, **changes: bool) -> None:
        super().__init__(**changes)
        self._before.append(change_modes(changes))

    def __enter__(self) -> None:
        change_modes(self._changes)  # what to go back to was noted when the switch was made

    def __call__(self, function: Callable) -> Callable:
        change_modes(self._before.pop())
        return super().__call__(function)


def _decorate_generator(changes: dict[str, bool], function: Callable) -> Callable:
    """The modes hold while the generator runs, not while it waits for its caller."""

    @functools.wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Generator:
        generator = function(*args, **kwargs)
        resume, value = generator.send, None
        while True:
            try:
                with _Mode(**changes):
                    item = resume(value)
            except StopIteration as end:
                return end.value
            try:
                value = yield item
                resume = generator.send
            except BaseException as error:  # also GeneratorExit: the generator may want to clean up
                resume, value = generator.throw, error

    return decorated


def no_grad(function: Callable | None = None) -> Any:
    """Record nothing: results inside have ``requires_grad=False``. ``@no_grad`` and ``@no_grad()`` are the same."""
    return _Mode(grad=False) if function is None else _Mode(grad=False)(function)


def enable_grad(orig_func: Callable | None = None) -> Any:
    """Record again inside a `no_grad` block (not inside `inference_mode`)."""
    return _Mode(grad=True) if orig_func is None else _Mode(grad=True)(orig_func)


def inference_mode(mode: Any = True) -> Any:
    """Like `no_grad`, for code that never trains; ``inference_mode(False)`` records again, as in PyTorch."""
    if callable(mode):
        return inference_mode()(mode)
    return _Mode(grad=not mode, inference=bool(mode))


def set_grad_enabled(mode: bool) -> _Mode:
    """Switch recording on or off, at once; as a context manager or decorator, for the block or function only."""
    return _Switch(grad=bool(mode))


def detect_anomaly() -> _Mode:
    """Check every gradient for NaN during backward; the error names the op, its shapes and the line that ran it."""
    return _Mode(anomaly=True)


def set_detect_anomaly(mode: bool) -> _Mode:
    """Switch `detect_anomaly` on or off, at once; as a context manager, for the block only."""
    return _Switch(anomaly=bool(mode))


def is_grad_enabled() -> bool:
    """Whether ops are being recorded in this thread."""
    return recording()


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return mode("inference")


def is_anomaly_enabled() -> bool:
    """Whether gradients of this thread are checked for NaN."""
    return mode("anomaly")
