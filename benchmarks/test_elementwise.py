"""Arithmetic and activations, small and large."""

from __future__ import annotations

import numpy as np
import pytest

SHAPES = ((32,), (64, 512), (3200, 512))
OPS = ("add", "mul", "tanh", "sigmoid", "relu")


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_forward(benchmark, kernels, rng, op, shape):
    benchmark.group = f"{op} {shape}"
    x = rng.standard_normal(shape, dtype=np.float32)
    benchmark(getattr(kernels, f"{op}_forward"), *((x, x) if op in ("add", "mul") else (x,)))
