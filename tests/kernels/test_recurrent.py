"""The pointwise kernels of the recurrent cells: finite differences, and every backend equal to the reference."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrnn.kernels import reference
from tinyrnn.kernels.dispatch import backend

B, H = 3, 5
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def derivative(function, x, weight, epsilon=1e-6):
    """d(sum of weight * function(x)) / dx by central differences."""
    result = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[index] = epsilon
        result[index] = (weight * (function(x + step) - function(x - step))).sum() / (2 * epsilon)
    return result


def assert_close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn_backward_by_finite_differences(nonlinearity):
    gates_x, gates_h, weight = draw(B, H), draw(B, H, seed=1), draw(B, H, seed=2)
    h = reference.rnn_cell_forward(gates_x, gates_h, nonlinearity)
    expected = derivative(lambda x: reference.rnn_cell_forward(x, gates_h, nonlinearity), gates_x, weight)
    assert_close(reference.rnn_cell_backward(weight, h, nonlinearity), expected)


def test_lstm_backward_by_finite_differences():
    gates_x, gates_h, c = draw(B, 4 * H), draw(B, 4 * H, seed=1), draw(B, H, seed=2)
    grad_h, grad_c = draw(B, H, seed=3), draw(B, H, seed=4)
    weight = np.stack([grad_h, grad_c])

    def states(gates_x, gates_h, c):
        return np.stack(reference.lstm_cell_forward(gates_x, gates_h, c)[:2])

    _, new_c, gates = reference.lstm_cell_forward(gates_x, gates_h, c)
    grad_gates, grad_before = reference.lstm_cell_backward(grad_h, grad_c, c, new_c, gates)
    assert_close(grad_gates, derivative(lambda x: states(x, gates_h, c), gates_x, weight))
    assert_close(grad_gates, derivative(lambda x: states(gates_x, x, c), gates_h, weight))
    assert_close(grad_before, derivative(lambda x: states(gates_x, gates_h, x), c, weight))


def test_gru_backward_by_finite_differences():
    gates_x, gates_h, h, weight = draw(B, 3 * H), draw(B, 3 * H, seed=1), draw(B, H, seed=2), draw(B, H, seed=3)

    def state(gates_x, gates_h, h):
        return reference.gru_cell_forward(gates_x, gates_h, h)[0]

    _, gates = reference.gru_cell_forward(gates_x, gates_h, h)
    grad_x, grad_h, grad_before = reference.gru_cell_backward(weight, h, gates)
    assert_close(grad_x, derivative(lambda x: state(x, gates_h, h), gates_x, weight))
    assert_close(grad_h, derivative(lambda x: state(gates_x, x, h), gates_h, weight))
    assert_close(grad_before, derivative(lambda x: state(gates_x, gates_h, x), h, weight))


def arguments(name, dtype):
    """Random arguments of a kernel's forward and, for its results, of its backward."""
    gates = GATES[name] * H
    gates_x, gates_h, state = (draw(B, n, seed=n).astype(dtype) for n in (gates, gates, H))
    if name == "rnn":
        forward = (gates_x, gates_h, "tanh")
        return forward, (state, reference.rnn_cell_forward(*forward), "tanh")
    forward = (gates_x, gates_h, state)
    results = getattr(reference, f"{name}_cell_forward")(*forward)
    if name == "lstm":
        return forward, (state, state, state, results[1], results[2])
    return forward, (state, state, results[1])


@pytest.mark.parametrize("name", list(GATES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_runs_equals_the_reference_and_keeps_dtype_and_arguments(name, dtype):
    for direction, given in zip(("forward", "backward"), arguments(name, dtype)):
        kernel = f"{name}_cell_{direction}"
        before = [np.copy(a) for a in given if isinstance(a, np.ndarray)]
        expected = getattr(reference, kernel)(*given)
        got = getattr(backend(given[0]), kernel)(*given)
        expected, got = (r if isinstance(r, tuple) else (r,) for r in (expected, got))
        for a, b in zip(got, expected, strict=True):
            assert a.dtype == dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-5 if dtype == np.float32 else 1e-12)
        for a, b in zip([a for a in given if isinstance(a, np.ndarray)], before):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_saturated_gates_are_finite_and_nan_goes_through(name):
    gates = np.full((1, GATES[name] * H), 1e4)
    for sign in (1, -1):
        for result in getattr(reference, f"{name}_cell_forward")(sign * gates, 0 * gates, np.ones((1, H))):
            assert np.isfinite(result).all()
    gates[0, 0] = np.nan
    assert np.isnan(getattr(reference, f"{name}_cell_forward")(gates, 0 * gates, np.ones((1, H)))[0][0, 0])
