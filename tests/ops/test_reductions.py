"""Reductions, extremes and norms: equal to PyTorch in values, dtypes, shapes and gradients, and differentiable twice."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from tinyrnn._tensor import Tensor
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.autograd.wengert import tape
from tinyrnn.creation import new
from tinyrnn.ops import norms, reductions

INF = math.inf


def leaf(array):
    tensor = new(np.array(array))
    tensor.tracked = tensor.array.dtype.kind == "f"
    return tensor


def flat(result):
    return list(result) if isinstance(result, tuple) else [result]


def check_parity(function, array, rtol=1e-12):
    """`function`, of methods that both libraries have, gives the same results and gradients in both."""
    torch = pytest.importorskip("torch")
    x, z = leaf(array), torch.tensor(array)
    z.requires_grad_(z.is_floating_point())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = flat(function(x)), flat(function(z))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert isinstance(a, Tensor)
        assert a.array.shape == tuple(b.shape)
        assert a.array.dtype == b.detach().numpy().dtype
        np.testing.assert_allclose(a.array, b.detach().numpy(), rtol=rtol, atol=rtol)
        assert (a.node is not None) == b.requires_grad
    if theirs[0].requires_grad:
        weights = np.random.default_rng(1).normal(size=ours[0].array.shape).astype(ours[0].array.dtype)
        ours[0].backward(new(weights))
        theirs[0].backward(torch.tensor(weights))
        assert x.grad.array.shape == x.array.shape and x.grad.array.dtype == x.array.dtype
        expected = np.zeros_like(array) if z.grad is None else z.grad.numpy()
        np.testing.assert_allclose(x.grad.array, expected, rtol=rtol, atol=rtol)


FORMS = {
    "sum": lambda x, **o: x.sum(**o),
    "mean": lambda x, **o: x.mean(**o),
    "var": lambda x, **o: x.var(**o),
    "var0": lambda x, **o: x.var(correction=0, **o),
    "std": lambda x, **o: x.std(**o),
    "stdb": lambda x, **o: x.std(unbiased=False, **o),
    "amax": lambda x, **o: x.amax(**o),
    "amin": lambda x, **o: x.amin(**o),
    "logsumexp": lambda x, **o: x.logsumexp(**{"dim": tuple(range(x.ndim)), **o}),
    "norm": lambda x, **o: x.norm(**o),
    "norm1": lambda x, **o: x.norm(1, **o),
    "norm0": lambda x, **o: x.norm(0, **o),
    "norm3": lambda x, **o: x.norm(3, **o),
    "norm1.5": lambda x, **o: x.norm(1.5, **o),
    "norm0.5": lambda x, **o: x.norm(0.5, **o),
    "norminf": lambda x, **o: x.norm(INF, **o),
    "norm-inf": lambda x, **o: x.norm(-INF, **o),
}
OPTIONS = [{}, {"dim": 0}, {"dim": -1, "keepdim": True}, {"dim": (0, -1)}, {"dim": (2, 0), "keepdim": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("shape", [(3, 2, 4), (1, 5, 1)])
def test_equals_pytorch(name, options, shape):
    check_parity(lambda x: FORMS[name](x, **options), np.random.default_rng(0).normal(size=shape))


LINES = {
    "max": lambda x, **o: x.max(**o),
    "min": lambda x, **o: x.min(**o),
    "prod": lambda x, **o: x.prod(**o),
    "argmax": lambda x, **o: x.argmax(**o),
    "argmin": lambda x, **o: x.argmin(**o),
    "all": lambda x, **o: x.all(**o),
    "any": lambda x, **o: x.any(**o),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "uint8"])
@pytest.mark.parametrize("options", [{}, {"dim": 0}, {"dim": -1, "keepdim": True}], ids=str)
@pytest.mark.parametrize("name", LINES)
def test_lines_equal_pytorch_with_ties_and_zeros(name, options, dtype):
    array = np.array([[2, 0, 3, 3], [2, 2, 1, 0], [0, 0, 5, 1]]).astype(dtype)
    check_parity(lambda x: LINES[name](x, **options), array, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32"])
def test_result_dtypes(dtype):
    array = np.array([[1, 0, 3], [0, 2, 1]]).astype(dtype)
    integral = array.dtype.kind in "biu"
    for function in (
        lambda x: x.sum(),
        lambda x: x.sum(1),
        lambda x: x.prod(0),
        lambda x: x.cumsum(1),
        lambda x: x.count_nonzero(),
        lambda x: x.count_nonzero((0, 1)),
        lambda x: x.count_nonzero(1),
        lambda x: x.any(1),
        lambda x: x.all(),
        lambda x: x.amax(1),
        lambda x: x.max(),
        lambda x: x.logsumexp(1),
        *(() if integral else (lambda x: x.mean(1), lambda x: x.var(0), lambda x: x.norm())),
    ):
        check_parity(function, array, rtol=2e-3 if dtype == "float16" else 1e-6)


def test_half_precision_is_summed_in_single_precision():
    assert leaf(np.ones(5000, np.float16)).sum().array == 5000


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.sum(),
        lambda x: x.sum(0),
        lambda x: x.mean(-1),
        lambda x: x.amax(),
        lambda x: x.max(0),
        lambda x: x.min(-1, keepdim=True),
        lambda x: x.argmax(0),
        lambda x: x.argmin(keepdim=True),
        lambda x: x.cumsum(0),
        lambda x: x.prod(),
        lambda x: x.prod(0),
        lambda x: x.logsumexp(0),
        lambda x: x.norm(),
        lambda x: x.var(correction=0),
        lambda x: x.any(0),
    ],
)
def test_0d(function):
    check_parity(function, np.array(1.5))


def test_no_elements():
    empty = np.zeros((2, 0, 3))
    for function in (
        lambda x: x.sum(),
        lambda x: x.sum(1),
        lambda x: x.sum(0),
        lambda x: x.mean(),
        lambda x: x.prod(1),
        lambda x: x.prod(),
        lambda x: x.cumsum(1),
        lambda x: x.logsumexp(1),
        lambda x: x.norm(dim=1),
        lambda x: x.amax(2),
        lambda x: x.max(0),
        lambda x: x.argmax(2),
        lambda x: x.all(),
        lambda x: x.any(1),
        lambda x: x.var(1),
    ):
        check_parity(function, empty)
    for function in (lambda x: x.amax(1), lambda x: x.max(1), lambda x: x.argmin(1), lambda x: x.argmax()):
        with pytest.raises(IndexError, match="Expected reduction dim"):
            function(leaf(empty))
    with pytest.raises(RuntimeError, match="Expected reduction dim"):
        leaf(empty).max()


@pytest.mark.parametrize("place", [(0, 1), (1, 0)])
@pytest.mark.parametrize("value", [math.nan, INF, -INF])
def test_nan_and_infinity(value, place):
    array = np.arange(6.0).reshape(2, 3)
    array[place] = value
    for function in (
        lambda x: x.sum(1),
        lambda x: x.max(1),
        lambda x: x.min(1),
        lambda x: x.max(),
        lambda x: x.argmax(),
        lambda x: x.logsumexp(1),
        lambda x: x.cumsum(0),
    ):
        check_parity(function, array)
    check_parity(lambda x: x.logsumexp(1), np.full((2, 3), value))


def test_degrees_of_freedom_run_out():
    for function in (lambda x: x.var(1), lambda x: x.std(1), lambda x: x.var(1, correction=2), lambda x: x.var(False)):
        check_parity(function, np.array([[3.0], [4.0]]))
    with pytest.warns(UserWarning, match="degrees of freedom"):
        leaf([[3.0]]).var()


def test_gradients_at_zero_are_zero():
    for function in (lambda x: x.norm(), lambda x: x.std(1), lambda x: x.norm(1), lambda x: x.norm(3, dim=0)):
        check_parity(function, np.zeros((2, 3)))


def test_full_extremes_share_the_gradient_and_lines_do_not():
    x = leaf([1.0, 2.0, 2.0])
    x.max().backward()
    assert x.grad.array.tolist() == [0, 0.5, 0.5]
    x.grad = None
    x.max(0).values.backward()
    assert x.grad.array.tolist() == [0, 1, 0]


def test_max_of_two_tensors_is_the_elementwise_maximum():
    a, b = leaf([1.0, 5.0]), leaf([3.0, 2.0])
    assert a.max(b).array.tolist() == [3, 5]
    assert a.min(other=b).array.tolist() == [1, 2]


def test_max_has_names():
    result = leaf([[1.0, 3.0]]).max(dim=1)
    assert result.values.array.tolist() == [3] and result.indices.array.tolist() == [1]
    assert result.indices.node is None


def test_numpy_names():
    x = leaf(np.ones((2, 3)))
    assert x.sum(axis=1).array.tolist() == [3, 3]
    assert x.sum(axis=(0, 1), keepdims=True).array.shape == (1, 1)


def test_dtype_argument():
    check_parity(lambda x: x.sum(dtype=_dtype(x, "float64")), np.ones((2, 3), np.float32))
    check_parity(lambda x: x.sum(dtype=_dtype(x, "int32")), np.array([1, 2]))
    check_parity(lambda x: x.mean(dtype=_dtype(x, "float32")), np.array([1, 2]))
    check_parity(lambda x: x.cumsum(0, dtype=_dtype(x, "float64")), np.array([1, 2]))
    check_parity(lambda x: x.prod(dtype=_dtype(x, "float64")), np.array([1.0, 2.0], np.float32))
    check_parity(lambda x: x.norm(dim=0, dtype=_dtype(x, "float64")), np.array([1.0, 2.0], np.float32))


def _dtype(x, name):
    if isinstance(x, Tensor):
        from tinyrnn import dtypes

        return getattr(dtypes, name)
    import torch

    return getattr(torch, name)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.sum(2), IndexError, r"expected to be in range of \[-2, 1\], but got 2"),
        (lambda x: x.amax((0, -2)), RuntimeError, "dim 0 appears multiple times"),
        (lambda x: x.long_().mean(), RuntimeError, "floating point, got tinyrnn.int64"),
        (lambda x: x.long_().std(), RuntimeError, "floating-point tensor, got tinyrnn.int64"),
        (lambda x: x.long_().norm(), RuntimeError, "floating-point tensor, got tinyrnn.int64"),
        (lambda x: x.var(0, unbiased=True, correction=0), TypeError, "not both"),
        (lambda x: x.norm("nuc"), TypeError, "'nuc' is not supported"),
        (lambda x: x.sum(1.5), TypeError, "integer"),
    ],
)
def test_errors(call, error, message):
    class Leaf(Tensor):
        def long_(self):
            return new(self.array.astype(np.int64))

    with pytest.raises(error, match=message):
        call(Leaf(np.ones((2, 3))))


# ---- derivatives ---------------------------------------------------------------------------------------------------

DIFFERENTIABLE = {
    **{name: FORMS[name] for name in FORMS if name != "norm0"},
    "max": LINES["max"],
    "min": LINES["min"],
    "prod": LINES["prod"],
    "cumsum": lambda x, dim=0, **o: x.cumsum(dim),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@settings(max_examples=6, deadline=None)
@given(shape=array_shapes(min_dims=1, max_dims=3, max_side=3), data=st.data())
def test_derivatives(name, shape, data):
    dim = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    keepdim = data.draw(st.booleans())
    size = math.prod(shape)
    if name in ("var", "std", "stdb") and (size if dim is None else shape[dim]) < 2:
        return
    # distinct magnitudes, so that no finite difference steps over a tie
    values = np.random.default_rng(size).permutation(size) * 0.3 + 0.4
    x = leaf((values * np.where(np.arange(size) % 2, -1, 1)).reshape(shape))
    options = {} if dim is None else {"dim": dim, "keepdim": keepdim}

    def function(x):
        return flat(DIFFERENTIABLE[name](x, **options))[0]

    assert gradcheck(function, (x,))
    assert gradgradcheck(function, (x,))


@pytest.mark.parametrize("zeros", [[], [1], [0, 3], [0, 1, 2]])
def test_prod_is_differentiable_through_zeros(zeros):
    values = np.array([2.0, -1.0, 3.0, 0.5])
    values[zeros] = 0
    assert gradcheck(lambda x: x.prod(), (leaf(values),))
    assert gradgradcheck(lambda x: x.prod(), (leaf(values),))
    x = leaf(values)
    (x.prod()).backward()
    assert x.grad.array.tolist() == [math.prod(np.delete(values, i)) for i in range(4)]


def test_plain_arrays_stay_plain():
    x = np.ones((2, 3))
    assert type(reductions.sum(x)) is np.ndarray and type(norms.norm(x)) is np.ndarray
    assert reductions.sum(x, 0).tolist() == [2, 2, 2]


def test_names_on_the_tape():
    assert [node.name for node in tape(leaf([1.0, 2.0]).cumsum(0).mean())] == ["cumsum", "mean"]


NUMPY_NAMES = ("sum", "mean", "var", "std", "prod", "all", "any", "amax", "amin", "max", "min", "argmax", "argmin", "logsumexp")


@pytest.mark.parametrize("name", NUMPY_NAMES)
def test_numpys_names_of_the_arguments(name):
    torch = pytest.importorskip("torch")
    values = np.arange(6.0).reshape(2, 3)
    ours = getattr(new(values), name)(axis=1, keepdims=True)
    theirs = getattr(torch.tensor(values), name)(axis=1, keepdims=True)
    if isinstance(ours, tuple):
        ours, theirs = ours.values, theirs.values
    np.testing.assert_allclose(ours.array, theirs.numpy())
    with pytest.raises(TypeError, match="which mean the same"):
        getattr(new(values), name)(dim=1, axis=1)


@pytest.mark.parametrize("name", ["cumsum", "softmax", "log_softmax", "argsort", "count_nonzero"])
def test_numpys_name_of_the_dimension(name):
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(getattr(new(values), name)(axis=0).array, getattr(new(values), name)(0).array)


@pytest.mark.parametrize("name", ["all", "any"])
def test_truth_along_no_dimension_is_that_of_each_element(name):
    torch = pytest.importorskip("torch")
    values = np.array([[0.0, 2.0], [1.0, 0.0]])
    for dim in ((), 0, (0, 1), None):
        expected = getattr(torch.tensor(values), name)(dim=dim)
        assert getattr(new(values), name)(dim=dim).tolist() == expected.tolist()
