"""The engine's overhead: chains of mul, add, sub and tanh on tensors of 1 and 32 elements, forward and backward.

pytest benchmarks/test_small_ops.py         pytest-benchmark's table
python benchmarks/test_small_ops.py         against PyTorch: microseconds per op, median of paired ratios
"""

from __future__ import annotations

import contextlib
import os
import platform
import random
import statistics
import time

import numpy as np
import pytest

import tinyrnn

ROUNDS = 25  # of four ops each
SIZES = (1, 32)


def chain(x, b):
    y = x
    for _ in range(ROUNDS):
        y = ((y * b + b) - x).tanh()
    return y


def side(framework, size):
    """A function that runs one chain forward and backward in `framework`."""
    x = framework.tensor(np.linspace(-1, 1, size, dtype=np.float32), requires_grad=True)
    b, gradient = framework.full((size,), 0.5), framework.ones(size)

    def run():
        x.grad = None
        chain(x, b).backward(gradient)
        return x.grad

    return run


@pytest.mark.parametrize("size", SIZES)
def test_tinyrnn(benchmark, size):
    benchmark(side(tinyrnn, size))


@pytest.mark.parametrize("size", SIZES)
def test_pytorch(benchmark, size):
    benchmark(side(pytest.importorskip("torch"), size))


def seconds(run):
    run()  # untimed: the other side has had the caches
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


def processor():
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        return names[0] if names else platform.machine()
    return platform.machine()


def compare(pairs=400):
    """Print microseconds per op (forward and backward) on both sides, taken in pairs in random order."""
    import torch

    versions = f"tinyrnn {tinyrnn.__version__}, PyTorch {torch.__version__}, NumPy {np.__version__}"
    print(f"{versions}, Python {platform.python_version()}, {processor()}, {os.cpu_count()} cores")
    for size in SIZES:
        sides = {"tinyrnn": side(tinyrnn, size), "PyTorch": side(torch, size)}
        np.testing.assert_allclose(sides["tinyrnn"]().numpy(), sides["PyTorch"]().numpy(), rtol=1e-4)
        times = {name: [] for name in sides}
        for _ in range(pairs):
            for name in random.sample(list(sides), 2):
                times[name].append(seconds(sides[name]) / (4 * ROUNDS) * 1e6)
        ratio = statistics.median(b / a for a, b in zip(times["tinyrnn"], times["PyTorch"], strict=True))
        medians = "  ".join(f"{name} {statistics.median(taken):.2f} us per op" for name, taken in times.items())
        print(f"{size:3} elements:  {medians}  PyTorch / tinyrnn {ratio:.2f}")


if __name__ == "__main__":
    compare()
