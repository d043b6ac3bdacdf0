"""``cuda``: the GPU where there is one, and elsewhere a stand-in that runs on the CPU (fake_cupy.py).

benchmarks/gpu.py sets TINYRNN_TEST_REPORT=FILE, which gets a row of JSON for each test: its name, whether it passed, and its
largest error, where 1 is what is allowed; TINYRNN_TEST_SEED, which draws other inputs; TINYRNN_TEST_ON_GPU, without a stand-in;
and TINYRNN_TEST_NO_POOL, so that every array is memory of its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import on_gpu
import pytest

import tinyrnn
from tinyrnn.kernels import dispatch
from tinyrnn.kernels.gpu import loader

_rows = []


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
        if "TINYRNN_TEST_NO_POOL" in os.environ:
            loader.cupy().cuda.set_allocator(None)
        cupy, empty = loader.cupy(), loader.cupy().empty
        # poisoned, as in the stand-in: so a kernel that leaves something out is found
        monkeypatch.setattr(cupy, "empty", lambda *args, **kwargs: _poisoned(empty(*args, **kwargs)))
        yield tinyrnn.device("cuda", 0)
        return
    import fake_cupy

    monkeypatch.setitem(sys.modules, "cupy", fake_cupy)
    monkeypatch.setattr(loader, "_found", None)
    yield tinyrnn.devices.available("cuda")
    dispatch.unregister(fake_cupy.ndarray)


def _poisoned(array):
    array.fill(np.nan if array.dtype.kind in "fV" else 1)
    return array


def pytest_collection_modifyitems(items):
    for item in items:
        if "cuda" in getattr(item, "fixturenames", ()):
            item.add_marker("gpu")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if (report.when == "call" or report.failed) and item.get_closest_marker("gpu"):
        errors, on_gpu.errors[:] = list(on_gpu.errors), []
        worst = max(errors, default=None)
        _rows.append({"name": item.nodeid, "ok": not report.failed, "skipped": report.skipped, "worst_error": worst})
    return report


def pytest_sessionfinish():
    if "TINYRNN_TEST_REPORT" in os.environ:
        Path(os.environ["TINYRNN_TEST_REPORT"]).write_text(json.dumps([row for row in _rows if not row.pop("skipped")]))
