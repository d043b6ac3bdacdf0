"""Elementwise ops: equal to PyTorch in value, dtype and gradient, and their derivatives confirmed by finite differences."""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn
from tinyrnn._tensor import Tensor
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.creation import new
from tinyrnn.kernels import reference
from tinyrnn.ops import arithmetic, division, elementary, powers, selection, ternary

DTYPES = ("bool", "uint8", "int32", "int64", "float16", "float32", "float64")

# op, its name in torch, the numbers it is tried on
UNARY = [
    (arithmetic.neg, "neg", (-3, 3)),
    (powers.reciprocal, "reciprocal", (0.5, 3)),
    (powers.square, "square", (-3, 3)),
    (powers.sqrt, "sqrt", (0.5, 9)),
    (powers.rsqrt, "rsqrt", (0.5, 9)),
    (elementary.abs, "abs", (-3, 3)),
    (elementary.sign, "sign", (-3, 3)),
    (elementary.exp, "exp", (-3, 3)),
    (elementary.expm1, "expm1", (-1, 1)),
    (elementary.log, "log", (0.5, 9)),
    (elementary.log2, "log2", (0.5, 9)),
    (elementary.log10, "log10", (0.5, 9)),
    (elementary.log1p, "log1p", (-0.5, 3)),
    (elementary.sin, "sin", (-4, 4)),
    (elementary.cos, "cos", (-4, 4)),
    (elementary.erf, "erf", (-3, 3)),
    (elementary.floor, "floor", (-3, 3)),
    (elementary.ceil, "ceil", (-3, 3)),
    (elementary.trunc, "trunc", (-3, 3)),
    (elementary.round, "round", (-3, 3)),
]
BINARY = [
    (arithmetic.add, "add"),
    (arithmetic.sub, "sub"),
    (arithmetic.mul, "mul"),
    (arithmetic.div, "div"),
    (division.floor_divide, "floor_divide"),
    (division.remainder, "remainder"),
    (powers.pow, "pow"),
    (selection.maximum, "maximum"),
    (selection.minimum, "minimum"),
]
unary = pytest.mark.parametrize("op, name, domain", UNARY, ids=[row[1] for row in UNARY])
binary = pytest.mark.parametrize("op, name", BINARY, ids=[row[1] for row in BINARY])
few = settings(max_examples=12, deadline=None)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def draw(rng, shape, low=-3.0, high=3.0, dtype="float64"):
    """Random numbers; in whole steps for integers."""
    if np.dtype(dtype).kind == "u":
        low = max(low, 0)
    return np.asarray(rng.uniform(low, high, shape)).astype(dtype)


def leaf(values):
    return new(np.asarray(values, dtype=np.float64), requires_grad=True)


def assert_same(ours, theirs):
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype).removeprefix("tinyrnn.") == str(theirs.dtype).removeprefix("torch.")
    half = "float16" in str(ours.dtype)
    single = "float32" in str(ours.dtype)
    tolerance = 4e-3 if half else 2e-6 if single else 1e-12
    np.testing.assert_allclose(ours.array, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def assert_agree(torch, ours, theirs, *values, **arguments):
    """Both functions give the same tensor for `values` (arrays become tensors), or both refuse."""
    mine = [new(value) if isinstance(value, np.ndarray) else value for value in values]
    try:
        expected = theirs(*[torch.from_numpy(v) if isinstance(v, np.ndarray) else v for v in values], **arguments)
    except (RuntimeError, TypeError):
        with pytest.raises((RuntimeError, TypeError)):
            ours(*mine, **arguments)
    else:
        assert_same(ours(*mine, **arguments), expected)


def gradients(fn, *values):
    """Result and gradients of ``fn(*values).sum()``."""
    leaves = [leaf(value) for value in values]
    out = fn(*leaves)
    out.sum().backward()
    return [out.array.tolist(), *[None if x.grad is None else x.grad.array.tolist() for x in leaves]]


@st.composite
def shape_pairs(draw):
    """Two shapes that broadcast together, empty and 0-d ones among them."""
    full = draw(st.lists(st.integers(0, 3), max_size=3))
    return tuple(
        tuple(1 if draw(st.booleans()) else size for size in full[draw(st.integers(0, len(full))) :]) for _ in range(2)
    )


# ---- parity with PyTorch -------------------------------------------------------------------------------------------


@unary
@pytest.mark.parametrize("dtype", DTYPES)
def test_unary_equals_pytorch(torch, rng, op, name, domain, dtype):
    for shape in ((), (2, 3), (0, 2)):
        x = draw(rng, shape, *domain, dtype=dtype)
        assert_agree(torch, op, getattr(torch, name), x)


@binary
@pytest.mark.parametrize("first", DTYPES)
@pytest.mark.parametrize("second", DTYPES)
def test_binary_equals_pytorch(torch, rng, op, name, first, second):
    for shape, other_shape in (((2, 3), (3,)), ((), (2,)), ((2, 1), ()), ((), ()), ((0, 2), (2,))):
        x, y = draw(rng, shape, 1, 4, first), draw(rng, other_shape, 1, 4, second)
        assert_agree(torch, op, getattr(torch, name), x, y)


OPERATORS = [getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")]


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
@pytest.mark.parametrize("number", [2, 3.5, -2, 0, True, 0.0], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_on_either_side(torch, rng, op, number, dtype):
    if dtype == "uint8" and number == -2 and op is not operator.truediv:
        pytest.skip("PyTorch wraps or refuses, depending on the op")
    for shape in ((2, 3), ()):
        x = draw(rng, shape, -3, 4, dtype=dtype)
        assert_agree(torch, op, op, x, number)
        assert_agree(torch, op, op, number, x)


@pytest.mark.parametrize("number", [1000, -1000, 300, -3, 2**40, -(2**40)])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16"])
def test_true_division_by_numbers_that_do_not_fit_the_dtype(torch, number, dtype):
    for x in (np.array([1, 0, 100]).astype(dtype), np.array(100).astype(dtype)):
        if dtype != "float16":
            assert_agree(torch, operator.truediv, operator.truediv, x, number)
            assert_agree(torch, operator.truediv, operator.truediv, number, x)
        assert_agree(torch, operator.truediv, operator.truediv, x, np.array(number))
        assert_agree(torch, operator.truediv, operator.truediv, np.array(number), x)
        assert_same(new(x.reshape(-1)) / np.int64(number), torch.from_numpy(x.reshape(-1)) / number)


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_numpy_scalars_and_arrays_on_either_side(op):
    x = new(np.array([1.0, 2.0], np.float32))
    for scalar in (np.float32(2), np.float64(2), np.int64(2)):
        for got, expected in ((op(x, scalar), op(x, 2.0)), (op(scalar, x), op(2.0, x))):
            assert isinstance(got, Tensor)
            assert got.array.dtype == np.float32
            np.testing.assert_array_equal(got.array, expected.array)
    array = np.array([3.0, 4.0])
    for got, expected in ((op(x, array), op(x.array, array)), (op(array, x), op(array, x.array))):
        assert isinstance(got, Tensor)
        assert got.array.dtype == np.float64
        np.testing.assert_allclose(got.array, expected)


@pytest.mark.parametrize("mode", [None, "trunc", "floor"])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
def test_rounded_division(torch, mode, dtype):
    x, y = np.array([7, 7, 6, 0, 5, 200], dtype), np.array([2, 3, 3, 4, 5, 7], dtype)
    signs = np.array([1, -1, -1, 1, -1, 1]) if dtype != "uint8" else np.ones(6)
    for a, b in ((x, y), (x * signs, y), (x, y * signs), (x * signs, y * signs)):
        a, b = a.astype(dtype), b.astype(dtype)
        ours = division.div(new(a), new(b), rounding_mode=mode)
        assert_same(ours, torch.div(torch.from_numpy(a), torch.from_numpy(b), rounding_mode=mode))


def test_division_by_zero(torch):
    x = np.array([1.0, -1.0, 0.0, np.nan, np.inf])
    for op in (operator.truediv, operator.floordiv, operator.mod):
        assert_same(op(new(x), 0.0), op(torch.from_numpy(x), 0.0))
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            op(new(x), 0.0)  # nor does it warn
    for op in (operator.floordiv, operator.mod):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            op(new(np.array([1])), 0)


@pytest.mark.parametrize("exponent", [-3, -1, 0, 1, 2, 3, 0.5, -0.5, 2.5])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32", "float64"])
def test_powers(torch, exponent, dtype):
    x = np.array([0, 1, 2, 5], dtype) if dtype == "uint8" else np.array([-2, -1, 0, 1, 2, 5], dtype)
    assert_agree(torch, operator.pow, operator.pow, x, exponent)
    assert_agree(torch, operator.pow, operator.pow, x, np.full(x.shape, exponent))


@pytest.mark.parametrize("bounds", [(1, 3), (1, None), (None, 2), (3, 1), (0.5, 2.5), (np.nan, 2.0), (None, None)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_clamp(torch, bounds, dtype):
    x = np.array([0, 1, 2, 3, 4]).astype(dtype)
    low, high = bounds
    assert_agree(torch, selection.clamp, torch.clamp, x, low, high)
    if None not in bounds:
        assert_agree(torch, selection.clamp, torch.clamp, x, np.full((2, 1), low, float), np.full(5, high, float))


def test_clamp_bound_out_of_range():
    with pytest.raises(RuntimeError, match=r"-5 .*uint8"):
        selection.clamp(new(np.array([1], np.uint8)), min=-5)


@pytest.mark.parametrize("first", [*DTYPES, 2, 2.5])
@pytest.mark.parametrize("second", [*DTYPES, 2, 2.5])
def test_where(torch, rng, first, second):
    condition = rng.uniform(size=(2, 3)) < 0.5
    x, y = (draw(rng, 3, 0, 4, each) if isinstance(each, str) else each for each in (first, second))
    ours = [new(each) if isinstance(each, np.ndarray) else each for each in (x, y)]
    theirs = [torch.from_numpy(each) if isinstance(each, np.ndarray) else each for each in (x, y)]
    assert_same(selection.where(new(condition), *ours), torch.where(torch.from_numpy(condition), *theirs))


def test_where_wants_a_bool_condition():
    with pytest.raises(RuntimeError, match="boolean"):
        selection.where(new(np.array([1])), 1.0, 2.0)


@pytest.mark.parametrize("name", ["add", "sub", "rsub"])
@pytest.mark.parametrize("first, second", [("float32", "float32"), ("int64", "int64"), ("int64", "float32"), ("bool", "bool")])
@pytest.mark.parametrize("alpha", [2, 0.5, -1])
def test_alpha(torch, rng, name, first, second, alpha):
    x, y = draw(rng, (2, 3), 0, 4, first), draw(rng, 3, 0, 4, second)
    ours, theirs = getattr(arithmetic, name), getattr(torch, name)
    if first == "bool" and alpha == 0.5:
        alpha = True
    assert_agree(torch, ours, theirs, x, y, alpha=alpha)
    if first != "bool":
        assert_agree(torch, ours, theirs, x, 3, alpha=alpha)


def test_lerp_reaches_its_ends_where_one_is_repeated(torch):
    ends = [[1e8]], [[1.0], [-3.0]]
    for start, end in (ends, ends[::-1]):
        for weight in (0, 1):
            ours = ternary.lerp(tinyrnn.tensor(start), tinyrnn.tensor(end), weight)
            assert ours.tolist() == torch.lerp(torch.tensor(start), torch.tensor(end), float(weight)).tolist()


def test_lerp_addcmul_addcdiv(torch, rng):
    x, y, z = (draw(rng, shape, 1, 3) for shape in ((2, 3), (3,), (2, 1)))
    ours, theirs = [new(each) for each in (x, y, z)], [torch.from_numpy(each) for each in (x, y, z)]
    assert_same(ternary.lerp(*ours), torch.lerp(*theirs))
    assert_same(ternary.lerp(*ours[:2], 0.7), torch.lerp(*theirs[:2], 0.7))
    assert_same(ternary.addcmul(*ours, value=0.5), torch.addcmul(*theirs, value=0.5))
    assert_same(ternary.addcdiv(*ours, value=-2), torch.addcdiv(*theirs, value=-2))
    with pytest.raises(RuntimeError, match="expected end of float64, got float32"):
        ternary.lerp(ours[0], new(y.astype(np.float32)), 0.5)


def test_round_to_decimals(torch):
    x = np.array([2.345, -0.05, 0.5, 1.5, 15.0])
    for decimals in (0, 2, -1):
        assert_same(elementary.round(new(x), decimals=decimals), torch.round(torch.from_numpy(x), decimals=decimals))


def test_keyword_names(torch):
    x, y = new(np.array([1.0])), new(np.array([2.0]))
    a, b = torch.from_numpy(x.array), torch.from_numpy(y.array)
    for op, name in BINARY:
        if name != "pow":
            assert_same(op(input=x, other=y), getattr(torch, name)(input=a, other=b))
    assert powers.pow(input=x, exponent=y).array.tolist() == [1.0]


def test_method_names(torch):
    """Every method of Tensor with PyTorch's name gives what PyTorch's gives."""
    x, y = np.array([[0.5, 2.0], [1.5, 0.5]]), np.array([1.5, 0.5])
    ours, theirs = new(x), torch.from_numpy(x)
    for name in [row[1] for row in UNARY] + ["negative", "absolute", "sigmoid", "tanh", "relu", "isnan", "logical_not"]:
        assert_same(getattr(ours, name)(), getattr(theirs, name)())
    more = ["subtract", "multiply", "divide", "true_divide", "eq", "less", "greater_equal", "logical_or", "mv"]
    for name in [row[1] for row in BINARY] + more:
        assert_same(getattr(ours, name)(new(y)), getattr(theirs, name)(torch.from_numpy(y)))
    assert_same(ours.clip(1, 1.7), theirs.clip(1, 1.7))
    assert_same(ours.clamp_min(1), theirs.clamp_min(1))
    assert_same(ours.clamp_max(1), theirs.clamp_max(1))
    assert_same(ours.where(ours > 1, 0.0), theirs.where(theirs > 1, 0.0))
    assert_same(abs(-ours), abs(-theirs))


# ---- gradients -----------------------------------------------------------------------------------------------------


@unary
@few
@given(shape=st.lists(st.integers(0, 3), max_size=3).map(tuple), seed=st.integers(0, 99))
def test_unary_derivatives(op, name, domain, shape, seed):
    values = draw(np.random.default_rng(seed), shape, *domain)
    values += 0.05 * (np.abs(values * 2 - np.round(values * 2)) < 0.02)  # away from kinks and jumps
    assert gradcheck(op, (leaf(values),))
    assert gradgradcheck(op, (leaf(values),))


@binary
@few
@given(shapes=shape_pairs(), seed=st.integers(0, 99))
def test_binary_derivatives(op, name, shapes, seed):
    rng = np.random.default_rng(seed)
    # x of either sign around y of 1 to 2, so that no quotient is whole and no pair equal
    x, y = draw(rng, shapes[0], 0.1, 0.9), draw(rng, shapes[1], 1.1, 1.9)
    if name != "pow":
        x = np.where(rng.uniform(size=shapes[0]) < 0.5, x, -x)
    assert gradcheck(op, (leaf(x), leaf(y)))
    assert gradgradcheck(op, (leaf(x), leaf(y)))
    assert gradcheck(lambda a: op(a, 1.5), (leaf(x),))
    assert gradcheck(lambda b: op(0.5, b) if name not in ("maximum", "minimum") else op(b, 0.5), (leaf(y),))


@few
@given(shapes=shape_pairs(), seed=st.integers(0, 99))
def test_selection_derivatives(shapes, seed):
    rng = np.random.default_rng(seed)
    x, y = draw(rng, shapes[0]), draw(rng, shapes[1])
    condition = rng.uniform(size=np.broadcast_shapes(*shapes)) < 0.5
    low, high = draw(rng, shapes[1], -2, -1), draw(rng, shapes[0], 1, 2)
    cases = [
        (lambda a, b: selection.where(new(condition), a, b), (x, y)),
        (lambda a: selection.where(new(condition), a, 1.0), (x,)),
        (lambda a: selection.clamp(a, -1, 1.5), (x,)),
        (selection.clamp, (x, low, high)),
        (ternary.lerp, (x, y, y * 0.5)),
        (lambda a, b: arithmetic.sub(a, b, alpha=3), (x, y)),
    ]
    for fn, values in cases:
        inputs = tuple(leaf(value) for value in values)
        assert gradcheck(fn, inputs)
        assert gradgradcheck(fn, inputs)


EDGES = {
    "abs": (lambda m, x: m.abs(x), [[0.0, -1.0]]),
    "sqrt": (lambda m, x: m.sqrt(x), [[0.0, 4.0]]),
    "rsqrt": (lambda m, x: m.rsqrt(x), [[0.0]]),
    "log": (lambda m, x: m.log(x), [[0.0]]),
    "reciprocal": (lambda m, x: m.reciprocal(x), [[0.0]]),
    "clamp": (lambda m, x: m.clamp(x, 0, 1), [[0.0, 1.0, 2.0, -1.0, np.nan]]),
    "clamp to tensors": (
        lambda m, *x: m.clamp(*x),
        [[0.0, 1.0, 2.0, -1.0, 0.5, 3.0], [0.0] * 6, [1.0, 1.0, 1.0, 1.0, -1.0, -1.0]],
    ),
    "pow": (lambda m, *x: m.pow(*x), [[0.0, 0.0, 0.0, 2.0, 0.0], [0.0, 2.0, 1.0, 3.0, -1.0]]),
    "pow of a negative": (lambda m, *x: m.pow(*x), [[-2.0], [2.0]]),
    "pow 0": (lambda m, x: x**0, [[0.0, 1.0]]),
    "pow 0.5": (lambda m, x: x**0.5, [[0.0, 4.0]]),
    "0 to the power": (lambda m, x: 0**x, [[0.0, 1.0, -1.0]]),
    "2 to the power": (lambda m, x: 2**x, [[0.0, 1.0, -1.0]]),
    "maximum": (lambda m, *x: m.maximum(*x), [[1.0, 2.0, 0.0, np.nan], [1.0, 1.0, 3.0, 0.0]]),
    "minimum": (lambda m, *x: m.minimum(*x), [[1.0, 2.0, 0.0, np.nan], [1.0, 1.0, 3.0, 0.0]]),
    "remainder": (lambda m, *x: m.remainder(*x), [[5.0, -5.0], [3.0, -3.0]]),
    "div": (lambda m, *x: m.div(*x), [[5.0, 0.0], [0.0, 0.0]]),
    "div floor": (lambda m, *x: m.div(*x, rounding_mode="floor"), [[5.0], [3.0]]),
    "floor": (lambda m, x: m.floor(x), [[1.5]]),
    "sign": (lambda m, x: m.sign(x), [[0.0]]),
}


class Functions:
    """Our functions under one roof, as in torch."""

    def __getattr__(self, name):
        return next(getattr(m, name) for m in (division, arithmetic, powers, elementary, selection) if hasattr(m, name))


@pytest.mark.parametrize("name", EDGES)
def test_gradients_at_the_edge(torch, name):
    fn, values = EDGES[name]
    leaves = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]
    out = fn(torch, *leaves)
    out.sum().backward()
    expected = [out.tolist(), *[x.grad.tolist() for x in leaves]]
    for got, wanted in zip(gradients(lambda *x: fn(Functions(), *x), *values), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-14)


def test_second_gradient_of_a_kink_is_zero_not_missing():
    x = leaf([1.0, -2.0])
    for op in (elementary.abs, lambda a: selection.clamp(a, -1, 3), elementary.floor, lambda a: selection.maximum(a, 0.0)):
        x.grad = None
        op(x).sum().backward(create_graph=True)
        first, x.grad = x.grad, None
        if first.requires_grad:
            first.sum().backward()
            assert x.grad.array.tolist() == [0.0, 0.0]


def test_gradients_of_0d_tensors_are_arrays():
    for dtype in (np.float16, np.float32, np.float64):
        x = new(np.array(0.5, dtype), requires_grad=True)
        for op, _, _ in UNARY:
            x.grad = None
            (op(op(x) + 1) * 2).backward(create_graph=True)
            assert isinstance(x.grad.array, np.ndarray)
            assert x.grad.array.dtype == dtype


def test_an_operand_nobody_needs_is_not_kept():
    """The gradient of x * constant does not need x, so that x may be written over."""
    x = leaf([1.0, 2.0])
    y = x * 1
    z = y * new(np.array([3.0, 4.0]))
    y += 1
    z.sum().backward()
    assert x.grad.array.tolist() == [3.0, 4.0]


# ---- kernels -------------------------------------------------------------------------------------------------------


@given(st.floats(-7, 7))
@settings(max_examples=200, deadline=None)
def test_erf_is_accurate(x):
    assert abs(float(reference.erf_forward(np.array(x))) - math.erf(x)) <= 1e-15


def test_erf_at_the_ends():
    ends = reference.erf_forward(np.array([np.inf, -np.inf, -0.0, np.nan, 1e-300]))
    np.testing.assert_array_equal(ends[[0, 1, 2, 3]], [1, -1, 0, np.nan])
    assert np.signbit(ends[2]) and ends[4] > 0


# ---- errors --------------------------------------------------------------------------------------------------------


def test_errors_name_what_to_do():
    flags, counts = new(np.array([True])), new(np.array([2]))
    for call, error, message in (
        (lambda: -flags, RuntimeError, "`~`"),
        (lambda: 1 - flags, RuntimeError, "logical_not"),
        (lambda: counts**-1, RuntimeError, "negative integer powers"),
        (lambda: division.div(counts, 2, rounding_mode="up"), RuntimeError, "rounding_mode.*'up'"),
        (lambda: arithmetic.add(counts, counts, alpha=0.5), RuntimeError, "alpha"),
        (lambda: elementary.exp(2.0), TypeError, "float"),
        (lambda: counts + "2", TypeError, "str"),
        (lambda: selection.clamp(counts), RuntimeError, "'min' or 'max'"),
        (lambda: new(np.ones(2)) + new(np.ones(3)), RuntimeError, r"\(2,\) and \(3,\)"),
    ):
        with pytest.raises(error, match=message):
            call()


def test_sign_of_nan_is_zero(torch):
    assert_agree(torch, elementary.sign, torch.sign, np.array([np.nan, -np.inf, np.inf, -0.0, 0.5]))


def test_bools_are_not_subtracted_from_floats(torch):
    for ours in (lambda x: x - True, lambda x: True - x, lambda x: x - np.True_, lambda x: x.sub_(False)):
        with pytest.raises(RuntimeError, match="with a bool tensor is not supported"):
            ours(new(np.ones(2)))


@pytest.mark.parametrize("recorded", [False, True])
def test_a_broadcast_operand_that_is_written_to_is_noticed(recorded):
    x = tinyrnn.ones(4, 3, requires_grad=True)
    row = tinyrnn.ones(3, requires_grad=recorded) * 1
    y = x * row
    row.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation: mul .* written to since"):
        y.sum().backward()


@pytest.mark.parametrize("name", ["add", "sub"])
def test_a_multiple_by_a_number_of_numpy_keeps_the_dtype(name):
    for x in (tinyrnn.ones(3, 2).t(), tinyrnn.ones(2, dtype=tinyrnn.float16), tinyrnn.ones(2)):
        y = x.clone().requires_grad_()
        result = getattr(x, name)(y, alpha=np.float64(0.5))
        assert result.dtype is x.dtype
        result.sum().backward()
        assert y.grad.dtype is x.dtype and y.grad.flatten()[0].item() == (0.5 if name == "add" else -0.5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("number", [0.9, 3, -7.3, 1e-7, 65536.0, 100_001])
def test_numbers_beside_16_bits_equal_pytorch(torch, number, dtype):
    """Factors and divisors may be too large or small for 16 bits and are not rounded; what is added is."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    spread = np.random.default_rng(0).normal(size=200) * 10 ** np.linspace(-4, 4, 200)

    def results(lib):
        x = lib.tensor([0.0, *spread.tolist()]).to(getattr(lib, dtype))
        results = [x * number, number * x, x / number, x + number, number + x, x - number, number - x]
        return results + [getattr(x.clone(), name)(number) for name in ("mul_", "div_", "add_", "sub_")]

    for result, expected in zip(results(tinyrnn), results(torch), strict=True):
        assert result.dtype.name == dtype
        np.testing.assert_array_equal(result.float().numpy(), expected.float().numpy())


def test_choosing_between_arrays_by_a_tensor_gives_a_tensor():
    chosen = selection.where(new(np.array([True, False])), np.ones(2), np.zeros(2))
    assert isinstance(chosen, tinyrnn.Tensor) and chosen.tolist() == [1, 0]


@pytest.mark.parametrize("bound", ["1", [0.5], 1j])
def test_bounds_are_tensors_or_numbers(bound):
    for clamp in (selection.clamp, tinyrnn.Tensor.clamp_):
        with pytest.raises(TypeError, match=f"expected a tensor or a number, got {type(bound).__name__}"):
            clamp(tinyrnn.ones(1), bound)
