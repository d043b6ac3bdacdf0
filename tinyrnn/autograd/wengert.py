"""The tape behind a tensor as a list to look at: the Wengert list."""

from __future__ import annotations

from typing import Any

from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import nodes_behind, source_of


class Tape(list):
    """The nodes behind a tensor in the order in which they ran; prints as a table."""

    def __repr__(self) -> str:
        numbers = {node: number for number, node in enumerate(self)}
        rows = [("#", "op", "inputs", "output", "where")]
        for node, number in numbers.items():
            inputs = ", ".join(_input_name(node, index, numbers) for index in range(len(node.sources)))
            rows.append((str(number), node.name, inputs, ", ".join(map(str, node.shapes)), node.where))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _input_name(node: Any, index: int, numbers: dict[Any, int]) -> str:
    source = node.sources[index]
    if source is None:
        return "constant"
    if isinstance(source, TensorBase):
        return f"leaf{source.array.shape}"
    output = f".{node.slot(index)}" if len(source.shapes) > 1 else ""
    return f"#{numbers.get(source, '?')}{output}"


def tape(tensor: TensorBase) -> Tape:
    """The ops that led to `tensor`, first to last.

    Returns
    -------
    Tape : a list of engine.tape.Node. Printed, it shows number, op, inputs (``#3`` is the result of row 3, ``#3.1`` its
        second output), output shapes, and the line that ran the op.
    """
    return Tape(reversed(nodes_behind([source_of(tensor)])))
