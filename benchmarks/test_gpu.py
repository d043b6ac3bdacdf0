"""The GPU against the CPU: layers, forward and training, and an optimizer's step. Skipped where there is no GPU."""

from __future__ import annotations

import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.kernels.gpu import loader

pytestmark = pytest.mark.skipif(not loader.is_available(), reason="no GPU, or no CuPy")

DEVICES = pytest.mark.parametrize("device", ["cpu", "cuda"])


def finished(function):
    """The function, and the wait until the GPU has done it."""

    def run():
        function()
        tinyrnn.cuda.synchronize()

    return run


@DEVICES
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("B, T, H", [(32, 100, 256), (64, 50, 512)])
def test_training(benchmark, device, kind, B, T, H):
    benchmark.group = f"training {kind} B{B} T{T} H{H}"
    layer = getattr(nn, kind)(H, H).to(device)
    x = tinyrnn.randn(T, B, H, device=device)
    benchmark(finished(lambda: layer(x)[0].sum().backward()))


@DEVICES
def test_stream(benchmark, device):
    benchmark.group = "step LSTM H512"
    layer, x = nn.LSTM(512, 512).to(device), tinyrnn.randn(1, 512, device=device)
    with tinyrnn.no_grad():
        state = layer.step(x)[1]
        benchmark(finished(lambda: layer.step(x, state)))


@DEVICES
def test_adam(benchmark, device):
    benchmark.group = "Adam, 4 million parameters"
    layer = nn.LSTM(512, 512, 2).to(device)
    optimizer = tinyrnn.optim.Adam(layer.parameters())
    layer(tinyrnn.randn(3, 2, 512, device=device))[0].sum().backward()
    benchmark(finished(optimizer.step))
