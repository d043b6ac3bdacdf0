"""Layer normalization: compiled equals reference equals PyTorch, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import assert_same_bits_on_any_number_of_threads, layouts

from tinyrnn.kernels import cpu, reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
EPS = 1e-5


def problem(rows, size, dtype, seed=0):
    """x, weight, bias and the gradient of y."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape) + 0.5).astype(dtype) for shape in ((rows, size), size, size, (rows, size))]


def both_directions(kernels, x, weight, bias, grad):
    y, mean, rstd = kernels.layer_norm_forward(x, weight, bias, EPS)
    return [y, mean, rstd, *kernels.layer_norm_backward(grad, x, mean, rstd, weight)]


def assert_close(got, expected, factor=1.0):
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        tolerance = factor * (2e-6 if b.dtype == np.float32 else 1e-14)
        np.testing.assert_allclose(a, b, rtol=10 * tolerance, atol=10 * tolerance)


@DTYPES
@pytest.mark.parametrize(
    "rows, size", [(0, 5), (3, 1), (1, 2), (2, 15), (5, 16), (5, 17), (3, 64), (40, 70), (3, 513), (90, 33)]
)
@pytest.mark.parametrize("given", ["both", "weight", "bias", "neither"])
def test_compiled_equals_the_reference(instruction_set, rows, size, given, dtype):
    x, weight, bias, grad = problem(rows, size, dtype)
    weight, bias = weight if given in ("both", "weight") else None, bias if given in ("both", "bias") else None
    assert_close(both_directions(cpu, x, weight, bias, grad), both_directions(reference, x, weight, bias, grad), rows + 1)


@pytest.mark.parametrize("kernels", [cpu, reference], ids=["cpu", "reference"])
def test_equals_pytorch(kernels):
    torch = pytest.importorskip("torch")
    x, weight, bias, grad = problem(7, 37, np.float64)
    theirs = [torch.tensor(each, requires_grad=True) for each in (x, weight, bias)]
    y = torch.nn.functional.layer_norm(theirs[0], (37,), theirs[1], theirs[2], EPS)
    y.backward(torch.tensor(grad))
    got = both_directions(kernels, x, weight, bias, grad)
    assert_close([got[0], *got[3:]], [y.detach().numpy(), *[each.grad.numpy() for each in theirs]])


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(0, 70), size=st.integers(1, 70), seed=st.integers(0, 99))
def test_any_shape(rows, size, seed):
    arguments = problem(rows, size, np.float64, seed)
    assert_close(both_directions(cpu, *arguments), both_directions(reference, *arguments), 10 * size)  # of 2 features cancel


@DTYPES
def test_any_layout(instruction_set, dtype):
    x, weight, bias, grad = problem(5, 21, dtype)
    expected = both_directions(reference, x, weight, bias, grad)
    for other_x, other_grad, other_weight in zip(layouts(x), layouts(grad), layouts(weight), strict=True):
        got = both_directions(cpu, other_x, other_weight, bias, other_grad)
        assert_close([each.astype(dtype) for each in got], expected, 4)


@DTYPES
@pytest.mark.parametrize("rows", [500, 2000])
def test_the_same_bits_on_any_number_of_threads(instruction_set, rows, dtype):
    arguments = problem(rows, 131, dtype)
    assert_same_bits_on_any_number_of_threads(lambda: both_directions(cpu, *arguments))
    assert_close(both_directions(cpu, *arguments), both_directions(reference, *arguments), 30)


def test_a_row_far_from_zero_keeps_its_variance():
    """By the mean of the squares, it would be lost in the square of the mean."""
    x = np.asarray(1e4 + np.arange(64) / 64, np.float32)[None]
    y = cpu.layer_norm_forward(x, None, None, 0.0)[0]
    exact = x.astype(np.float64) - x.astype(np.float64).mean()
    np.testing.assert_allclose(y[0], exact[0] / exact.std(), atol=2e-3)


@DTYPES
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_row(instruction_set, value, dtype):
    x, weight, bias, grad = problem(3, 40, dtype)
    x[1, 39] = value
    got = both_directions(cpu, x, weight, bias, grad)
    for each in (got[0], got[3]):
        assert np.isnan(each[1]).all() and np.isfinite(each[[0, 2]]).all()
    assert np.isnan(got[4]).all() and np.isfinite(got[5]).all()  # of weight and bias
