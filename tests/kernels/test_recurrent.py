"""The pointwise kernels of the recurrent cells: finite differences, and every backend equal to the reference."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrnn.kernels import cpu, reference
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
            tolerance = 1e-6 if dtype == np.float32 else 1e-14
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=8 * tolerance)  # 1 - g * g cancels
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


# ---- the compiled kernels ------------------------------------------------------------------------------------------

KERNELS = [
    *(("rnn", direction, (nonlinearity,)) for nonlinearity in ("tanh", "relu") for direction in ("forward", "backward")),
    *((cell, direction, ()) for cell in ("lstm", "gru") for direction in ("forward", "backward")),
]
# widths of a kernel's arrays, in H
WIDTHS = {
    ("rnn", "forward"): (1, 1),
    ("rnn", "backward"): (1, 1),
    ("lstm", "forward"): (4, 4, 1),
    ("lstm", "backward"): (1, 1, 1, 1, 4),
    ("gru", "forward"): (3, 3, 1),
    ("gru", "backward"): (1, 1, 4),
}
every_kernel = pytest.mark.parametrize(
    ("cell", "direction", "options"), KERNELS, ids=["-".join([cell, direction, *rest]) for cell, direction, rest in KERNELS]
)
TOLERANCE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-14}


def tuple_of(results):
    return results if isinstance(results, tuple) else (results,)


def drawn(cell, direction, batch, hidden, dtype=np.float64, scale=2.0):
    """Arrays for a kernel; backward gets values of any size where it usually gets activated gates."""
    shapes = [(batch, width * hidden) for width in WIDTHS[cell, direction]]
    return [(scale * draw(*shape, seed=k)).astype(dtype) for k, shape in enumerate(shapes)]


def both(cell, direction, arrays, options):
    """The results of the backend's kernel and of the reference's."""
    name = f"{cell}_cell_{direction}"
    with np.errstate(all="ignore"):
        return [tuple_of(getattr(kernels, name)(*arrays, *options)) for kernels in (cpu, reference)]


def assert_equal_to_rounding(got, expected, scale=8.0):
    """As exact as the type allows: relative to 1 where results are sums, which may cancel."""
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        assert type(a) is np.ndarray and a.dtype == b.dtype and a.shape == b.shape
        tolerance = TOLERANCE[b.dtype]
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=scale * tolerance)


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("batch", "hidden"), [(1, 1), (1, 8), (1, 37), (2, 5), (3, 64), (7, 67), (64, 33), (1, 1500), (0, 5), (3, 0)]
)
def test_compiled_equals_the_reference(cell, direction, options, dtype, batch, hidden):
    got, expected = both(cell, direction, drawn(cell, direction, batch, hidden, dtype, scale=1.0), options)
    assert_equal_to_rounding(got, expected)


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_row_and_unit_is_computed_from_its_own(cell, direction, options, dtype):
    """Permuting the batch permutes the results, bit for bit."""
    arrays = drawn(cell, direction, 3, 21, dtype)
    order = [2, 0, 1]
    straight, _ = both(cell, direction, arrays, options)
    permuted, _ = both(cell, direction, [a[order] for a in arrays], options)
    for a, b in zip(straight, permuted):
        np.testing.assert_array_equal(a[order], b)


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -0.0])
def test_values_at_the_edges_go_through_as_in_the_reference(cell, direction, options, dtype, value):
    arrays = drawn(cell, direction, 2, 19, dtype)
    for k in range(len(arrays)):
        given = [a.copy() for a in arrays]
        given[k][0, :] = value  # a whole row: vector code and what is left over; the other row stays finite
        got, expected = both(cell, direction, given, options)
        for a, b in zip(got, expected):
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        assert_equal_to_rounding(got, expected, scale=64.0)
        assert all(np.isfinite(a[1]).all() for a in got)


@pytest.mark.parametrize(("cell", "options"), [("rnn", ("tanh",)), ("rnn", ("relu",)), ("lstm", ()), ("gru", ())])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-30, 1e-3, 0.625, 9.0, 88.0, 89.0, 104.0, 700.0, 1e4, 1e30])
def test_gates_of_any_size(cell, options, dtype, size):
    for sign in (1, -1):
        gates_x, gates_h, *state = drawn(cell, "forward", 2, 19, dtype)
        gates_x[:], gates_h[:] = sign * size, 0
        assert_equal_to_rounding(*both(cell, "forward", [gates_x, gates_h, *state], options))


def laid_out(a, layout):
    """The same numbers as `a`, laid out in memory in another way."""
    if layout == "columns of a wider array":
        wide = np.full((len(a), a.shape[1] + 7), np.nan, a.dtype)
        wide[:, 3:-4] = a
        return wide[:, 3:-4]
    if layout == "every other row":
        tall = np.full((2 * len(a), a.shape[1]), np.nan, a.dtype)
        tall[::2] = a
        return tall[::2]
    if layout == "rows backwards":
        return a[::-1].copy()[::-1]
    if layout == "columns backwards":
        return a[:, ::-1].copy()[:, ::-1]
    if layout == "Fortran":
        return np.asfortranarray(a)
    if layout == "other byte order":
        return a.astype(a.dtype.newbyteorder())
    if layout == "unaligned":
        raw = np.zeros(a.nbytes + 1, np.uint8)
        shifted = raw[1:].view(a.dtype).reshape(a.shape)
        shifted[:] = a
        return shifted
    assert layout == "read-only"
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = [
    "columns of a wider array",
    "every other row",
    "rows backwards",
    "columns backwards",
    "Fortran",
    "other byte order",
    "unaligned",
    "read-only",
]


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(cell, direction, options, dtype, layout):
    arrays = drawn(cell, direction, 4, 11, dtype, scale=1.0)
    _, expected = both(cell, direction, arrays, options)
    for k in range(len(arrays)):
        given = [laid_out(a, layout) if j == k else a for j, a in enumerate(arrays)]
        got, _ = both(cell, direction, given, options)
        assert_equal_to_rounding([a.astype(dtype) for a in got], expected)


@every_kernel
def test_one_row_for_all_and_other_types_are_left_to_the_reference(cell, direction, options):
    arrays = drawn(cell, direction, 3, 5)
    for given in (
        [arrays[0][:1], *arrays[1:]],
        [np.broadcast_to(arrays[0][:1], arrays[0].shape), *arrays[1:]],
        [a.astype(np.float16) for a in arrays],
        [arrays[0].astype(np.float32), *arrays[1:]],
        [a[0] for a in arrays],
        [np.stack([a, a]) for a in arrays],
    ):
        got, expected = both(cell, direction, given, options)
        assert [(a.dtype, a.shape) for a in got] == [(b.dtype, b.shape) for b in expected]
        for a, b in zip(got, expected):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@every_kernel
def test_a_missing_array_is_an_error(cell, direction, options):
    """No gradient is None here: the ops put zeros in its place."""
    arrays = drawn(cell, direction, 3, 5)
    for k in range(len(arrays)):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            getattr(cpu, f"{cell}_cell_{direction}")(*arrays[:k], None, *arrays[k + 1 :], *options)


@every_kernel
@pytest.mark.parametrize("off", [(1, 0), (0, 1)])
def test_shapes_that_do_not_fit_are_an_error(cell, direction, options, off):
    arrays = drawn(cell, direction, 3, 5)
    for k, a in enumerate(arrays):
        wrong = np.zeros((a.shape[0] + off[0], a.shape[1] + off[1]))
        with pytest.raises(ValueError):
            getattr(cpu, f"{cell}_cell_{direction}")(*arrays[:k], wrong, *arrays[k + 1 :], *options)


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arguments_are_kept_and_results_are_new_arrays(cell, direction, options, dtype):
    arrays = drawn(cell, direction, 3, 21, dtype)
    before = [a.copy() for a in arrays]
    got, _ = both(cell, direction, arrays, options)
    for a, b in zip(arrays, before):
        np.testing.assert_array_equal(a, b)
    for k, a in enumerate(got):
        assert a.flags.owndata and a.flags.c_contiguous and a.flags.writeable
        assert not any(np.shares_memory(a, other) for other in [*arrays, *got[:k], *got[k + 1 :]])


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_array_may_be_given_twice(cell, direction, options, dtype):
    """As in gates_x = gates_h, or one gradient for h and c."""
    arrays = drawn(cell, direction, 3, 21, dtype)
    given = [arrays[0], arrays[0] if arrays[1].shape == arrays[0].shape else arrays[1], *arrays[2:]]
    assert_equal_to_rounding(*both(cell, direction, given, options), scale=64.0)
