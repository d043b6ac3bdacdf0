"""What the suites share: every family is measured with its compiled kernels and with the reference in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrnn.kernels import cpu, dispatch, reference

KERNELS = {"compiled": cpu, "reference": reference}


@pytest.fixture(params=KERNELS)
def kernels(request):
    """A module of kernels: arrays in, arrays out."""
    return KERNELS[request.param]


@pytest.fixture(params=KERNELS)
def running(request):
    """Layers run on these kernels meanwhile; gives their name."""
    dispatch.register(np.ndarray, KERNELS[request.param])
    yield request.param
    dispatch.register(np.ndarray, cpu)


@pytest.fixture
def rng():
    """A random generator whose numbers are the same in every run."""
    return np.random.default_rng(0)
