"""Clipping and optimizer steps: compiled equals reference equals PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import assert_same_bits_on_any_number_of_threads, unaligned

from tinyrnn.kernels import cpu, reference

SHAPES = [(), (1,), (7,), (3, 5), (2, 8, 9), (0, 4)]
BACKENDS = pytest.mark.parametrize("kernels", [reference, cpu], ids=["reference", "cpu"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draw(rng, dtype, shapes=SHAPES):
    return [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in shapes]


def zeros(arrays):
    return [np.zeros_like(array) for array in arrays]


def copies(arrays):
    return [array.copy() for array in arrays]


def tolerance(dtype):
    return {"rtol": 2e-6, "atol": 1e-7} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-15}


def assert_close(ours, theirs, dtype):
    for x, y in zip(ours, theirs, strict=True):
        assert x.dtype == dtype
        np.testing.assert_allclose(x, np.asarray(y), **tolerance(dtype))


# ---- norms and scaling ----


@BACKENDS
@DTYPES
def test_global_norm_is_the_norm_of_everything_laid_end_to_end(rng, kernels, dtype):
    arrays = draw(rng, dtype, [*SHAPES, (1000,)])
    flat = np.concatenate([array.ravel() for array in arrays]).astype(np.float64)
    norm = kernels.global_norm(arrays)
    assert norm.shape == () and norm.dtype == np.float64
    np.testing.assert_allclose(norm, np.linalg.norm(flat), rtol=1e-14)


@BACKENDS
def test_global_norm_sums_in_float64(kernels):
    """1e20 squared is infinite in float32, and 2^24 + 1 is not a float32."""
    assert kernels.global_norm([np.full(4, 1e20, np.float32)]) == pytest.approx(2e20, rel=1e-6)
    ones = np.ones(2**24 + 4, np.float32)
    assert kernels.global_norm([ones]) == math.sqrt(2**24 + 4)


@BACKENDS
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_global_norm_of_nonfinite_numbers(kernels, value):
    for place in (0, 7, 8):
        x = np.zeros(9, np.float32)
        x[place] = value
        assert str(float(kernels.global_norm([np.ones(3), x]))) == str(value)


@BACKENDS
def test_global_norm_of_nothing(kernels):
    assert kernels.global_norm([]) == 0 and kernels.global_norm([np.ones((0, 3))]) == 0


@BACKENDS
def test_global_norm_of_arrays_that_are_not_contiguous_or_16_bit(rng, kernels):
    x = rng.normal(size=(6, 4))
    expected = math.sqrt((x[::2].astype(np.float16).astype(float) ** 2).sum() + (x[:, 1] ** 2).sum())
    assert kernels.global_norm([x[::2].astype(np.float16), x[:, 1]]) == pytest.approx(expected, rel=1e-14)


@BACKENDS
@DTYPES
@pytest.mark.parametrize("factor", [0.25, np.array(0.25)], ids=["number", "array"])
def test_scale_inplace(rng, kernels, dtype, factor):
    arrays = [*draw(rng, dtype), draw(rng, dtype, [(4, 6)])[0][:, ::2]]
    before = copies(arrays)
    assert kernels.scale_inplace(arrays, factor) is None
    assert_close(arrays, [array * dtype(0.25) for array in before], dtype)


def test_a_read_only_array_is_an_error():
    x = np.ones(3)
    x.flags.writeable = False
    for write in (
        lambda: cpu.scale_inplace([x], 2.0),
        lambda: cpu.sgd_step([x], [np.ones(3)], None, 0.1, 0, 0, 0, False, False),
        lambda: cpu.adam_step([x], [np.ones(3)], [np.zeros(3)], [np.zeros(3)], None, 1, 0.1, 0.9, 0.99, 1e-8, 0, False, False),
    ):
        with pytest.raises(ValueError, match="read-only"):
            write()
    assert (x == 1).all()


def test_a_read_only_state_is_an_error():
    state = np.zeros(3)
    state.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        cpu.sgd_step([np.ones(3)], [np.ones(3)], [state], 0.1, 0.9, 0, 0, False, False)


# ---- steps ----

SGD_OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3, "maximize": True},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
]
ADAM_OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "decoupled": True},
    {"amsgrad": True, "maximize": True},
    {"betas": (0.5, 0.7), "eps": 1e-2, "weight_decay": 0.02, "decoupled": True, "amsgrad": True},
]
STEPS = 4


def sgd_steps(
    kernels, params, gradients, lr=0.05, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False
):
    buffers = zeros(params) if momentum else None
    for number, grads in enumerate(gradients):
        damped = dampening if number else 0.0  # PyTorch's first buffer is the gradient itself
        kernels.sgd_step(params, grads, buffers, lr, momentum, damped, weight_decay, nesterov, maximize)
    return [*params, *(buffers or [])]


def adam_steps(
    kernels, params, gradients, lr=0.05, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False, amsgrad=False,
    maximize=False,
):  # fmt: skip
    first, second, largest = zeros(params), zeros(params), zeros(params) if amsgrad else None
    for step, grads in enumerate(gradients, 1):
        kernels.adam_step(params, grads, first, second, largest, step, lr, *betas, eps, weight_decay, decoupled, maximize)
    return [*params, *first, *second, *(largest or [])]


def problem(rng, dtype):
    # gradients shrink, so that amsgrad's largest second moment is not always the last one
    return draw(rng, dtype), [[g / 3**step for g in draw(rng, dtype)] for step in range(STEPS)]


@DTYPES
@pytest.mark.parametrize("run, options", [*((sgd_steps, o) for o in SGD_OPTIONS), *((adam_steps, o) for o in ADAM_OPTIONS)])
def test_compiled_steps_equal_the_reference(instruction_set, rng, run, options, dtype):
    params, gradients = problem(rng, dtype)
    kept = [copies(grads) for grads in gradients]
    start = copies(params)
    expected = run(reference, copies(params), gradients, **options)
    assert_close(run(cpu, params, gradients, **options), expected, dtype)
    assert any((x != y).any() for x, y in zip(params, start, strict=True))
    for grads, before in zip(gradients, kept, strict=True):
        assert all((g == b).all() for g, b in zip(grads, before, strict=True)), "gradients are only read"


def torch_result(torch, optimizer, params, gradients, names, **options):
    theirs = [torch.tensor(p, requires_grad=True) for p in params]
    opt = optimizer(theirs, lr=0.05, **options)
    for grads in gradients:
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        opt.step()
    states = [opt.state[p][name].numpy() for name in names for p in theirs]
    return [*(p.detach().numpy() for p in theirs), *states]


@BACKENDS
@DTYPES
@pytest.mark.parametrize("options", SGD_OPTIONS, ids=str)
def test_sgd_equals_pytorch(rng, kernels, dtype, options):
    torch = pytest.importorskip("torch")
    params, gradients = problem(rng, dtype)
    names = ["momentum_buffer"] if "momentum" in options else []
    expected = torch_result(torch, torch.optim.SGD, params, gradients, names, **options)
    assert_close(sgd_steps(kernels, params, gradients, **options), expected, dtype)


@BACKENDS
@DTYPES
@pytest.mark.parametrize("options", ADAM_OPTIONS, ids=str)
def test_adam_equals_pytorch(rng, kernels, dtype, options):
    torch = pytest.importorskip("torch")
    params, gradients = problem(rng, dtype)
    theirs = dict(options)
    optimizer = torch.optim.AdamW if theirs.pop("decoupled", False) else torch.optim.Adam
    names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if "amsgrad" in options else [])]
    expected = torch_result(torch, optimizer, params, gradients, names, **theirs)
    assert_close(adam_steps(kernels, params, gradients, **options), expected, dtype)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 40), strided=st.booleans(), mixed=st.booleans(), seed=st.integers(0, 1000))
def test_every_layout_gives_the_same_numbers(n, strided, mixed, seed):
    """What the compiled kernel does not take goes to the reference, one parameter at a time."""
    rng = np.random.default_rng(seed)
    params = [rng.normal(size=2 * n)[::2] if strided else rng.normal(size=n), rng.normal(size=3)]
    gradients = [[rng.normal(size=n), rng.normal(size=3).astype(np.float32 if mixed else np.float64)] for _ in range(2)]
    for run, options in ((sgd_steps, SGD_OPTIONS[4]), (adam_steps, ADAM_OPTIONS[4])):
        expected = run(reference, copies(params), gradients, **options)
        assert_close(run(cpu, params, gradients, **options), expected, np.float64)


@BACKENDS
def test_infinite_parameters_stay_without_weight_decay(kernels):
    """0 * inf is NaN: no decay must mean no multiplication."""
    p = [np.array([np.inf, 1.0])]
    kernels.sgd_step(p, [np.ones(2)], None, 0.1, 0.0, 0.0, 0.0, False, False)
    assert p[0].tolist() == [np.inf, 0.9]


@BACKENDS
def test_lists_of_different_length_are_an_error(kernels):
    with pytest.raises(ValueError):
        kernels.sgd_step([np.ones(2)], [], None, 0.1, 0.0, 0.0, 0.0, False, False)


# ---- vectors and threads ----

LARGE = [(300, 301), (7,), (4096,), (4097,), (0,), (64, 1000), (3, 5)]


def unaligned_copies(arrays):
    return [unaligned(array) for array in arrays]


@DTYPES
@pytest.mark.parametrize("copied", [copies, unaligned_copies], ids=["aligned", "unaligned"])
def test_the_same_bits_on_any_number_of_threads(instruction_set, rng, dtype, copied):
    params, grads = draw(rng, dtype, LARGE), draw(rng, dtype, LARGE)
    grads[0][1, 2], grads[5][:] = np.nan, 1e-30

    def compute():
        scaled = copied(grads)
        cpu.scale_inplace(scaled, 0.3)
        results = [sgd_steps(cpu, copied(params), [copied(grads)] * 2, **SGD_OPTIONS[4])]
        results += [adam_steps(cpu, copied(params), [copied(grads)] * 2, **ADAM_OPTIONS[4])]
        return [cpu.global_norm(params), cpu.global_norm(grads), *scaled, *results[0], *results[1]]

    assert_same_bits_on_any_number_of_threads(compute)


@DTYPES
def test_large_parameters_equal_the_reference(instruction_set, rng, dtype):
    params, grads = draw(rng, dtype, LARGE), draw(rng, dtype, LARGE)
    norm = math.sqrt(sum((each.astype(np.float64) ** 2).sum() for each in grads))
    assert cpu.global_norm(grads) == pytest.approx(norm, rel=1e-13)
    for run, options in ((sgd_steps, SGD_OPTIONS[3]), (adam_steps, ADAM_OPTIONS[1])):
        expected = run(reference, copies(params), [grads, grads], **options)
        assert_close(run(cpu, copies(params), [grads, grads], **options), expected, dtype)


def test_both_types_in_one_call(rng):
    params = [rng.normal(size=9).astype(dtype) for dtype in (np.float32, np.float64, np.float16, np.float32)]
    before = copies(params)
    cpu.scale_inplace(params, 0.5)
    for x, y in zip(params, before, strict=True):
        np.testing.assert_array_equal(x, y * x.dtype.type(0.5))
    expected = math.sqrt(sum((each.astype(np.float64) ** 2).sum() for each in params))
    assert cpu.global_norm(params) == pytest.approx(expected, rel=1e-14)


@DTYPES
def test_nan_and_infinity_go_through_a_step(instruction_set, dtype):
    params, grads = [np.ones(37, dtype)], [np.ones(37, dtype)]
    grads[0][[3, 36]] = np.nan, np.inf
    largest = [np.ones(37, dtype)]
    cpu.adam_step(params, grads, zeros(params), zeros(params), largest, 1, 0.1, 0.9, 0.999, 1e-8, 0, False, False)
    assert np.isnan(params[0][[3, 36]]).all() and np.isfinite(np.delete(params[0], [3, 36])).all()
    assert np.isnan(largest[0][3]) and np.isinf(largest[0][36])
