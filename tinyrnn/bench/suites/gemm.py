"""Matrix products beside torch.mm: square ones in three layouts, and those that the sweeps of an LSTM make."""

from __future__ import annotations

from typing import Any, Final

import tinyrnn
from tinyrnn.bench.cases import OURS, Case, PairedCase, Setting
from tinyrnn.bench.peers import TORCH
from tinyrnn.bench.suites.layers import SHAPES, numbers
from tinyrnn.bench.timing import Side

_SQUARES: Final = (64, 128, 256, 512, 1024, 2048)
_LAYOUTS: Final = ("NN", "NT", "TN")
_SKINNY: Final = (SHAPES[1], SHAPES[3], SHAPES[4], SHAPES[7], SHAPES[9])


class ProductCase(PairedCase):
    """(m, k) times (k, n); a T in the layout says that the operand is the transpose of a contiguous matrix."""

    suite = "gemm"

    def __init__(self, layout: str, m: int, k: int, n: int, work: str = "square") -> None:
        super().__init__(layout, work, f"{m}x{k}x{n}", 2 * m * k * n)
        self.sizes = m, k, n

    def sides(self, setting: Setting) -> dict[str, Side]:
        sides = {OURS: self._side(tinyrnn)}
        if setting.peers.torch is not None:
            sides[TORCH] = self._side(setting.peers.torch)
        return sides

    def _side(self, framework: Any) -> Side:
        m, k, n = self.sizes
        a, b = _operand(framework, self.kind[0], m, k), _operand(framework, self.kind[1], k, n)

        return Side(lambda: [framework.mm(a, b)], mode=framework.inference_mode)


def _operand(framework: Any, layout: str, rows: int, columns: int) -> Any:
    if layout == "T":
        return framework.from_numpy(numbers(columns, rows, seed=rows)).t()
    return framework.from_numpy(numbers(rows, columns, seed=rows))


def cases() -> list[Case]:
    square: list[Case] = [ProductCase(layout, n, n, n) for layout in _LAYOUTS for n in _SQUARES]
    return square + _skinny()


def _skinny() -> list[Case]:
    """Of an LSTM: one step (h W_hh^T), all inputs at once (x W_ih^T), and back (dG W_ih, dG^T x)."""
    found: list[Case] = []
    for shape in _SKINNY:
        rows, inputs, gates = shape.T * shape.B, shape.I, 4 * shape.H
        found += [
            ProductCase("NT", shape.B, shape.H, gates, "step"),
            ProductCase("NT", rows, inputs, gates, "input"),
            ProductCase("NN", rows, gates, inputs, "input gradient"),
            ProductCase("TN", gates, rows, inputs, "weight gradient"),
        ]
    return found
