"""Matrix products: square, and the skinny ones of a recurrent layer; the reference is NumPy's BLAS."""

from __future__ import annotations

import numpy as np
import pytest

SIZES = {
    "64": (64, 64, 64),
    "256": (256, 256, 256),
    "1024": (1024, 1024, 1024),
    "step": (32, 256, 1024),
    "input": (3200, 256, 1024),
    "weight gradient": (1024, 3200, 256),
}


@pytest.mark.parametrize("layout", ["NN", "NT", "TN"])
@pytest.mark.parametrize("size", SIZES)
def test_matmul(benchmark, kernels, rng, size, layout):
    benchmark.group = f"{size} {layout}"
    m, k, n = SIZES[size]
    a, b = operand(rng, layout[0], m, k), operand(rng, layout[1], k, n)
    benchmark(kernels.matmul_forward, a, b)


def operand(rng, layout, rows, columns):
    """A matrix, or the transpose of one."""
    if layout == "T":
        return rng.standard_normal((columns, rows), dtype=np.float32).T
    return rng.standard_normal((rows, columns), dtype=np.float32)
