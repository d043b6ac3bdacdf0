"""``cuda``: the GPU where there is one, and elsewhere a stand-in that runs on the CPU (fake_cupy.py).

benchmarks/gpu.py sets TINYRNN_TEST_SEED, which draws other inputs; TINYRNN_TEST_ON_GPU, without a stand-in; and
TINYRNN_TEST_SANITIZED, with which every array is memory of its own, and new ones are left as they are: unwritten.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

import tinyrnn
from tinyrnn.kernels import dispatch
from tinyrnn.kernels.gpu import loader


@pytest.fixture
def rng():
    """A random generator whose numbers are the same in every run, unless TINYRNN_TEST_SEED says otherwise."""
    return np.random.default_rng(int(os.environ.get("TINYRNN_TEST_SEED", "0")))


@pytest.fixture
def cuda(monkeypatch):
    """A device for tensors, of type "cuda"."""
    if "TINYRNN_TEST_ON_GPU" in os.environ:
        loader.cupy()  # or an error that says what is missing
    if loader.is_available():
        cupy, empty = loader.cupy(), loader.cupy().empty
        if "TINYRNN_TEST_SANITIZED" in os.environ:
            cupy.cuda.set_allocator(None)
        else:  # poisoned, as in the stand-in: so a kernel that leaves something out is found
            monkeypatch.setattr(cupy, "empty", lambda *args, **kwargs: _poisoned(empty(*args, **kwargs)))
        yield tinyrnn.device("cuda", 0)
        return
    import fake_cupy

    monkeypatch.setitem(sys.modules, "cupy", fake_cupy)
    monkeypatch.setattr(loader, "_found", None)
    yield tinyrnn.devices.available("cuda")
    dispatch.unregister(fake_cupy.ndarray)


def _poisoned(array):
    if array.nbytes:
        array.data.memset(0xFF, array.nbytes)  # NaN in every type of floats
    return array


def pytest_collection_modifyitems(items):
    for item in items:
        if "cuda" in getattr(item, "fixturenames", ()):
            item.add_marker("gpu")
