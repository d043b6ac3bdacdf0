"""Every kernel of the GPU but the sweeps equals the reference: on a GPU, or in cuda_on_cpu.h."""

from __future__ import annotations

import numpy as np
import pytest
from on_gpu import TOLERANCE, assert_close, back, in_float64, mapped, there

from tinyrnn.kernels import reference
from tinyrnn.kernels.gpu import tf32

FLOATS = pytest.mark.parametrize("dtype", list(TOLERANCE), indirect=True)
SPECIAL = [0.0, -0.0, 1e-8, -1e-3, 30.0, -30.0, 200.0, -200.0, np.inf, -np.inf, np.nan]


@pytest.fixture
def kernels(cuda):
    from tinyrnn.kernels.gpu import kernels

    return kernels


@pytest.fixture
def dtype(request):
    return dtype_named(request.param)


def dtype_named(name):
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)


def is_narrow(x):
    return isinstance(x, np.ndarray) and x.dtype.name in ("float16", "bfloat16")


def check(kernels, name, *args, dtype, tolerance=None):
    """The kernel gives what the reference gives in float64, rounded, and writes to nothing that it is given."""
    given = there(args)
    got, expected = back(getattr(kernels, name)(*given)), getattr(reference, name)(*args)
    exact = getattr(reference, name)(*in_float64(args))
    assert_close(got, rounded_like(exact, expected), tolerance or TOLERANCE[dtype.name], name)
    assert_close(back(given), args, 0, "arguments")


def rounded_like(exact, expected):
    if isinstance(expected, tuple):
        return tuple(map(rounded_like, exact, expected))
    return exact.astype(expected.dtype) if isinstance(exact, np.ndarray) else exact


@FLOATS
@pytest.mark.parametrize("name", ["sigmoid", "logsigmoid", "relu", "leaky_relu", "elu", "silu", "softplus", "gelu"])
def test_activations(kernels, rng, name, dtype):
    x, grad = (np.append(rng.normal(0, 3, 60), SPECIAL).astype(dtype) for _ in range(2))
    settings = {
        "leaky_relu": [(0.1,)],
        "elu": [(0.7,)],
        "softplus": [(1.0, 20.0), (2.5, 1.0)],
        "gelu": [("none",), ("tanh",)],
    }
    for more in settings.get(name, [()]):
        check(kernels, f"{name}_forward", x, *more, dtype=dtype)
        saved = getattr(reference, f"{name}_forward")(x) if name in ("sigmoid", "relu") else x
        ordinary = np.isfinite(x)
        check(kernels, f"{name}_backward", grad[ordinary][::-1], saved[ordinary], *more, dtype=dtype)


@FLOATS
def test_tanh_backward_and_erf(kernels, rng, dtype):
    x = np.append(rng.normal(0, 2, (5, 12)), SPECIAL).astype(dtype)
    check(kernels, "erf_forward", x, dtype=dtype)
    check(kernels, "tanh_backward", x, np.tanh(x), dtype=dtype)


@FLOATS
@pytest.mark.parametrize("shape, axis", [((3, 7), 1), ((3, 300), -1), ((4, 3, 5), 0), ((4, 3, 5), 1), ((0, 3), 1), ((1,), 0)])
def test_softmax(kernels, rng, shape, axis, dtype):
    x, grad = (rng.normal(0, 4, shape).astype(dtype) for _ in range(2))
    if x.size > 3:
        x.reshape(-1)[1] = -np.inf
    for name in ("softmax", "log_softmax"):
        check(kernels, f"{name}_forward", x, axis, dtype=dtype)
        check(kernels, f"{name}_backward", grad, getattr(reference, f"{name}_forward")(x, axis), axis, dtype=dtype)


def test_softmax_of_nothing_but_minus_infinity_is_nan_and_nan_goes_through(kernels):
    x = np.array([[-np.inf, -np.inf], [np.nan, 1.0], [np.inf, 1.0]])
    check(kernels, "softmax_forward", x, 1, dtype=np.dtype("float64"))
    check(kernels, "log_softmax_forward", x, 1, dtype=np.dtype("float64"))


@FLOATS
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(kernels, rng, smoothing, weighted, dtype):
    x, target = rng.normal(0, 2, (9, 150)).astype(dtype), rng.integers(0, 150, 9)
    target[[2, 5]] = -100
    weight = rng.uniform(0.5, 2, 150).astype(dtype) if weighted else None
    check(kernels, "cross_entropy_forward", x, target, weight, -100, smoothing, dtype=dtype)
    _, y = reference.cross_entropy_forward(x, target, weight, -100, smoothing)
    grad = rng.normal(size=9).astype(dtype)
    check(kernels, "cross_entropy_backward", grad, y, target, weight, -100, smoothing, dtype=dtype)


@FLOATS
@pytest.mark.parametrize("affine", [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("shape", [(5, 7), (3, 200), (0, 4)])
def test_layer_norm(kernels, rng, shape, affine, dtype):
    x, grad = (rng.normal(2, 3, shape).astype(dtype) for _ in range(2))
    weight, bias = (rng.normal(size=shape[1]).astype(dtype) if wanted else None for wanted in affine)
    check(kernels, "layer_norm_forward", x, weight, bias, 1e-5, dtype=dtype)
    _, mean, rstd = reference.layer_norm_forward(x, weight, bias, 1e-5)
    check(kernels, "layer_norm_backward", grad, x, mean, rstd, weight, dtype=dtype, tolerance=20 * TOLERANCE[dtype.name])


@FLOATS
@pytest.mark.parametrize("padding", [None, 3])
def test_embedding_backward(kernels, rng, padding, dtype):
    grad, ids = rng.normal(size=(4, 6, 5)).astype(dtype), rng.integers(0, 8, (4, 6))
    check(kernels, "embedding_backward", grad, ids, 9, padding, dtype=dtype)
    check(kernels, "embedding_backward", grad[:, :0], ids[:, :0], 9, padding, dtype=dtype)
    check(kernels, "embedding_forward", rng.normal(size=(9, 5)).astype(dtype), ids, dtype=dtype)


@pytest.mark.parametrize("dtype", [*TOLERANCE, "int64", "int32", "uint8"], indirect=True)
def test_sum_segments(kernels, rng, dtype):
    values, starts = (50 * rng.normal(size=(12, 5))).astype(dtype), np.array([0, 1, 4, 11])
    check(kernels, "sum_segments", values, starts, dtype=dtype, tolerance=TOLERANCE.get(dtype.name, 1e-6))


@FLOATS
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_has_the_masks_of_the_cpu(kernels, rng, p, dtype):
    x = rng.normal(size=(13, 9)).astype(dtype)
    seed, call = 2**63 + 12345, 2**40 + 7
    check(kernels, "dropout_forward", x, p, seed, call, dtype=dtype)
    check(kernels, "dropout_backward", x, p, seed, call, dtype=dtype)
    check(kernels, "keep_mask", x, (3, 5, 7), p, 1.25, seed, call, dtype=dtype)


# ---- products ----


@FLOATS
@pytest.mark.parametrize(
    "shapes", [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((4,), (4, 5)), ((3, 0), (0, 5))]
)
def test_products(kernels, rng, shapes, dtype):
    a, b = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    check(kernels, "matmul_forward", a, b, dtype=dtype)
    if b.ndim == 2:
        check(kernels, "linear_forward", a, np.ascontiguousarray(b.T), rng.normal(size=5).astype(dtype), dtype=dtype)


def test_products_of_float32_are_rounded_only_where_that_is_allowed(kernels, rng, monkeypatch):
    a, b = rng.normal(size=(2, 512, 512)).astype(np.float32)  # so large that cuBLAS takes tensor cores where it may
    exact = a.astype(np.float64) @ b
    errors = {}
    for allowed in (False, True):
        monkeypatch.setitem(tf32.allowed, "others", allowed)
        errors[allowed] = np.abs(back(kernels.matmul_forward(*there((a, b)))) - exact).max()
    assert errors[False] < 2e-4 < 2e-3 < errors[True] < 1


# ---- connectionist temporal classification ----


@FLOATS
@pytest.mark.parametrize("steps, S", [(9, 3), (300, 70), (2, 3), (1, 1), (0, 1)])
def test_ctc(kernels, rng, steps, S, dtype):
    """Targets with repeated labels, some too long for their steps, some empty; more states than threads."""
    B, C = 6, 5
    log_probs = reference.log_softmax_forward(rng.normal(0, 2, (steps, B, C)), 2).astype(dtype)
    targets = rng.integers(1, C, (B, S))
    targets[1] = 2
    lengths = np.array([steps, steps, steps, steps // 2, 0, 0])
    target_lengths = np.array([S, S, S // 2, S, 0, S])
    tolerance = max(1e-8, TOLERANCE[dtype.name])
    check(kernels, "ctc_forward", log_probs, targets, lengths, target_lengths, 0, dtype=dtype, tolerance=tolerance)
    arguments = rng.normal(size=B).astype(dtype), log_probs, targets, lengths, target_lengths, 0
    check(kernels, "ctc_backward", *arguments, dtype=dtype, tolerance=tolerance)


# ---- one step of the cells ----


@FLOATS
@pytest.mark.parametrize("shape", [(4, 5), (5,), (0, 5)])
def test_cells(kernels, rng, shape, dtype):
    def draw(gates=1):
        return rng.normal(size=(*shape[:-1], gates * shape[-1])).astype(dtype)

    for nonlinearity in ("tanh", "relu"):
        check(kernels, "rnn_cell_forward", draw(), draw(), nonlinearity, dtype=dtype)
        check(kernels, "rnn_cell_backward", draw(), np.tanh(draw()), nonlinearity, dtype=dtype)
    check(kernels, "lstm_cell_forward", draw(4), draw(4), draw(), dtype=dtype)
    check(kernels, "lstm_cell_backward", draw(), draw(), draw(), draw(), draw(4), dtype=dtype)
    check(kernels, "gru_cell_forward", draw(3), draw(3), draw(), dtype=dtype)
    check(kernels, "gru_cell_backward", draw(), draw(), draw(4), dtype=dtype)


# ---- clipping and optimizer steps ----


def parameters(rng, dtypes, positive=False):
    shapes = [(7,), (3, 5), (0, 4), (90, 100), ()]
    drawn = [np.asarray(rng.normal(size=shape)).astype(dtype_named(name)) for name in dtypes for shape in shapes]
    return [np.asarray(abs(each)) for each in drawn] if positive else drawn


DTYPES = pytest.mark.parametrize(
    "dtypes", [("float64",), ("float32",), ("float32", "float64"), ("bfloat16", "float16")], ids=["64", "32", "both", "16"]
)


@DTYPES
def test_global_norm_and_scaling(kernels, rng, dtypes):
    arrays = parameters(rng, dtypes)
    check(kernels, "global_norm", arrays, dtype=np.dtype("float64"))
    assert_close(back(kernels.global_norm(there([a.T for a in arrays]))), reference.global_norm(arrays), 1e-12)
    for factor in (0.25, np.array(0.25)):
        ours = there(arrays)
        kernels.scale_inplace(ours, there(factor))
        assert_close(back(ours), [(a * 0.25).astype(a.dtype) for a in arrays], 1e-6)


def in_place(kernels, name, lists, *numbers):
    """The lists after a step, which both kernels write to."""
    ours = [None if each is None else there(each) for each in lists]
    getattr(kernels, name)(*ours, *numbers)
    theirs = mapped(lists, lambda a: a if a is None else a.astype(np.float32) if is_narrow(a) else a.copy())
    getattr(reference, name)(*theirs, *numbers)
    for got, expected, before in zip(back(ours), theirs, lists):
        for a, exact, kind in zip(got or (), expected or (), before or (), strict=True):
            assert_close(a, rounded_like(exact, kind), 1e-2 if is_narrow(kind) else 3e-6, name)


@DTYPES
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov, maximize", [(False, False), (True, True)])
def test_sgd_step(kernels, rng, dtypes, momentum, nesterov, maximize):
    lists = [parameters(rng, dtypes) for _ in range(3)]
    in_place(kernels, "sgd_step", lists if momentum else [*lists[:2], None], 0.1, momentum, 0.3, 0.01, nesterov, maximize)


@DTYPES
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decoupled, maximize", [(False, False), (True, True)])
def test_adam_step(kernels, rng, dtypes, amsgrad, decoupled, maximize):
    lists = [parameters(rng, dtypes) for _ in range(3)] + [parameters(rng, dtypes, True) for _ in range(2)]
    if not amsgrad:
        lists[4] = None
    in_place(kernels, "adam_step", lists, 3, 0.01, 0.9, 0.99, 1e-8, 0.1, decoupled, maximize)


def test_parameters_that_are_not_contiguous_are_written_to(kernels, rng):
    lists = [[rng.normal(size=(4, 6)).T, rng.normal(size=3)] for _ in range(3)]
    ours = [[there(np.ascontiguousarray(a.T)).T, there(b)] for a, b in lists]
    kernels.sgd_step(*ours, 0.1, 0.9, 0.0, 0.0, False, False)
    reference.sgd_step(*lists, 0.1, 0.9, 0.0, 0.0, False, False)
    for got, expected in zip(ours, lists):
        assert_close(back(got), expected, 1e-12)
