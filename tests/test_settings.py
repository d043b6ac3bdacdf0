"""What programs set and ask at their start: printing, determinism, the libraries behind PyTorch, devices."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn

OPTIONS = [
    {"precision": 2},
    {"precision": 7, "linewidth": 40},
    {"threshold": 10, "edgeitems": 1},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "short", "precision": 3},
]


@pytest.fixture(autouse=True)
def defaults():
    yield
    tinyrnn.set_printoptions(profile="default")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_printing_is_pytorchs(options):
    torch = pytest.importorskip("torch")
    values = [np.random.default_rng(0).normal(size=(5, 4)), np.array([1e-6, 1.0, 1e4]), np.arange(1200.0)]
    try:
        for lib in (tinyrnn, torch):
            lib.set_printoptions(**options)
        for value in values:
            value = value.astype(np.float32)
            assert repr(tinyrnn.tensor(value)) == repr(torch.tensor(value))
    finally:
        torch.set_printoptions(profile="default")


def test_print_profiles_are_known():
    with pytest.raises(ValueError, match="profile='long', expected one of default, short, full"):
        tinyrnn.set_printoptions(profile="long")


def test_determinism():
    assert not tinyrnn.are_deterministic_algorithms_enabled()
    tinyrnn.use_deterministic_algorithms(True, warn_only=True)
    assert tinyrnn.are_deterministic_algorithms_enabled()
    tinyrnn.use_deterministic_algorithms(False)
    assert not tinyrnn.are_deterministic_algorithms_enabled()


def test_precision_of_products_on_a_gpu():
    """PyTorch's switches and its defaults: layers may round float32, all else may not."""
    cudnn, matmul = tinyrnn.backends.cudnn, tinyrnn.backends.cuda.matmul
    assert cudnn.allow_tf32 is True and matmul.allow_tf32 is False
    assert tinyrnn.get_float32_matmul_precision() == "highest"
    try:
        for precision in ("high", "medium", "highest"):
            tinyrnn.set_float32_matmul_precision(precision)
            assert tinyrnn.get_float32_matmul_precision() == precision
            assert matmul.allow_tf32 is (precision != "highest") and cudnn.allow_tf32 is True
        matmul.allow_tf32 = True
        assert tinyrnn.get_float32_matmul_precision() == "high"
        cudnn.allow_tf32 = False
        assert cudnn.allow_tf32 is False and matmul.allow_tf32 is True
        with pytest.raises(RuntimeError, match=r"expected 'highest', 'high' or 'medium', got 'low'"):
            tinyrnn.set_float32_matmul_precision("low")
    finally:
        cudnn.allow_tf32 = True
        tinyrnn.set_float32_matmul_precision("highest")


def test_backends():
    backends = tinyrnn.backends
    assert not backends.mps.is_available() and not backends.cudnn.is_available()
    backends.cudnn.deterministic, backends.cudnn.benchmark = True, False
    assert backends.cudnn.deterministic is True
    backends.cudnn.deterministic = False
    with pytest.raises(AttributeError, match=r"backends.cudnn has no 'determinstic' .* deterministic"):
        backends.cudnn.determinstic = True
    with pytest.raises(AttributeError, match=r"backends.mps has no 'is_built'"):
        backends.mps.is_built
    with pytest.raises(AttributeError, match=r"tinyrnn.backends has no 'opt_einsum'"):
        backends.opt_einsum


def test_there_is_no_other_device():
    tinyrnn.cuda.manual_seed(0)
    tinyrnn.cuda.manual_seed_all(0)
    tinyrnn.cuda.empty_cache()
    assert not tinyrnn.cuda.is_available() and tinyrnn.cuda.device_count() == 0
    assert not tinyrnn.accelerator.is_available() and tinyrnn.accelerator.device_count() == 0
    assert tinyrnn.accelerator.current_accelerator() is None
    with pytest.raises(AttributeError, match=r"tinyrnn.cuda has no 'Stream'"):
        tinyrnn.cuda.Stream
