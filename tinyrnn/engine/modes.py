"""Whether ops are recorded and gradients checked, per thread; the context managers are in tinyrnn/grad_modes.py."""

from __future__ import annotations

import threading

_DEFAULTS = {"grad": True, "inference": False, "anomaly": False}


class _Modes(threading.local):
    def __init__(self):
        vars(self).update(_DEFAULTS)


_modes = _Modes()
_threads_changed = 0  # while it is 0, which it is in most training loops, no thread-local look-up is needed


def recording():
    """Whether ops of this thread are written onto the tape."""
    return _threads_changed == 0 or (_modes.grad and not _modes.inference)


def mode(name):
    """One mode of this thread: "grad", "inference" or "anomaly"."""
    return getattr(_modes, name)


def change_modes(changes):
    """Set modes of this thread; returns what all of them were."""
    global _threads_changed
    now = vars(_modes)
    before = now.copy()
    now.update(changes)
    _threads_changed += (now != _DEFAULTS) - (before != _DEFAULTS)
    return before
