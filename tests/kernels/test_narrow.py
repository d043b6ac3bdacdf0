"""16-bit floats: what a kernel gives for them is what it gives in 32 bits, rounded."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from sweep_cases import LSTM_OPTIONS, OPTIONS, Call, gradients_by_key

from tinyrnn.kernels import cpu, reference
from tinyrnn.kernels.narrow import in_32_bits, written_in_32_bits
from tinyrnn.kernels.sweeps import MODES

BACKENDS = pytest.mark.parametrize("kernels", [reference, cpu], ids=["reference", "cpu"])


@pytest.fixture(params=["float16", "bfloat16"])
def dtype(request):
    if request.param == "float16":
        return np.float16
    return pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 comes from the package ml_dtypes").bfloat16


def widened(value):
    if isinstance(value, (tuple, list)):
        return getattr(value, "_make", type(value))([widened(each) for each in value])
    return value.astype(np.float32) if getattr(value, "itemsize", 0) == 2 else value


def flat(value):
    return [each for item in value for each in flat(item)] if isinstance(value, (tuple, list)) else [value]


def assert_rounded(got, wide, dtype):
    """Equal to the arrays in 32 bits when these are rounded."""
    for a, b in zip(flat(got), flat(wide), strict=True):
        if b is not None:
            assert a.dtype == dtype
            np.testing.assert_array_equal(a, b.astype(dtype))


@BACKENDS
@pytest.mark.parametrize("mode", MODES)
def test_the_sweep(mode, kernels, dtype):
    call = Call(mode, [4, 3, 1], D=2, options=(*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else ())), dtype=dtype)
    wide = copy.copy(call)
    wide.x, wide.sweeps = widened(call.x), widened(call.sweeps)
    output, finals, saved = call.forward(kernels)
    assert_rounded((output, finals), wide.forward(kernels)[:2], dtype)
    assert {each.dtype for each in flat([tuple(each[:2]) for each in saved]) if each is not None} <= {np.dtype(dtype)}
    gradients = call.gradients()
    got = call.backward(output, saved, gradients, kernels)
    expected = wide.backward(widened(output), widened(saved), widened(gradients), kernels)
    found, expected = gradients_by_key(*got), gradients_by_key(*expected)
    assert found.keys() == expected.keys()
    assert_rounded([*found.values()], [*expected.values()], dtype)


@BACKENDS
@pytest.mark.parametrize("mode", ["RNN_TANH", "LSTM", "GRU"])
def test_the_step(mode, kernels, dtype):
    call = Call(mode, [1, 1], I=5, dtype=dtype)
    (sweep,) = call.sweeps
    states = tuple([each[None] for each in (sweep.h_0, sweep.c_0) if each is not None])
    states, weights = tuple([np.concatenate([each, each]) for each in states]), [sweep[:4]] * 2
    arguments = mode, call.x, states, weights
    assert_rounded(kernels.recurrent_step(*arguments), kernels.recurrent_step(*widened(arguments)), dtype)


def draw(rng, dtype, *shape):
    return rng.normal(size=shape).astype(dtype)


# By name: the arguments of a kernel, whose 16-bit ones are x, y (6, 5), w (5,) and the losses' gradients g (6,).
CALLS = {
    "matmul_forward": lambda x, y, w, g, i: (x, y.T),
    "linear_forward": lambda x, y, w, g, i: (x, y, g),
    "sigmoid_forward": lambda x, y, w, g, i: (x,),
    "tanh_backward": lambda x, y, w, g, i: (x, y),
    "softplus_backward": lambda x, y, w, g, i: (x, y, 1.5, 2.0),
    "silu_backward": lambda x, y, w, g, i: (x, y),
    "gelu_forward": lambda x, y, w, g, i: (x, "tanh"),
    "gelu_backward": lambda x, y, w, g, i: (x, y, "none"),
    "erf_forward": lambda x, y, w, g, i: (x,),
    "softmax_forward": lambda x, y, w, g, i: (x, 1),
    "softmax_backward": lambda x, y, w, g, i: (x, y, 0),
    "log_softmax_forward": lambda x, y, w, g, i: (x, 1),
    "log_softmax_backward": lambda x, y, w, g, i: (x, y, 1),
    "cross_entropy_forward": lambda x, y, w, g, i: (x, i, w, -100, 0.1),
    "cross_entropy_backward": lambda x, y, w, g, i: (g, x, i, w, -100, 0.1),
    "lstm_cell_forward": lambda x, y, w, g, i: (x[:, :4], y[:, :4], g[:, None]),
    "gru_cell_backward": lambda x, y, w, g, i: (g[:, None], g[:, None], y[:, :4]),
    "embedding_backward": lambda x, y, w, g, i: (x, i, 5, 0),
    "sum_segments": lambda x, y, w, g, i: (x, np.array([0, 2])),
    "dropout_forward": lambda x, y, w, g, i: (x, 0.3, 7, 1),
}


@pytest.mark.parametrize("name", CALLS)
@BACKENDS
def test_other_kernels(rng, kernels, name, dtype):
    numbers = [draw(rng, dtype, *shape) for shape in ((6, 5), (6, 5), (5,), (6,))]
    arguments = CALLS[name](*numbers, rng.integers(0, 5, 6))
    kernel = getattr(kernels, name)
    got, wide = kernel(*arguments), getattr(reference, name)(*widened(arguments))
    last_bit = 2**-10 if dtype == np.float16 else 2**-7  # compiled sums may differ from NumPy's before they are rounded
    for a, b in zip(flat([got]), flat([wide]), strict=True):
        assert a.dtype == dtype
        assert kernels is cpu or (a == b.astype(dtype)).all()
        np.testing.assert_allclose(a.astype(float), b.astype(dtype).astype(float), rtol=last_bit)


@BACKENDS
def test_layer_norm_keeps_its_sums_in_32_bits(rng, kernels, dtype):
    x, grad, weight = draw(rng, dtype, 6, 500), draw(rng, dtype, 6, 500), draw(rng, dtype, 500)
    y, mean, rstd = kernels.layer_norm_forward(x, weight, weight, 1e-5)
    assert y.dtype == dtype and mean.dtype == rstd.dtype == np.float32
    wide = reference.layer_norm_forward(*widened((x, weight, weight)), 1e-5)
    assert_rounded([y], [wide[0]], dtype)
    got = kernels.layer_norm_backward(grad, x, mean, rstd, weight)
    assert_rounded(got, reference.layer_norm_backward(*widened((grad, x, mean, rstd, weight))), dtype)


@BACKENDS
def test_a_step_of_an_optimizer_is_rounded_once(rng, kernels, dtype):
    p, g, m, v = [np.abs(draw(rng, dtype, 50)) for _ in range(4)]
    wide = widened([p, g, m, v])
    kernels.adam_step([p], [g], [m], [v], None, 3, 0.01, 0.9, 0.999, 1e-8, 0.1, False, False)
    reference.adam_step(*[[each] for each in wide], None, 3, 0.01, 0.9, 0.999, 1e-8, 0.1, False, False)
    assert_rounded([p, m, v], [wide[0], wide[2], wide[3]], dtype)
    kernels.sgd_step([p], [g], [m], 0.1, 0.9, 0, 0.1, True, False)
    wide = widened([p, g, m])
    kernels.scale_inplace([p], np.float32(0.5))
    assert_rounded([p], [wide[0] * np.float32(0.5)], dtype)


def test_what_is_wide_is_left_alone(rng):
    x = draw(rng, np.float64, 3)
    assert in_32_bits(lambda x: x)(x) is x and in_32_bits(lambda x: x)(np.int16(3)).dtype == np.int16
    half = x.astype(np.float16)
    kept = half.copy()
    written_in_32_bits(1)(lambda a, b: a.fill(0))(half, None)
    np.testing.assert_array_equal(half, kept)
