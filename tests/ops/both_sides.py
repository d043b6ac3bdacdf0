"""Runs one program with tinyrnn and with PyTorch and compares what comes out; shared by the tests of the shape ops."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tinyrnn._tensor import Tensor  # noqa: F401  (registers the class that `wrap` makes)
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.engine.backward import gradients_of
from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.engine.tape import requires_grad
from tinyrnn.ops import flipping, gathering, indexing, masking, padding, repeating, shaping, slicing, sorting

OURS = SimpleNamespace(
    **{
        name: value
        for module in (slicing, shaping, repeating, flipping, padding, indexing, gathering, masking, sorting)
        for name, value in vars(module).items()
        if callable(value)
    }
)

FLOAT64, FLOAT32 = {"rtol": 1e-12, "atol": 1e-12}, {"rtol": 1e-5, "atol": 1e-5}


def leaf(array):
    """A tensor around a copy of `array` that collects a gradient if it holds floats."""
    array = np.array(array)
    tensor = wrap(array)
    tensor.tracked = array.dtype.kind == "f"
    return tensor


def outputs_of(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def check(program, *arrays, gradients=True):
    """``program(lib, *tensors)`` gives the same with both libraries: shapes, dtypes, values, gradients."""
    torch = pytest.importorskip("torch")
    ours, theirs = [leaf(a) for a in arrays], [torch.tensor(np.array(a)) for a in arrays]
    for tensor in theirs:
        tensor.requires_grad_(tensor.is_floating_point())
    our_results, their_results = outputs_of(program(OURS, *ours)), outputs_of(program(torch, *theirs))
    assert len(our_results) == len(their_results)
    for mine, its in zip(our_results, their_results):
        assert isinstance(mine, TensorBase)
        assert mine.array.shape == tuple(its.shape)
        assert mine.array.dtype == its.detach().numpy().dtype
        np.testing.assert_allclose(mine.array, its.detach().numpy(), **(FLOAT32 if its.dtype == torch.float32 else FLOAT64))
        assert requires_grad(mine) == its.requires_grad
    pairs = [(mine, its) for mine, its in zip(our_results, their_results) if its.requires_grad]
    if not gradients or not pairs:
        return
    rng = np.random.default_rng(3)
    weights = [rng.standard_normal(mine.array.shape).astype(mine.array.dtype) for mine, _ in pairs]
    inputs = [(mine, its) for mine, its in zip(ours, theirs) if its.requires_grad]
    found = gradients_of([mine for mine, _ in pairs], [mine for mine, _ in inputs], [wrap(w) for w in weights])
    expected = torch.autograd.grad(
        [its for _, its in pairs], [its for _, its in inputs], [torch.tensor(w) for w in weights], allow_unused=True
    )
    for mine, its in zip(found, expected):
        assert (mine is None) == (its is None)
        if mine is not None:
            np.testing.assert_allclose(mine.array, its.numpy(), **(FLOAT32 if its.dtype == torch.float32 else FLOAT64))
            assert mine.array.dtype == its.numpy().dtype


def check_derivatives(program, *arrays):
    """First and second derivatives of ``program(OURS, *tensors)`` agree with finite differences."""
    inputs = tuple([leaf(a) for a in arrays])
    assert gradcheck(lambda *x: program(OURS, *x), inputs)
    assert gradgradcheck(lambda *x: program(OURS, *x), inputs)
