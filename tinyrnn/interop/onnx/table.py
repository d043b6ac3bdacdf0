"""The table of operations that can be exported, which composed.py, elementwise.py, reductions.py and shapes.py fill.

An emitter is called as ``emit(graph, result, *arguments)`` with the arguments of the operation and its result, which tells
dtypes and sizes; it returns the name of the value, or one for each result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Emitter = Callable[..., Any]

OPERATIONS: dict[Any, Emitter] = {}
"""Our function, and what adds the nodes that do the same."""


def emits(*functions: Any) -> Callable[[Emitter], Emitter]:
    """Enter an emitter for operations into the table."""

    def enter(emitter: Emitter) -> Emitter:
        OPERATIONS.update(dict.fromkeys(functions, emitter))
        return emitter

    return enter
