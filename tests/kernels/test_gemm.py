"""The compiled products: within the error bound of a sum of K products, for all sizes, layouts, threads, instruction sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrnn.kernels import reference

gemm = pytest.importorskip("tinyrnn.kernels.cpu.gemm")
native = pytest.importorskip("tinyrnn.kernels.cpu.native")

DTYPES = ["float32", "float64"]
LAYOUTS = ["C", "F", "strided", "reversed", "columns"]


@pytest.fixture(autouse=True, params=native.available_instruction_sets())
def instruction_set(request):
    """Every test runs on all the kernels that this processor has."""
    before = native.instruction_set(), native.get_num_threads()
    native.use_instruction_set(request.param)
    yield request.param
    native.use_instruction_set(before[0])
    native.set_num_threads(before[1])


def stored(x, layout):
    """The same numbers with other strides, between NaN where there is a between."""
    if layout in ("C", "F"):
        return x.copy(order=layout)
    *batch, rows, columns = x.shape
    if layout == "reversed":
        return np.ascontiguousarray(x[..., ::-1, ::-1])[..., ::-1, ::-1]
    room = {"strided": (2 * rows + 1, 3 * columns + 1), "columns": (rows, columns + 5)}[layout]
    base = np.full((*batch, *room), np.nan, x.dtype)
    view = base[..., 1::2, 1::3] if layout == "strided" else base[..., 3 : columns + 3]
    view[...] = x
    return view


def uniform(rng, shape, dtype):
    return rng.uniform(-1, 1, shape).astype(dtype)


def assert_product(out, a, b, start=0.0):
    """out = start + a b, but for what rounding may do to a sum of K terms and a start, in any order."""
    assert type(out) is np.ndarray and out.dtype == a.dtype
    wide = [np.asarray(x, np.float64) for x in (a, b, start)]
    expected = wide[0] @ wide[1] + wide[2]
    terms = np.abs(wide[0]) @ np.abs(wide[1]) + np.abs(wide[2])
    assert out.shape == expected.shape
    bound = (a.shape[-1] + 2) * np.finfo(out.dtype).eps * terms
    assert (np.abs(out - expected) <= bound).all(), (a.shape, b.shape, a.strides, b.strides)


def same_on_all_threads(kernel, *arguments):
    """The result, which one, two and three threads give to the bit, and arguments that nobody wrote to."""
    copies = [None if x is None else x.copy() for x in arguments]
    results = []
    for threads in (1, 2, 3):
        native.set_num_threads(threads)
        results.append(kernel(*arguments))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    for x, copy in zip(arguments, copies, strict=True):
        assert x is None or x.tobytes() == copy.tobytes()
    return results[0]


sizes = st.one_of(st.integers(0, 9), st.integers(0, 130))
layouts = st.sampled_from(LAYOUTS)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=50, deadline=None)
@given(M=sizes, N=sizes, K=sizes, first=layouts, second=layouts, seed=st.integers(0, 99))
def test_matrices(dtype, M, N, K, first, second, seed):
    rng = np.random.default_rng(seed)
    a, b = stored(uniform(rng, (M, K), dtype), first), stored(uniform(rng, (K, N), dtype), second)
    assert_product(same_on_all_threads(gemm.matmul_forward, a, b), a, b)


LARGE = [  # M, N, K that take each way through gemm.h, and cut their blocks
    (300, 270, 600),
    (64, 515, 300),
    (3, 700, 1100),
    (700, 2, 1100),
    (700, 1, 300),
    (1, 700, 300),
    (7, 1030, 515),
    (40, 500, 1030),
    (130, 33, 2100),
    (17, 1100, 5),
]


@pytest.mark.parametrize("layout", ["CC", "CF", "FC", "FF"])
@pytest.mark.parametrize("M, N, K", LARGE)
def test_large_matrices(rng, M, N, K, layout):
    for dtype in DTYPES:
        a, b = stored(uniform(rng, (M, K), dtype), layout[0]), stored(uniform(rng, (K, N), dtype), layout[1])
        assert_product(same_on_all_threads(gemm.matmul_forward, a, b), a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(
    batch=st.lists(st.integers(0, 3), max_size=3),
    ones=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=3),
    left_out=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    shape=st.tuples(*[st.integers(0, 20)] * 3),
    layout=st.tuples(layouts, layouts),
    order=st.permutations(range(3)),
    seed=st.integers(0, 99),
)
def test_batches(dtype, batch, ones, left_out, shape, layout, order, seed):
    """Batch dimensions that are missing, of one element, or in another order in memory."""
    rng = np.random.default_rng(seed)
    M, N, K = shape
    sides = []
    for side, matrix in enumerate([(M, K), (K, N)]):
        dims = [1 if one[side] else size for size, one in zip(batch, ones, strict=False)][left_out[side] :]
        x = stored(uniform(rng, (*dims, *matrix), dtype), layout[side])
        axes = [axis for axis in order if axis < len(dims)]
        in_memory = x.transpose(*axes, len(dims), len(dims) + 1).copy()
        sides.append(in_memory.transpose(*np.argsort(axes).astype(int), len(dims), len(dims) + 1))
    out = same_on_all_threads(gemm.matmul_forward, *sides)
    assert_product(out, *sides)


def test_broadcast_views(rng):
    """Strides of 0, within the matrices too."""
    row, b = uniform(rng, 40, "float32"), uniform(rng, (5, 40, 33), "float32")
    a = np.broadcast_to(row, (5, 60, 40))
    assert_product(gemm.matmul_forward(a, b), a, b)
    column = np.broadcast_to(uniform(rng, (40, 1), "float32"), (40, 70))
    assert_product(gemm.matmul_forward(a, column), a, column)


def test_large_batch(rng):
    for a_shape, b_shape in [((37, 20, 64), (37, 64, 50)), ((64, 1, 64), (64, 64, 30)), ((9, 50, 64), (1, 64, 40))]:
        a, b = uniform(rng, a_shape, "float32"), uniform(rng, b_shape, "float32")
        assert_product(same_on_all_threads(gemm.matmul_forward, a, b), a, b)
        turned = np.swapaxes(np.swapaxes(b, -1, -2).copy(), -1, -2)
        assert_product(same_on_all_threads(gemm.matmul_forward, a, turned), a, turned)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=50, deadline=None)
@given(N=sizes, O=sizes, I=sizes, biased=st.booleans(), layout=st.tuples(layouts, layouts), seed=st.integers(0, 99))
def test_linear(dtype, N, O, I, biased, layout, seed):  # noqa: E741
    rng = np.random.default_rng(seed)
    x, weight = stored(uniform(rng, (N, I), dtype), layout[0]), stored(uniform(rng, (O, I), dtype), layout[1])
    bias = uniform(rng, O, dtype) if biased else None
    out = same_on_all_threads(gemm.linear_forward, x, weight, bias)
    assert_product(out, x, weight.T, 0.0 if bias is None else bias)


@pytest.mark.parametrize("shape", [(1,), (), (4,)], ids=str)
def test_linear_with_other_biases(rng, shape):
    """What broadcasts, and what is not contiguous."""
    x, weight = uniform(rng, (3, 5), "float32"), uniform(rng, (4, 5), "float32")
    bias = np.repeat(uniform(rng, shape, "float32"), 2)[::2] if shape == (4,) else uniform(rng, shape, "float32")
    assert_product(gemm.linear_forward(x, weight, bias), x, weight.T, bias)


@pytest.mark.parametrize("layout", ["CC", "CF", "FC", "FF"])
@pytest.mark.parametrize("M, N, K", [(5, 7, 9), (1, 40, 33), (40, 1, 33), (3, 300, 70), (70, 80, 300), (64, 300, 128)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(rng, dtype, M, N, K, layout):
    """0 * inf is NaN, and NaN and inf stay in their rows and columns: nothing is skipped, no padding gets in."""
    a, b = uniform(rng, (M, K), dtype), uniform(rng, (K, N), dtype)
    a[0, K // 2], b[K // 2, N // 2] = np.inf, 0
    b[K - 1, N - 1] = np.nan
    a[M - 1, 0] = -np.inf
    with np.errstate(all="ignore"):
        expected = a.astype(np.float64) @ b.astype(np.float64)
        out = gemm.matmul_forward(stored(a, layout[0]), stored(b, layout[1]))
    special = ~np.isfinite(expected)
    assert (np.isnan(expected[0, N // 2]) and not special.all()) or M == 1 or N == 1
    np.testing.assert_array_equal(np.isfinite(out), ~special)
    np.testing.assert_array_equal(out[special], expected[special])


@pytest.mark.parametrize(
    "a, b",
    [
        (np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)),
        (np.ones((2, 3), np.float16), np.ones((3, 4), np.float16)),
        (np.ones((2, 3), np.float32), np.ones((3, 4), np.float64)),
        (np.ones((2, 3), ">f4"), np.ones((3, 4), ">f4")),
        (np.ones(3, np.float32), np.ones((3, 4), np.float32)),
        (np.ones(3, np.float32), np.ones(3, np.float32)),
        (np.zeros(25, np.int8)[1:].view(np.float32).reshape(2, 3), np.ones((3, 4), np.float32)),
    ],
    ids=["int", "float16", "mixed", "swapped bytes", "vector and matrix", "vectors", "unaligned"],
)
def test_others_go_to_the_reference(a, b):
    out, expected = gemm.matmul_forward(a, b), reference.matmul_forward(a, b)
    assert out.dtype == expected.dtype
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("a, b", [((2, 3), (4, 5)), ((2, 2, 3), (3, 3, 4)), ((2, 3), (2, 3))], ids=str)
def test_sizes_that_do_not_fit(a, b):
    with pytest.raises(ValueError):
        gemm.matmul_forward(np.ones(a, np.float32), np.ones(b, np.float32))
    with pytest.raises(ValueError):
        gemm.linear_forward(np.ones((2, 3), np.float32), np.ones((4, 5), np.float32), None)
