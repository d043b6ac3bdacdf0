"""``cuda``: the GPU where there is one, and elsewhere a stand-in that runs on the CPU (fake_cupy.py)."""

from __future__ import annotations

import sys

import pytest

import tinyrnn
from tinyrnn.kernels import dispatch
from tinyrnn.kernels.gpu import loader


@pytest.fixture
def cuda(monkeypatch):
    """A device for tensors, of type "cuda"."""
    if loader.is_available():
        yield tinyrnn.device("cuda", 0)
        return
    import fake_cupy

    monkeypatch.setitem(sys.modules, "cupy", fake_cupy)
    monkeypatch.setattr(loader, "_found", None)
    yield tinyrnn.devices.available("cuda")
    dispatch.unregister(fake_cupy.ndarray)
