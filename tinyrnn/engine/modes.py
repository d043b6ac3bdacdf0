"""What is recorded: grad modes, inference mode and anomaly detection, all of them per thread.

Plain Python, compiled by Cython from this very file (types in ``modes.pxd``).
"""

from __future__ import annotations

import contextlib
import threading

_DEFAULTS = {"grad": True, "inference": False, "anomaly": False}


class _Modes(threading.local):
    def __init__(self):
        vars(self).update(_DEFAULTS)


_modes = _Modes()
_threads_changed = 0  # while it is 0, which it is in most training loops, no thread-local look-up is needed


def recording():
    """Whether ops of this thread are written onto the tape."""
    return _threads_changed == 0 or _modes.grad


def detecting_anomalies():
    return _threads_changed != 0 and _modes.anomaly


def change_modes(changes):
    """Set modes of this thread; returns what they were."""
    global _threads_changed
    now = vars(_modes)
    before = now.copy()
    now.update(changes)
    _threads_changed += (now != _DEFAULTS) - (before != _DEFAULTS)
    return before


class _Mode(contextlib.ContextDecorator):
    """Sets some modes inside a `with` block or a decorated function, and puts them back afterwards."""

    def __init__(self, **changes):
        self._changes = changes

    def _recreate_cm(self):
        return _Mode(**self._changes)  # a decorated function may call itself

    def __enter__(self):
        self._before = change_modes(self._changes)

    def __exit__(self, *error):
        change_modes(self._before)


def no_grad():
    """Record nothing: results inside have ``requires_grad=False``."""
    return _Mode(grad=False)


def enable_grad():
    """Record again inside a `no_grad` block."""
    return _Mode(grad=True, inference=False)


def inference_mode(mode=True):
    """Like `no_grad`, for code that never trains; `is_inference_mode_enabled()` tells."""
    return _Mode(grad=False, inference=True) if mode else _Mode(inference=False)


class set_grad_enabled(_Mode):
    """Switch recording on or off, at once; as a context manager, until the block ends."""

    def __init__(self, mode):
        super().__init__(grad=bool(mode))
        self._before = change_modes(self._changes)

    def __enter__(self):
        change_modes(self._changes)  # what to go back to was noted when the switch was made


def detect_anomaly(mode=True):
    """Check every gradient for NaN during backward; the error names the op, its shapes and the line that ran it."""
    return _Mode(anomaly=bool(mode))


def is_grad_enabled():
    """Whether ops are being recorded in this thread."""
    return recording()


def is_inference_mode_enabled():
    """Whether this thread is inside `inference_mode`."""
    return _modes.inference
