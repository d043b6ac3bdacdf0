"""Clipping and optimizer steps over all parameters of a model, and the gradient of an embedding."""

from __future__ import annotations

import numpy as np
import pytest

SHAPES = ((2048, 256), (2048, 512), (2048,), (2048,), (4000, 256))


@pytest.fixture
def arrays(rng):
    """``arrays()``: one array per parameter."""
    return lambda: [rng.standard_normal(shape, dtype=np.float32) for shape in SHAPES]


def test_global_norm(benchmark, kernels, arrays):
    benchmark.group = "global_norm"
    benchmark(kernels.global_norm, arrays())


def test_scale(benchmark, kernels, arrays):
    benchmark.group = "scale"
    benchmark(kernels.scale_inplace, arrays(), 1.0)


def test_sgd(benchmark, kernels, arrays):
    benchmark.group = "SGD with momentum"
    benchmark(kernels.sgd_step, arrays(), arrays(), arrays(), 1e-3, 0.9, 0.0, 0.0, False, False)


def test_adam(benchmark, kernels, arrays):
    benchmark.group = "Adam"
    means, squares = arrays(), [np.abs(array) for array in arrays()]
    benchmark(kernels.adam_step, arrays(), arrays(), means, squares, None, 1, 1e-3, 0.9, 0.999, 1e-8, 0.0, False, False)


def test_embedding_gradient(benchmark, kernels, rng):
    benchmark.group = "embedding gradient"
    grad, ids = rng.standard_normal((64, 20, 128), dtype=np.float32), rng.integers(0, 10_000, (64, 20))
    benchmark(kernels.embedding_backward, grad, ids, 10_000, None)
