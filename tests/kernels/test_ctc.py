"""The CTC kernels: the reference equals a sum over all paths, written out; the compiled ones equal the reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import assert_same_bits_on_any_number_of_threads, layouts, native

from tinyrnn.kernels import cpu, reference

BACKENDS = pytest.mark.parametrize("kernels", [reference, cpu], ids=["reference", "cpu"])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def problem(T, B, C, S, blank=0, dtype="float64", seed=0):
    """Arguments of ctc_forward, ragged in both lengths; few classes make repeated labels likely. Padding is NaN."""
    rng = np.random.default_rng(seed)
    x = 2 * rng.normal(size=(T, B, C))
    x -= np.log(np.exp(x).sum(2, keepdims=True))
    targets = rng.integers(0, C - 1, (B, S))
    input_lengths, target_lengths = rng.integers(0, T + 1, B), rng.integers(0, S + 1, B)
    input_lengths[B // 2 :] = T
    for b, length in enumerate(input_lengths):
        x[length:, b] = np.nan
    return x.astype(dtype), targets + (targets >= blank), input_lengths, target_lengths, blank


def spelled(path, blank):
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def by_all_paths(x, targets, input_lengths, target_lengths, blank):
    """Losses, and minus the share of every class at every step in the paths that spell the target."""
    T, B, C = x.shape
    totals, shares = np.zeros(B), np.zeros((T, B, C))
    for b, steps in enumerate(input_lengths):
        goal = tuple(targets[b, : target_lengths[b]])
        for path in itertools.product(range(C), repeat=steps):
            if spelled(path, blank) == goal:
                p = np.exp(sum(x[t, b, k] for t, k in enumerate(path)))
                totals[b] += p
                shares[range(steps), b, path] += p
        shares[:steps, b] /= totals[b]
    return -np.log(totals), -shares


@BACKENDS
@np.errstate(all="ignore")
@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("T, S", [(1, 1), (4, 0), (5, 2), (6, 3), (0, 1)])
def test_sums_over_all_paths(kernels, T, S, blank):
    for seed in range(3):
        given = problem(T, 5, 3, S, blank, seed=seed)
        losses, shares = by_all_paths(*given)
        np.testing.assert_allclose(kernels.ctc_forward(*given), losses, rtol=1e-12, atol=1e-12)
        weights = np.arange(1.0, 6)
        gradient = kernels.ctc_backward(weights, *given)
        np.testing.assert_allclose(gradient, shares * weights[:, None], rtol=1e-11, atol=1e-14)
        np.testing.assert_array_equal(gradient[np.isnan(given[0]) & ~np.isnan(shares)], 0)


@DTYPES
@settings(max_examples=60, deadline=None)
@given(
    T=st.integers(0, 12),
    B=st.integers(0, 5),
    C=st.integers(2, 9),
    S=st.integers(0, 20),
    blank=st.integers(0, 8),
    seed=st.integers(0, 999),
)
def test_the_compiled_kernels_equal_the_reference(dtype, T, B, C, S, blank, seed):
    check_equal(problem(T, B, C, S, blank % C, dtype, seed))


@DTYPES
@pytest.mark.parametrize("S", [1, 2, 3, 4, 7, 8, 16, 33])
def test_every_width(instruction_set, S, dtype):
    check_equal(problem(3 * S, 3, 5, S, 2, dtype))


def check_equal(given):
    grad = np.random.default_rng(1).normal(size=len(given[2])).astype(given[0].dtype)
    copies = [np.copy(each) for each in given]
    losses, gradient = cpu.ctc_forward(*given), cpu.ctc_backward(grad, *given)
    for ours, expected in (
        (losses, reference.ctc_forward(*given)),
        (gradient, reference.ctc_backward(grad, *given)),
    ):
        assert ours.dtype == expected.dtype == given[0].dtype and ours.shape == expected.shape
        tolerance = 1e-6 if ours.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)
    for before, after in zip(copies, given, strict=True):
        np.testing.assert_array_equal(before, after)


@BACKENDS
def test_long_sequences_are_exact_to_the_last_bits_of_float32(kernels):
    """Beside the same numbers in float64: alphas of magnitude 10,000 in float32 would be off by 1e-3."""
    x, targets, _, _, blank = problem(3000, 2, 20, 100)
    x = np.nan_to_num(x, nan=-3.0).astype(np.float32)
    lengths = np.full(2, 3000), np.full(2, 100)
    losses = kernels.ctc_forward(x, targets, *lengths, blank)
    np.testing.assert_array_equal(losses, kernels.ctc_forward(x.astype(float), targets, *lengths, blank).astype(np.float32))
    gradient = kernels.ctc_backward(np.ones(2, np.float32), x, targets, *lengths, blank)
    np.testing.assert_allclose(gradient.sum(2), -1, rtol=1e-6)


@BACKENDS
def test_classes_of_probability_0(kernels):
    """log(0) is a number like others: what paths may not do is not done, and has derivative 0."""
    given = problem(6, 4, 4, 2)
    x = given[0]
    x[:, :, 3] = -np.inf
    x[2] = [0, -np.inf, -np.inf, -np.inf]
    with np.errstate(all="ignore"):
        losses, shares = by_all_paths(*given)
    possible = np.isfinite(losses)
    assert possible.any()
    np.testing.assert_allclose(kernels.ctc_forward(*given)[possible], losses[possible], atol=1e-12)
    gradient = kernels.ctc_backward(np.ones(4), *given)
    np.testing.assert_allclose(gradient[:, possible], shares[:, possible], atol=1e-12)


@BACKENDS
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_probability_gives_no_number(kernels, bad):
    x, targets, _, _, blank = problem(5, 3, 3, 2)
    x[...] = -1.0
    x[2, 1] = bad
    lengths = np.full(3, 5), np.full(3, 1)
    finite = np.isfinite(kernels.ctc_forward(x, targets, *lengths, blank))
    np.testing.assert_array_equal(finite, [True, False, True])
    gradient = kernels.ctc_backward(np.ones(3), x, targets, *lengths, blank)
    np.testing.assert_array_equal(np.isnan(gradient).all((0, 2)), ~finite)
    assert np.isfinite(gradient[:, finite]).all()


@pytest.mark.skipif(native is None, reason="nothing is compiled")
@DTYPES
def test_the_same_bits_on_any_number_of_threads(instruction_set, dtype):
    given = problem(60, 7, 6, 25, dtype=dtype)
    grad = np.ones(7, dtype)
    assert_same_bits_on_any_number_of_threads(lambda: [cpu.ctc_forward(*given), cpu.ctc_backward(grad, *given)])


@DTYPES
def test_a_sequence_does_not_depend_on_the_others(dtype):
    x, targets, input_lengths, target_lengths, blank = problem(20, 5, 4, 6, dtype=dtype)
    losses = cpu.ctc_forward(x, targets, input_lengths, target_lengths, blank)
    for b in range(5):
        own = slice(b, b + 1)
        steps, labels = input_lengths[b], target_lengths[b]
        alone = cpu.ctc_forward(x[:steps, own], targets[own, :labels].copy(), input_lengths[own], target_lengths[own], blank)
        assert alone.tobytes() == losses[own].tobytes()


@DTYPES
def test_any_layout_and_type(dtype):
    x, *rest = given = problem(9, 4, 5, 3, dtype=dtype)
    grad = np.linspace(-1, 1, 4).astype(dtype)
    losses, gradient = reference.ctc_forward(*given), reference.ctc_backward(grad, *given)
    batch_first = np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)
    for other in (*layouts(x), batch_first):
        np.testing.assert_allclose(cpu.ctc_forward(other, *rest), losses, rtol=1e-6)
    for other in layouts(grad):
        np.testing.assert_allclose(cpu.ctc_backward(other, batch_first, *rest), gradient, rtol=1e-6, atol=1e-9)
    repeated = np.broadcast_to(grad[:1], 4)  # what a mean hands back
    np.testing.assert_allclose(
        cpu.ctc_backward(repeated, *given), cpu.ctc_backward(repeated.copy(), *given), rtol=1e-6, atol=1e-9
    )
    narrow = [np.asarray(each, np.int32) for each in rest[:3]]
    np.testing.assert_allclose(cpu.ctc_forward(x, *narrow, rest[3]), losses, rtol=1e-6)
    half = cpu.ctc_forward(x.astype(np.float16), *rest)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, losses, rtol=2e-2)
