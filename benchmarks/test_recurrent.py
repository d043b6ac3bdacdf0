"""RNN : LSTM : GRU on the same shapes, on the compiled kernels and on the reference."""

from __future__ import annotations

import pytest

import tinyrnn
from tinyrnn.bench.suites.layers import KINDS, SHAPES, WORKS, layer_arrays, our_layer, side

CHOSEN = (SHAPES[0], SHAPES[2], SHAPES[7])  # one sequence; a batch; a short batch as in seq2seq


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", CHOSEN, ids=lambda shape: str(shape).replace(" ", "-"))
@pytest.mark.parametrize("work", WORKS)
def test_layer(benchmark, running, kind, shape, work):
    benchmark.group = f"{work} {shape}"
    layer = our_layer(kind, shape)
    measured = side(tinyrnn, layer, work, layer, *layer_arrays(shape))
    with measured.mode():
        benchmark(measured.run)
