"""Compiled elementwise kernels equal the reference, on both sides of every size limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import assert_same_bits_on_any_number_of_threads, layouts

from tinyrnn import dtypes
from tinyrnn.kernels import cpu, reference

PAIRS = [
    "add_forward", "sub_forward", "mul_forward", "div_forward",
    "tanh_backward", "sigmoid_backward", "logsigmoid_backward", "relu_backward", "silu_backward",
]  # fmt: skip
SINGLES = [
    "exp_forward", "log_forward", "erf_forward", "tanh_forward", "sigmoid_forward", "logsigmoid_forward", "relu_forward",
    "silu_forward",
]  # fmt: skip
WITH_NUMBERS = [
    ("gelu", "none"), ("gelu", "tanh"), ("leaky_relu", 0.2), ("elu", 0.7), ("softplus", 1.0, 20.0), ("softplus", 2.0, 1.0),
]  # fmt: skip
DTYPES = [np.float16, np.float32, np.float64]
BFLOAT16 = dtypes.bfloat16.numpy
SIZES = [0, 1, 3, 31, 32, 33, 64, 65, 1024, 1025]


def limit(dtype):
    return {np.float16: 2e-3, np.float32: 5e-7, np.float64: 2e-15}[dtype]


def check(name, *arguments):
    before = [a.copy() for a in arguments]
    result, expected = getattr(cpu, name)(*arguments), getattr(reference, name)(*arguments)
    assert type(result) is np.ndarray and result.dtype == expected.dtype and result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=limit(result.dtype.type), atol=0)
    for argument, kept in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(argument, kept)
        assert not np.shares_memory(result, argument), "the caller owns the result"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAIRS)
def test_pairs(instruction_set, rng, name, size, dtype):
    a, b = (rng.uniform(0.1, 0.9, size).astype(dtype) for _ in range(2))
    for x in layouts(a):
        for y in layouts(b):
            check(name, x, y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAIRS[:4])
def test_numbers(rng, name, size, dtype):
    """On either side: fractions, whole numbers that floats have and have not, and those that are no Python numbers."""
    kernel, oracle = getattr(cpu, name), getattr(reference, name)
    for x in layouts(rng.uniform(0.1, 0.9, size).astype(dtype)):
        for number in (0.1, -3, 0, 2**24 + 1, 2**60 + 1, np.inf, np.nan, True, dtype(0.3), np.asarray(0.3, dtype)):
            for operands in ((x, number), (number, x)):
                result, expected = kernel(*operands), oracle(*operands)
                assert type(result) is np.ndarray and result.dtype == expected.dtype
                np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("before", "after"), [((), (2, 3)), ((1,), (4,)), ((3,), (2, 3)), ((2, 1, 3), (4, 2, 5, 3)), ((1, 0), (3, 0)), ((2,), (2,))]
)
def test_an_array_seen_in_a_larger_shape(rng, before, after):
    elementwise = pytest.importorskip("tinyrnn.kernels.cpu.elementwise")
    numbers = np.asarray(rng.normal(size=before))
    for x in layouts(numbers) if before else [numbers]:
        seen = elementwise.stretched(x, after)
        expected = np.broadcast_to(x, after)
        np.testing.assert_array_equal(seen, expected)
        assert seen.strides == expected.strides or 0 in after or before == (1,)
        assert not seen.flags.writeable and np.may_share_memory(seen, x) == np.may_share_memory(expected, x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SINGLES)
def test_singles(instruction_set, rng, name, size, dtype):
    for x in layouts((3 * rng.normal(size=size)).astype(dtype)):
        check(name, x)


@pytest.mark.parametrize("dtype", [*DTYPES, BFLOAT16])
@pytest.mark.parametrize("size", [*SIZES, 100_003])
@pytest.mark.parametrize("case", WITH_NUMBERS, ids=str)
def test_activations_of_more_than_one_form(instruction_set, rng, case, size, dtype):
    name, *numbers = case
    x, grad = (3 * rng.normal(size=size)).astype(dtype), rng.normal(size=size).astype(dtype)
    for kernel, arrays in ((f"{name}_forward", (x,)), (f"{name}_backward", (grad, x))):
        for laid_out in zip(*map(layouts, arrays), strict=True):
            kept = [each.copy() for each in laid_out]
            result = getattr(cpu, kernel)(*laid_out, *numbers)
            expected = getattr(reference, kernel)(*[each.astype(np.float64) for each in arrays], *numbers)
            assert type(result) is np.ndarray and result.dtype.newbyteorder("=") == dtype and result.shape == x.shape
            rounding = {2: 1e-3 if dtype is np.float16 else 8e-3, 4: 2e-6, 8: 1e-14}[x.itemsize]
            np.testing.assert_allclose(result.astype(np.float64), expected, rtol=rounding, atol=rounding / 4)
            for each, before in zip(laid_out, kept, strict=True):
                np.testing.assert_array_equal(each, before)
                assert not np.shares_memory(result, each)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", [*((name.removesuffix("_forward"),) for name in SINGLES), *WITH_NUMBERS], ids=str)
def test_special_numbers(instruction_set, case, dtype):
    """As the reference has them: of zeros, infinities, NaN, and the smallest and largest numbers."""
    limits = np.finfo(dtype)
    numbers = [0.0, -0.0, np.inf, -np.inf, np.nan, -1, limits.tiny, limits.smallest_subnormal, limits.max, -limits.max]
    x = np.array(numbers * 3, dtype)
    name, *options = case
    kernel = f"{name}_forward"
    with np.errstate(all="ignore"):
        expected = getattr(reference, kernel)(x, *options)
    np.testing.assert_allclose(getattr(cpu, kernel)(x, *options), expected, rtol=4 * limits.eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["erf", "tanh", "leaky_relu", "elu"])
def test_zeros_keep_their_sign(instruction_set, name, dtype):
    x = np.array([-0.0, 0.0] * 20, dtype)
    options = {"leaky_relu": [0.2], "elu": [0.7]}.get(name, [])
    np.testing.assert_array_equal(np.signbit(getattr(cpu, f"{name}_forward")(x, *options)), np.signbit(x))


@pytest.mark.parametrize("dtype", [*DTYPES, BFLOAT16])
def test_roots_of_zero_and_infinity(dtype):
    """Powers 0.5 and -0.5 are roots, so that the gradient of one fits."""
    x = np.array([0.0, -0.0, np.inf, -np.inf, 4.0], dtype)
    np.testing.assert_array_equal(cpu.pow_forward(x, 0.5).astype(np.float64), [0, -0.0, np.inf, np.nan, 2])
    np.testing.assert_array_equal(cpu.pow_forward(x, -0.5).astype(np.float64), [np.inf, -np.inf, 0, np.nan, 0.5])


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_keeps_its_digits_far_below_zero(instruction_set, approximate):
    x = np.array([-3.0, -5.0, -7.5, -9.0], np.float32)
    exact = np.array([-0.0040496941, -1.4332579e-6, -2.3931688e-13, -1.0157296e-18])
    if approximate == "tanh":
        z = 2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x.astype(np.float64) ** 3)
        exact = x / (1 + np.exp(-z))
    np.testing.assert_allclose(cpu.gelu_forward(x, approximate), exact, rtol=1e-6 if approximate == "none" else 2e-5)


def rows_of(rng, dtype, height):
    """Arrays of shape (4, height, 10) that are not plain: repeated, cut out of others, or both."""
    whole = rng.uniform(0.1, 0.9, (5, height + 1, 16)).astype(dtype)
    flat, shape = whole.reshape(-1, 16)[: 4 * height], (4, height, 10)
    part = whole[:4, :height, :10]
    return {
        "plain": part.copy(),
        "one number": np.broadcast_to(whole[0, 0, 0], shape),
        "one row": np.broadcast_to(whole[0, 0, :10], shape),
        "a number for each row": np.broadcast_to(part[:, :, :1].copy(), shape),
        "a column of a matrix": np.broadcast_to(flat[:, 3].reshape(4, height, 1), shape),
        "one matrix": np.broadcast_to(part[0].copy(), shape),
        "a row for each matrix": np.broadcast_to(part[:, :1].copy(), shape),
        "parts of rows": np.lib.stride_tricks.as_strided(flat[:, 2:12], shape, (height * 16 * dtype().itemsize, *flat.strides)),
        "parts of rows of parts": whole[:4, :height, 2:12],
        "backwards": whole[3::-1, :height, :10],
        "every other": np.repeat(part, 2, axis=2)[:, :, ::2],
        "turned": part.transpose(2, 1, 0).copy().transpose(2, 1, 0),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("height", [3, 40])
@pytest.mark.parametrize("name", ["add_forward", "sub_forward", "mul_forward", "div_forward"])
def test_rows(instruction_set, rng, name, height, dtype):
    kernel, oracle = getattr(cpu, name), getattr(reference, name)
    cases = rows_of(rng, dtype, height)
    for first, a in cases.items():
        for second, b in [*cases.items(), ("a number", 0.3)]:
            for operands in ((a, b), (b, a)):
                result, expected = kernel(*operands), oracle(*operands)
                assert result.dtype == expected.dtype and result.shape == expected.shape
                np.testing.assert_array_equal(result, expected, err_msg=f"{first}, {second}")


@pytest.mark.parametrize("shape", [(700, 300), (1, 2000), (3000, 1, 2), (30, 70, 33)], ids=str)
def test_repeated_rows_have_the_same_bits_on_any_number_of_threads(instruction_set, rng, shape):
    x, row = rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[-1]).astype(np.float32)
    column = rng.normal(size=(*shape[:-1], 1)).astype(np.float32)
    for other in (row, column):
        repeated = np.broadcast_to(other, shape)
        assert_same_bits_on_any_number_of_threads(lambda repeated=repeated: [cpu.mul_forward(x, repeated)])
        np.testing.assert_array_equal(cpu.mul_forward(repeated, x), x * other)


@pytest.mark.parametrize("dtype", [*DTYPES, BFLOAT16])
@pytest.mark.parametrize("size", [*SIZES, 100_003])
def test_choosing(instruction_set, rng, size, dtype):
    dtype = np.dtype(dtype)
    a, b, mask = rng.normal(size=size).astype(dtype), rng.normal(size=size).astype(dtype), rng.random(size) < 0.5
    for masks, x, y in zip((mask, mask, mask, np.repeat(mask, 2)[::2], mask[::-1].copy()[::-1], mask), layouts(a), layouts(b)):
        for first in (x, 0.5, 3, -0.0, np.nan, dtype.type(0.25), np.array(0.75, dtype)):
            for second in (y, -np.inf, dtype.type(0), np.array(2, dtype)):
                result = cpu.where_forward(masks, first, second, dtype)
                assert result.dtype == dtype and not np.shares_memory(result, x) and not np.shares_memory(result, y)
                expected = np.where(mask, first, second).astype(dtype)
                np.testing.assert_array_equal(result.astype(np.float64), expected.astype(np.float64))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [*SIZES, 100_003])
def test_filling(instruction_set, rng, size, dtype):
    for value in (0, -0.0, 0.1, 3, np.inf, np.nan):
        expected = np.full(size, value, dtype)
        for y in layouts(rng.normal(size=size).astype(dtype)):
            cpu.fill_into(y, value)
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [2, 3, -1, 0.5, 0, 1, 2.0, 2.5, -2, np.nan])
def test_powers(rng, exponent, dtype):
    for x in layouts(np.append(rng.uniform(0.1, 3, 2000), [0.0, np.inf, np.nan]).astype(dtype)):
        with np.errstate(divide="ignore"):
            expected = x.astype(np.float64) ** exponent
        np.testing.assert_allclose(cpu.pow_forward(x, exponent), expected, rtol=4 * np.finfo(dtype).eps)


ENDS = {"exp_forward": (0.0, np.inf), "tanh_forward": (-1.0, 1.0), "sigmoid_forward": (0.0, 1.0), "relu_forward": (0.0, np.inf)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("size", [1, 100])
def test_the_ends_of_the_number_line(instruction_set, name, size, dtype):
    ends = ENDS[name]
    kernel = getattr(cpu, name)
    for value, expected in ((-np.inf, ends[0]), (np.inf, ends[1]), (-1e4, ends[0]), (1e4, ends[1])):
        expected = min(abs(value), expected) if name == "relu_forward" else expected
        assert (kernel(np.full(size, value, dtype)) == expected).all()
    assert np.isnan(kernel(np.full(size, np.nan, dtype))).all()


@settings(max_examples=25, deadline=None)
@given(shape=st.lists(st.integers(0, 5), max_size=4), seed=st.integers(0, 99), name=st.sampled_from(PAIRS[:3]))
def test_shapes(shape, seed, name):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=shape), rng.normal(size=shape)
    result = getattr(cpu, name)(np.asarray(a), np.asarray(b))
    assert np.shape(result) == tuple(shape)
    np.testing.assert_array_equal(result, getattr(reference, name)(a, b))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.bool_])
def test_integers_are_left_to_numpy(dtype):
    a, b = np.array([1, 0, 1]).astype(dtype), np.array([1, 1, 0]).astype(dtype)
    result = cpu.add_forward(a, b)
    assert result.dtype == dtype and (result == np.add(a, b)).all()


def test_broadcasting_and_mixed_types_are_left_to_numpy(rng):
    a, b = rng.normal(size=(3, 1)), rng.normal(size=4).astype(np.float32)
    np.testing.assert_array_equal(cpu.mul_forward(a, b), a * b)


def test_arrays_in_the_other_byte_order(rng):
    a = rng.normal(size=5)
    swapped = a.astype(a.dtype.newbyteorder())
    np.testing.assert_array_equal(cpu.add_forward(swapped, swapped), a + a)


def test_sigmoid_of_doubles_does_not_overflow_on_the_way():
    x = np.array([-745.0, -720.0, -700.0, 720.0])
    np.testing.assert_array_equal(cpu.sigmoid_forward(x) > 0, True)
    np.testing.assert_allclose(cpu.sigmoid_forward(x), reference.sigmoid_forward(x), rtol=1e-12)


# ---- accuracy ------------------------------------------------------------------------------------------------------


def units_in_the_last_place(result, exact):
    """The largest error of float32 results, given in float64, or of float64 results, given in extended precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = exact.astype(result.dtype)
        infinite = np.isinf(result) & (result == nearest)
        error = np.abs(result.astype(exact.dtype) - exact) / np.spacing(np.abs(nearest)).astype(exact.dtype)
    return np.where(infinite, 0, error).max()


def exact_values(name, x):
    with np.errstate(all="ignore"):
        return {
            "exp": np.exp,
            "log": np.log,
            "tanh": np.tanh,
            "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
            "logsigmoid": lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
        }[name](x)


ACCURATE = ["exp", "tanh", "sigmoid", "log", "logsigmoid"]


@pytest.mark.parametrize("name", ACCURATE)
def test_every_so_many_floats_are_within_4_ulp(instruction_set, name):
    """All floats in steps of 4099, from denormals to infinity and below 0."""
    x = np.arange(0, 2**32, 4099, dtype=np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):  # signalling NaN
        exact = exact_values(name, x.astype(np.float64))
    result = getattr(cpu, f"{name}_forward")(x)
    numbers = ~np.isnan(exact)
    assert (np.isnan(result) == ~numbers).all()
    assert units_in_the_last_place(result[numbers], exact[numbers]) <= 4


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="long double is no wider than double here")
@pytest.mark.parametrize("name", ACCURATE)
def test_doubles_are_within_4_ulp(instruction_set, rng, name):
    n = 20000
    ends = [0.0, -0.0, 5e-324, -5e-324, 2.3e-308, 709.78, 709.79, -708.4, -745.13, -745.14, 1e308, -1e308]
    sizes = np.exp(rng.uniform(-745, 7, n)) * rng.choice([-1, 1], n)
    x = np.concatenate([ends, sizes, rng.uniform(-1, 1, n), rng.uniform(-25, 25, n), rng.uniform(-746, 710, n)])
    x = np.abs(x) if name == "log" else x
    assert units_in_the_last_place(getattr(cpu, f"{name}_forward")(x), exact_values(name, x.astype(np.longdouble))) <= 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["tanh_forward", "relu_forward"])
def test_odd_functions_keep_denormals_and_the_sign_of_zero(instruction_set, name, dtype):
    x = np.array([0.0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny / 3] * 9, dtype)
    np.testing.assert_array_equal(getattr(cpu, name)(x), x)
    if name == "tanh_forward":
        np.testing.assert_array_equal(cpu.tanh_forward(-x), -x)
        assert np.signbit(cpu.tanh_forward(-x)).all()


# ---- threads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*PAIRS, *SINGLES])
def test_the_same_bits_on_any_number_of_threads(instruction_set, rng, name, dtype):
    arrays = [rng.normal(size=200_003).astype(dtype) for _ in range(2 if name in PAIRS else 1)]
    arrays[0][::1000] = np.nan
    assert_same_bits_on_any_number_of_threads(lambda: [getattr(cpu, name)(*arrays)])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            getattr(cpu, name)(*arrays), getattr(reference, name)(*arrays), rtol=limit(dtype), atol=4 * limit(dtype)
        )


@pytest.mark.parametrize(("before", "after"), [((2, 1), (4, 2)), ((3,), (1,)), ((1, 1), (1,)), ((), (1,) * 65), ((0,), (2,))])
def test_an_array_is_not_seen_in_a_shape_that_does_not_fit(before, after):
    elementwise = pytest.importorskip("tinyrnn.kernels.cpu.elementwise")
    with pytest.raises(ValueError, match="cannot be broadcast to"):
        elementwise.stretched(np.zeros(before), after)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [*SIZES, 100_001])
def test_a_multiple_is_added(instruction_set, rng, size, dtype):
    a, b = (rng.uniform(0.1, 0.9, size).astype(dtype) for _ in range(2))
    for x, y in zip(layouts(a), layouts(b), strict=True):
        result = cpu.add_scaled_forward(x, y, 0.3)
        assert result.dtype.newbyteorder("=") == dtype and not np.shares_memory(result, x)
        np.testing.assert_allclose(result, a.astype(np.float64) + 0.3 * b, rtol=limit(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "bounds", [(-0.5, 0.5), (None, 0.25), (-1, None), (0.5, -0.5), (np.nan, 1), (None, np.nan), (-np.inf, 0)]
)
@pytest.mark.parametrize("size", SIZES[1:])
def test_bounds(instruction_set, rng, size, bounds, dtype):
    numbers = rng.normal(size=size).astype(dtype)
    numbers[0] = np.nan
    for x in layouts(numbers):
        expected = reference.clamp_forward(x, *bounds)
        np.testing.assert_array_equal(cpu.clamp_forward(x, *bounds), expected)
        cpu.clamp_into(x, *bounds)
        np.testing.assert_array_equal(x, expected)


INTO = {
    "add_into": lambda kernels, y, x: kernels.add_into(y, x, 1),
    "add_into, scaled": lambda kernels, y, x: kernels.add_into(y, x, -0.3),
    "mul_into": lambda kernels, y, x: kernels.mul_into(y, x),
    "div_into": lambda kernels, y, x: kernels.div_into(y, x),
    "lerp_into": lambda kernels, y, x: kernels.lerp_into(y, np.asarray(x, y.dtype) if np.ndim(x) == 0 else x, 0.3),
    "lerp_into, over half": lambda kernels, y, x: kernels.lerp_into(y, np.full_like(y, x) if np.ndim(x) == 0 else x, 0.8),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [*SIZES, 100_001])
@pytest.mark.parametrize("name", INTO)
def test_in_place(instruction_set, rng, name, size, dtype):
    write = INTO[name]
    for y, x in zip(layouts(rng.uniform(0.1, 0.9, size).astype(dtype)), layouts(rng.uniform(0.1, 0.9, size).astype(dtype))):
        for other in (x, 0.7, 3, y):
            before, expected = np.array(x), np.array(y)
            write(reference, expected, expected if other is y else other)
            write(cpu, y, other)
            np.testing.assert_allclose(y, expected, rtol=limit(dtype), atol=limit(dtype))
            np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", INTO)
@pytest.mark.parametrize("step", [-3, -1, 1, 3])
def test_in_place_over_itself(rng, name, step):
    """What is read is what was there before, also where it has been written over in between."""
    memory = rng.uniform(0.1, 0.9, 3000).astype(np.float32)
    y, x = slice(3, -3), slice(3 + step, len(memory) - 3 + step)
    expected = memory.copy()
    INTO[name](reference, expected[y], memory[x])
    INTO[name](cpu, memory[y], memory[x])
    np.testing.assert_allclose(memory, expected, rtol=0, atol=limit(np.float32))


def test_what_is_read_only_is_not_written():
    y = np.ones(5, np.float32)
    y.flags.writeable = False
    for write in (
        *(lambda y, x, write=write: write(cpu, y, x) for write in INTO.values()),
        lambda y, x: cpu.clamp_into(y, 0, x),
    ):
        for x in (0.5, np.ones(5, np.float32)):
            with pytest.raises(ValueError, match="read-only"):
                write(y, x)
    assert (y == 1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_and_multiples_do_not_depend_on_the_threads(instruction_set, rng, dtype):
    a, b = rng.normal(size=(2, 200_003)).astype(dtype)

    def compute():
        c = a.copy()
        cpu.add_into(c, b, 0.1)
        return [
            cpu.mul_forward(a, 3.0),
            cpu.sub_forward(1, a),
            cpu.add_scaled_forward(a, b, 0.1),
            cpu.clamp_forward(a, -1, 1),
            c,
        ]

    assert_same_bits_on_any_number_of_threads(compute)
