"""summary: a model's layers, parameter shapes and parameter counts as a table."""

from __future__ import annotations

import math
from typing import NamedTuple

from tinyrnn.nn.module import Module


class Row(NamedTuple):
    """One line of a summary. `parameters` counts what the layer itself owns and no earlier layer has (tied weights)."""

    path: str
    kind: str
    shapes: dict[str, tuple[int, ...]]
    parameters: int
    trainable: int


class Summary:
    """What `summary` returns: `rows`, the sums `parameters` and `trainable`; printed, it is a table."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.parameters = sum(row.parameters for row in rows)
        self.trainable = sum(row.trainable for row in rows)

    def __repr__(self) -> str:
        cells = [("layer", "type", "parameters", "shapes")]
        for row in self.rows:
            first, *others = [f"{name} {shape}" for name, shape in row.shapes.items()] or [""]
            cells.append((row.path or "(model)", row.kind, f"{row.parameters:,}" if first else "", first))
            cells += [("", "", "", other) for other in others]
        widths = [max(len(line[column]) for line in cells) for column in range(4)]
        lines = []
        for path, kind, count, shapes in cells:
            line = f"{path.ljust(widths[0])}  {kind.ljust(widths[1])}  {count.rjust(widths[2])}  {shapes}"
            lines.append(line.rstrip())
        rule = "-" * max(map(len, lines))
        frozen = self.parameters - self.trainable
        total = f"total: {self.parameters:,} parameters, {self.trainable:,} trainable, {frozen:,} frozen"
        return "\n".join([lines[0], rule, *lines[1:], rule, total])


def summary(model: Module) -> Summary:
    """A table of every module in `model`: path, type, own parameter count and shapes, and the total.

    A parameter that several layers share is counted once, at the first.
    """
    seen = set()
    rows = []
    for path, module in model.named_modules():
        own = {name: p for name, p in module._parameters.items() if p is not None}
        new = []
        for parameter in own.values():
            if parameter not in seen:
                seen.add(parameter)
                new.append((math.prod(parameter.array.shape), parameter.tracked))
        counted = sum(size for size, _ in new)
        trained = sum(size for size, trainable in new if trainable)
        rows.append(Row(path, type(module).__name__, {n: p.array.shape for n, p in own.items()}, counted, trained))
    return Summary(rows)
