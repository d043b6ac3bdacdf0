"""Dropout: the generator's published numbers, and one mask for every kernel, instruction set and number of threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import assert_same_bits_on_any_number_of_threads, layouts

from tinyrnn.kernels import cpu, reference
from tinyrnn.kernels.reference_random import philox

BACKENDS = pytest.mark.parametrize("kernels", [reference, cpu], ids=["reference", "cpu"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
ONES = 2**64 - 1


@pytest.mark.parametrize(
    "counter, key, words",
    [
        ((0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES), ONES, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        ((0x85A308D3243F6A88, 0x0370734413198A2E), 0x299F31D0A4093822, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)
def test_philox_gives_its_published_numbers(counter, key, words):
    """The known answers that come with Random123, the authors' library."""
    block, call = (np.array([half], np.uint64) for half in counter)
    assert philox(block, call, key).tolist() == [list(words)]


def test_the_compiled_generator_is_philox(instruction_set):
    """Every bit that counts: where limits from 0 to 1 cut tells the upper 24 bits of each word."""
    size, seed, call = 203, 0x299F31D0A4093822, 0x0370734413198A2E
    blocks = np.arange(51, dtype=np.uint64)
    words = philox(blocks, np.full(51, call, np.uint64), seed).ravel()[:size] >> 8
    like = np.zeros(1, np.float32)
    for p in [k / 2**24 for k in words[::20]]:
        np.testing.assert_array_equal(cpu.keep_mask(like, (size,), p, 1.0, seed, call), words >= p * 2**24)
        np.testing.assert_array_equal(cpu.keep_mask(like, (size,), p + 2**-24, 1.0, seed, call), words > p * 2**24)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(0, 9), max_size=3),
    p=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 1e-12, 1 - 1e-12])),
    seed=st.integers(0, ONES),
    call=st.integers(0, ONES),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_compiled_equals_the_reference(shape, p, seed, call, dtype):
    x = np.asarray(np.random.default_rng(0).normal(size=shape)).astype(dtype)
    with np.errstate(over="ignore"):
        for name in ("dropout_forward", "dropout_backward"):
            got, expected = (getattr(kernels, name)(x, p, seed, call) for kernels in (cpu, reference))
            assert got.shape == tuple(shape) and got.dtype == dtype
            np.testing.assert_array_equal(got, expected)
        got, expected = (kernels.keep_mask(x, tuple(shape), p, 0.25, seed, call) for kernels in (cpu, reference))
    assert type(got) is np.ndarray and got.dtype == dtype
    np.testing.assert_array_equal(got, expected)


@DTYPES
def test_the_same_bits_on_any_number_of_threads_and_with_any_instruction_set(instruction_set, rng, dtype):
    x = rng.normal(size=100_003).astype(dtype)
    assert_same_bits_on_any_number_of_threads(
        lambda: [cpu.dropout_forward(x, 0.3, 5, 7), cpu.keep_mask(x, x.shape, 0.3, 1, 5, 7)]
    )
    np.testing.assert_array_equal(cpu.dropout_forward(x, 0.3, 5, 7), reference.dropout_forward(x, 0.3, 5, 7))


@BACKENDS
def test_a_mask_does_not_depend_on_the_dtype_nor_on_what_stands_behind(kernels):
    mask = kernels.keep_mask(np.zeros(1, np.float64), (101,), 0.4, 1.0, 3, 9)
    for size in (1, 5, 33, 100):
        np.testing.assert_array_equal(kernels.keep_mask(np.zeros(1, np.float32), (size,), 0.4, 1.0, 3, 9), mask[:size])
    np.testing.assert_array_equal(kernels.dropout_forward(np.ones(101), 0.4, 3, 9), mask / 0.6)


@BACKENDS
@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.9])
def test_shares_and_independence(kernels, p):
    """Of elements, and of neighbours, calls and seeds together."""
    like, n = np.zeros(1, np.float32), 200_000
    mask = kernels.keep_mask(like, (n,), p, 1.0, 1, 0)
    others = [mask[1:], mask[4:], kernels.keep_mask(like, (n,), p, 1.0, 1, 1), kernels.keep_mask(like, (n,), p, 1.0, 2, 0)]
    assert abs(mask.mean() - (1 - p)) < 5 * math.sqrt(p * (1 - p) / n)
    for other in others:
        together = (mask[: len(other)] * other).mean()
        assert abs(together - (1 - p) ** 2) < 5 * math.sqrt(1 / n) * (1 - p)


@BACKENDS
def test_extreme_probabilities(kernels):
    x = np.arange(1.0, 50.0)
    np.testing.assert_array_equal(kernels.dropout_forward(x, 0.0, 1, 1), x)
    np.testing.assert_array_equal(kernels.dropout_forward(x, 1.0, 1, 1), 0 * x)


@BACKENDS
def test_nan_and_infinity_go_through(kernels):
    """A dropped NaN stays one, as in PyTorch: it is a product."""
    with np.errstate(invalid="ignore"):
        assert np.isnan(kernels.dropout_forward(np.full(64, np.nan, np.float32), 0.5, 1, 1)).all()
        infinite = kernels.dropout_forward(np.full(64, np.inf, np.float32), 0.5, 1, 1)
    kept = kernels.dropout_forward(np.ones(64, np.float32), 0.5, 1, 1) > 0
    np.testing.assert_array_equal(infinite, np.where(kept, np.inf, np.nan))


@DTYPES
def test_any_layout(instruction_set, rng, dtype):
    x = rng.normal(size=(7, 9)).astype(dtype)
    expected = reference.dropout_forward(x, 0.3, 5, 7)
    for other in layouts(x):
        np.testing.assert_array_equal(cpu.dropout_forward(other, 0.3, 5, 7), expected)
    repeated = np.broadcast_to(x[:1], x.shape)
    np.testing.assert_array_equal(cpu.dropout_backward(repeated, 0.3, 5, 7), reference.dropout_backward(repeated, 0.3, 5, 7))
