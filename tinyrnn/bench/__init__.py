"""What stands behind ``tinyrnn bench``: this library beside PyTorch and ONNX Runtime, in one process, in pairs.

In reading order: `timing` (how two sides are timed fairly), `cases` (what a case is), `suites/` (what is measured, one
subject per file), `peers` and `onnx_models` (the other side), `machine` (what the processor can do), `results` (rows, their
figures, JSON), `targets` (what was promised), `summaries`, `tables`, `report`, `plot`, `comparison` (how it is shown),
`command` (all of it in order).
"""

from __future__ import annotations

from typing import Final

SUITES: Final[dict[str, str]] = {
    "recurrent": "LSTM, GRU and RNN, forward and training, over the shapes recurrent networks use",
    "packed": "the same with lengths drawn uniformly from 1..T",
    "bidirectional": "the same with two layers in both directions",
    "gemm": "matrix products: square ones, and the skinny ones of the sweeps",
    "step": "one step of a stream: B=1, T=1",
    "long": "time per step for T = 100, 1,000 and 10,000",
    "denormals": "gradients that vanish into denormals beside the same gradients at their usual size",
    "options": "each option of the recurrent layers beside the layer without it",
    "double": "double backward: a gradient penalty on the input of a layer",
    "memory": "peak memory of one training step",
    "import": "time of the import and size on disk",
    "ops": "single operations, losses, clipping and optimizer steps at typical sizes",
    "small": "the ops of programs written by hand, on 4 x 32 numbers",
    "g2p": "training with the default recipe beside its PyTorch twin (needs --data and --twin)",
}
"""Suites in the order in which they run, and what each measures; `suites/` has a module for each."""


class BenchError(ValueError):
    """Options, files or parts of the machine that cannot be used; the message says which and why."""
