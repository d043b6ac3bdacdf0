"""The compiled softmax kernels equal the reference, and leave to it what they do not do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from kernel_cases import assert_same_bits_on_any_number_of_threads, layouts

from tinyrnn.kernels import reference

compiled = pytest.importorskip("tinyrnn.kernels.cpu.softmax")

DTYPES = ["float32", "float64"]


def close(ours, expected):
    assert ours.dtype == expected.dtype and ours.shape == expected.shape and type(ours) is type(expected)
    rtol = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-14}[ours.dtype.name]
    np.testing.assert_allclose(ours, expected, rtol=rtol, atol=rtol)


def random(seed, shape, dtype):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@settings(max_examples=25, deadline=None)
@given(shape=array_shapes(max_dims=3, min_side=0, max_side=20), data=st.data())
def test_softmax(name, dtype, shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x, grad = random(0, shape, dtype) * 5, random(1, shape, dtype)
    y = getattr(compiled, name + "_forward")(x, axis)
    close(y, getattr(reference, name + "_forward")(x, axis))
    close(
        getattr(compiled, name + "_backward")(grad, y, axis),
        getattr(reference, name + "_backward")(grad, y, axis),
    )


@pytest.mark.parametrize("name", ["softmax_forward", "log_softmax_forward"])
def test_special_values(instruction_set, name):
    x = np.array([[math.inf, 1, 2], [-math.inf] * 3, [1, math.nan, 2], [-math.inf, 0, 1e30], [1e4, 1e4, -1e4]])
    x = np.concatenate([x, x[:, :1].repeat(70, axis=1)], axis=1)  # vectors, and what is left over
    with np.errstate(all="ignore"):
        close(getattr(compiled, name)(x, 1), getattr(reference, name)(x, 1))
        close(getattr(compiled, name)(x.astype(np.float32), 1), getattr(reference, name)(x.astype(np.float32), 1))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(0, 9),
    classes=st.integers(1, 20),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    seed=st.integers(0, 99),
)
def test_cross_entropy(dtype, rows, classes, weighted, smoothing, seed):
    generator = np.random.default_rng(seed)
    x, grad = random(seed, (rows, classes), dtype) * 3, random(seed + 1, (rows,), dtype)
    target = np.where(generator.random(rows) < 0.3, -100, generator.integers(0, classes, rows))
    x[target == -100] = math.nan
    options = (target, generator.random(classes).astype(dtype) if weighted else None, -100, smoothing)
    losses, y = compiled.cross_entropy_forward(x, *options)
    expected_losses, expected_y = reference.cross_entropy_forward(x, *options)
    close(losses, expected_losses)
    close(y, expected_y)
    ours = compiled.cross_entropy_backward(grad, y, *options)
    close(ours, reference.cross_entropy_backward(grad, expected_y, *options))
    assert (ours[target == -100] == 0).all() and not np.isnan(ours).any()


def test_inputs_are_left_alone():
    x = random(0, (3, 5), "float32")
    copies = x.copy()
    y = compiled.softmax_forward(x, 1)
    compiled.softmax_backward(x, y, 1)
    compiled.cross_entropy_forward(x, np.array([0, 1, 2]), None, -100, 0.0)
    np.testing.assert_array_equal(x, copies)
    assert not np.shares_memory(x, y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_strided_and_subclassed_arrays_go_to_the_reference(dtype):
    class Other(np.ndarray):
        pass

    x = random(0, (6, 8), dtype)
    for array in (x[:, ::2], x.T, x[::2], x.view(Other), x.astype(x.dtype.newbyteorder())):
        y = compiled.softmax_forward(array, 1)
        close(y, reference.softmax_forward(array, 1))
        np.testing.assert_allclose(np.asarray(y), compiled.softmax_forward(np.array(array).astype(dtype), 1), rtol=1e-5)


def test_mixed_types_go_to_the_reference():
    grad, y = random(0, (3, 4), "float32"), random(1, (3, 4), "float64")
    close(compiled.softmax_backward(grad, y, 1), reference.softmax_backward(grad, y, 1))
    target = np.array([0, 1, 2], np.int32)
    close(
        compiled.cross_entropy_forward(y, target, None, -100, 0.0)[0],
        reference.cross_entropy_forward(y, target, None, -100, 0.0)[0],
    )


# ---- vectors and threads -------------------------------------------------------------------------------------------

NAMES = ["softmax_forward", "softmax_backward", "log_softmax_forward", "log_softmax_backward"]


def arguments_of(name, x, grad):
    if name.endswith("forward"):
        return x, -1
    return grad, getattr(reference, name.replace("backward", "forward"))(x, -1), -1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 7, 8, 15, 16, 17, 63, 64, 65, 70, 200, 5000])
@pytest.mark.parametrize("name", NAMES)
def test_every_width(instruction_set, name, size, dtype):
    x, grad = 5 * random(0, (3, size), dtype), random(1, (3, size), dtype)
    given = arguments_of(name, x, grad)
    close(getattr(compiled, name)(*given), getattr(reference, name)(*given))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_any_layout(instruction_set, name, dtype):
    given = arguments_of(name, random(0, (4, 37), dtype), random(1, (4, 37), dtype))
    expected = getattr(reference, name)(*given)
    for first in layouts(given[0]):
        result = getattr(compiled, name)(first, *given[1:])
        close(result.astype(dtype), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_bits_on_any_number_of_threads(instruction_set, dtype):
    x, grad = random(0, (701, 131), dtype), random(1, (701, 131), dtype)
    y, target = reference.log_softmax_forward(x, 1), np.random.default_rng(2).integers(0, 131, 701)
    options = (target, np.abs(grad[0]), 5, 0.1)

    def compute():
        results = [getattr(compiled, name)(*arguments_of(name, x, grad)) for name in NAMES]
        return [
            *results,
            *compiled.cross_entropy_forward(x, *options),
            compiled.cross_entropy_backward(grad[:, 0].copy(), y, *options),
        ]

    assert_same_bits_on_any_number_of_threads(compute)


def test_a_row_does_not_depend_on_the_others(instruction_set):
    x = random(0, (9, 77), "float32")
    alone = np.concatenate([compiled.softmax_forward(x[r : r + 1].copy(), 1) for r in range(9)])
    np.testing.assert_array_equal(compiled.softmax_forward(x, 1), alone)


def test_long_rows_are_summed_exactly_enough():
    """Equal scores of a hundred thousand classes: a running float32 sum would be off by 1e-3."""
    x = np.zeros((1, 100_003), np.float32)
    np.testing.assert_allclose(compiled.softmax_forward(x, 1), 1 / 100_003, rtol=1e-6)


@pytest.mark.parametrize("bad", [0, 1])
def test_shapes_that_do_not_fit_are_an_error(bad):
    x, target, weight = random(0, (4, 5), "float32"), np.zeros(4 - bad, np.int64), random(1, (5 + 1 - bad,), "float32")
    with pytest.raises((ValueError, IndexError)):
        compiled.cross_entropy_forward(x, target, weight, -100, 0.1)
