"""The kernels for CuPy's arrays: ours over the reference, whose NumPy functions run on CuPy's arrays as they are."""

from __future__ import annotations

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu import kernels_of
from tinyrnn.kernels.gpu import (
    ctc,
    dropout,
    elementwise,
    embedding,
    normalization,
    optimizers,
    recurrent,
    recurrent_cells,
    softmax,
)

_OURS = (ctc, dropout, elementwise, embedding, normalization, optimizers, recurrent, recurrent_cells, softmax)

globals().update(kernels_of(reference))
for _family in _OURS:
    globals().update({name: kernel for name, kernel in kernels_of(_family).items() if kernel.__module__ == _family.__name__})
