"""One step of a stack of plain recurrent layers on a GPU, for streams: one launch for each layer (recurrent_step.cu)."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.gpu import launch, loader, recurrent
from tinyrnn.kernels.sweeps import MODES, Sweep


def recurrent_step(mode, x, states, weights):
    if mode == "GRU_RESET_BEFORE":  # its second product waits for the reset gates of the whole state
        return _by_sweeps(mode, x, states, weights)
    cupy = loader.cupy()
    x, *states = launch.contiguous(x, *states)
    layers, B, H = states[0].shape
    output, new = cupy.empty((B, H), x.dtype), [cupy.empty(each.shape, each.dtype) for each in states]
    name = f"layer_step<{recurrent.numbers_of(x.dtype)}, {MODES.index(mode)}>"
    grid = launch.blocks((H, recurrent.UNITS), (B, recurrent.ROWS))
    for layer, own in enumerate(weights):
        before, after = ([each[layer] for each in group] + [None] * (2 - len(states)) for group in (states, new))
        arrays = x, *before, *launch.contiguous(*own), *after, output if layer == layers - 1 else None
        sizes = map(np.int64, (B, x.shape[1], H))
        launch.run("recurrent_step.cu", name, grid, (recurrent.UNITS, recurrent.ROWS), (*arrays, *sizes))
        x = after[0]
    return output, tuple(new)


def _by_sweeps(mode, x, states, weights):
    finals = []
    for initial, own in zip(zip(*states), weights):
        x, (final,), _ = recurrent.recurrent_forward(mode, x, np.array([len(x)]), [Sweep(*own, *initial)], False)
        finals.append(final)
    return x, tuple([loader.cupy().stack(each) for each in zip(*finals)])
