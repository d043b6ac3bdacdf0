"""Registering hooks: on tensors here, on modules in nn/module.py; both give back a RemovableHandle."""

from __future__ import annotations

from typing import Any

from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import source_of


class RemovableHandle:
    """Returned when a hook is registered; `remove()` takes the hook away again."""

    def __init__(self, hooks: dict) -> None:
        self._hooks = hooks
        self.key = object()  # not the handle itself, which holds the dict: that would be a reference cycle

    def remove(self) -> None:
        self._hooks.pop(self.key, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


def register_gradient_hook(tensor: TensorBase, hook: Any) -> RemovableHandle:
    """Call ``hook(gradient)`` whenever the gradient of `tensor` is complete; what it returns takes its place.

    Hooks run in the order of registration, those with a true attribute ``runs_last`` after the others.
    """
    source = source_of(tensor)
    if source is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient; set requires_grad=True first")
    if source.hooks is None:
        source.hooks = {}
    hooks = source.hooks
    handle = RemovableHandle(hooks)
    if isinstance(source, TensorBase):
        hooks[handle.key] = hook
        return handle
    hooks[handle.key] = (tensor.output, hook)
    for key in [key for key, (_, each) in hooks.items() if getattr(each, "runs_last", False)]:
        hooks[key] = hooks.pop(key)
    return handle
