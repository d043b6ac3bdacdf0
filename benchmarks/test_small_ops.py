"""The engine's overhead: a chain of 100 ops (mul, add, sub, tanh) on tensors of 1 and 32 elements, forward and backward.

``tinyrnn bench ops --filter chain`` measures the same in pairs with PyTorch, per op.
"""

from __future__ import annotations

import pytest

import tinyrnn
from tinyrnn.bench.suites.ops import chain

SIZES = (1, 32)


@pytest.mark.parametrize("size", SIZES)
def test_tinyrnn(benchmark, size):
    benchmark(chain(tinyrnn, size).run)


@pytest.mark.parametrize("size", SIZES)
def test_pytorch(benchmark, size):
    benchmark(chain(pytest.importorskip("torch"), size).run)
