"""What is recorded: grad modes, inference mode and anomaly detection, all of them per thread."""

from __future__ import annotations

import contextlib
import threading


class Modes(threading.local):
    """The modes of the current thread."""

    grad = True
    inference = False
    anomaly = False


modes = Modes()


class _Mode(contextlib.ContextDecorator):
    """Sets some modes inside a `with` block or a decorated function, and puts them back afterwards."""

    def __init__(self, **changes):
        self._changes = changes

    def _recreate_cm(self):
        return _Mode(**self._changes)  # a decorated function may be called by itself

    def __enter__(self):
        self._before = {name: getattr(modes, name) for name in self._changes}
        vars(modes).update(self._changes)

    def __exit__(self, *error):
        vars(modes).update(self._before)


def no_grad():
    """Record nothing: results inside have ``requires_grad=False``."""
    return _Mode(grad=False)


def enable_grad():
    """Record again inside a `no_grad` block."""
    return _Mode(grad=True, inference=False)


def inference_mode(mode=True):
    """Like `no_grad`, for code that never trains; `is_inference_mode_enabled()` tells."""
    return _Mode(grad=False, inference=True) if mode else _Mode(grad=modes.grad, inference=False)


class set_grad_enabled(_Mode):
    """Switch recording on or off, at once; as a context manager, until the block ends."""

    def __init__(self, mode):
        super().__init__(grad=bool(mode))
        self._before = {"grad": modes.grad}
        modes.grad = bool(mode)

    def __enter__(self):
        modes.grad = self._changes["grad"]  # what to go back to was noted when the switch was made


def detect_anomaly(mode=True):
    """Check every gradient for NaN during backward; the error names the op, its shapes and the line that ran it."""
    return _Mode(anomaly=bool(mode))


def is_grad_enabled():
    """Whether ops are being recorded in this thread."""
    return modes.grad


def is_inference_mode_enabled():
    """Whether this thread is inside `inference_mode`."""
    return modes.inference
