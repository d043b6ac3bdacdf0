"""Recording ops whose result is a window onto the memory of their input."""

from __future__ import annotations

from functools import partial

from tinyrnn.engine.base import TensorBase, View, version_of
from tinyrnn.engine.modes import recording
from tinyrnn.engine.tape import record


def record_view(op, source, array, replay, saved=()):
    """Like `record`, for an `array` that is a window onto the memory of `source`.

    ``replay(x)`` makes the same view of another tensor or array of the shape of `source`.
    """
    result = record(op, (source,), array, saved)
    if isinstance(source, TensorBase):
        attach_view(result, source, replay)
    return result


def attach_view(tensor, source, replay):
    """Note that the memory of `tensor` is that of `source`, seen through `replay`."""
    tensor.version = version_of(source)
    outer = source.window
    if not recording() or (outer is not None and outer.replay is None):
        replay = None
    elif outer is not None:
        replay = partial(_replay_twice, outer.replay, replay)
    tensor.window = View(source if outer is None else outer.base, replay, tensor.version.count)


def _replay_twice(first, second, base):
    return second(first(base))
