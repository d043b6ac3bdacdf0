"""Softmax, log-softmax, cross-entropy and layer norm, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest

SHAPES = ((64, 1000), (3200, 50))
by_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))


@by_shape
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_softmax(benchmark, kernels, rng, op, shape):
    benchmark.group = f"{op} {shape}"
    x, grad = rng.standard_normal((2, *shape), dtype=np.float32)
    forward, backward = getattr(kernels, f"{op}_forward"), getattr(kernels, f"{op}_backward")
    benchmark(lambda: backward(grad, forward(x, 1), 1))


@by_shape
def test_cross_entropy(benchmark, kernels, rng, shape):
    benchmark.group = f"cross_entropy {shape}"
    B, C = shape
    x, target, grad = rng.standard_normal(shape, dtype=np.float32), rng.integers(0, C, B), np.ones(B, np.float32)

    def run():
        _, log_probabilities = kernels.cross_entropy_forward(x, target, None, -100, 0.0)
        return kernels.cross_entropy_backward(grad, log_probabilities, target, None, -100, 0.0)

    benchmark(run)


def test_layer_norm(benchmark, kernels, rng):
    benchmark.group = "layer_norm"
    x, grad = rng.standard_normal((2, 3200, 512), dtype=np.float32)
    weight = bias = np.ones(512, np.float32)

    def run():
        _, mean, rstd = kernels.layer_norm_forward(x, weight, bias, 1e-5)
        return kernels.layer_norm_backward(grad, x, mean, rstd, weight)

    benchmark(run)
