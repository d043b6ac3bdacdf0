"""Activation functions: equal to PyTorch, their derivatives confirmed, right at the ends of the number range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.creation import new
from tinyrnn.kernels import reference
from tinyrnn.ops import activations, rectifiers

# name, arguments after the input
ACTIVATIONS = [
    ("tanh", {}),
    ("sigmoid", {}),
    ("relu", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {}),
    ("elu", {"alpha": 2.0}),
    ("hardtanh", {}),
    ("hardtanh", {"min_val": -0.3, "max_val": 2.0}),
    ("softplus", {}),
    ("softplus", {"beta": 3.0, "threshold": 4.0}),
    ("logsigmoid", {}),
    ("silu", {}),
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
]
each = pytest.mark.parametrize("name, arguments", ACTIVATIONS, ids=[f"{n}{a or ''}" for n, a in ACTIVATIONS])
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, -0.3, 30.0, -30.0, 1000.0, -1000.0, np.inf, -np.inf, np.nan]


def torch_function(torch, name, arguments):
    function = getattr(torch.nn.functional, name)
    return lambda x: function(x, **arguments)


def our_function(name, arguments):
    function = getattr(activations, name, None) or getattr(rectifiers, name)
    return lambda x: function(x, **arguments)


@each
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
def test_equals_pytorch(rng, name, arguments, dtype):
    torch = pytest.importorskip("torch")
    for shape in ((), (2, 3), (0, 2), (40,)):
        x = np.asarray(rng.uniform(0 if dtype == "uint8" else -4, 4, shape)).astype(dtype)
        try:
            expected = torch_function(torch, name, arguments)(torch.from_numpy(x))
        except RuntimeError:
            with pytest.raises(RuntimeError):
                our_function(name, arguments)(new(x))
            continue
        got = our_function(name, arguments)(new(x))
        assert str(got.dtype).removeprefix("tinyrnn.") == str(expected.dtype).removeprefix("torch.")
        assert tuple(got.shape) == tuple(expected.shape)
        tolerance = {np.dtype(np.float16): 4e-3, np.dtype(np.float32): 2e-6}.get(got.array.dtype, 1e-13)
        np.testing.assert_allclose(got.array, expected.numpy(), rtol=tolerance, atol=tolerance)


@each
def test_special_numbers_and_their_gradients_equal_pytorch(name, arguments):
    torch = pytest.importorskip("torch")
    theirs = torch.tensor(SPECIAL, dtype=torch.float64, requires_grad=True)
    expected = torch_function(torch, name, arguments)(theirs)
    expected.sum().backward()
    ours = new(np.array(SPECIAL), requires_grad=True)
    with np.errstate(divide="raise", over="raise", invalid="raise"):  # nothing warns
        got = our_function(name, arguments)(ours)
        got.backward(new(np.ones(len(SPECIAL))))
    vanishing = 1e-190 if name == "gelu" else 1e-300  # of which PyTorch's GELU, 1 + erf, has no digits
    # PyTorch's own results at +-inf are sometimes NaN by inf * 0; ours may not be worse
    known = ~np.isnan(expected.detach().numpy()) | np.isnan(SPECIAL)
    np.testing.assert_allclose(got.array[known], expected.detach().numpy()[known], rtol=1e-13, atol=vanishing)
    finite = np.isfinite(SPECIAL) | np.isnan(SPECIAL)
    np.testing.assert_allclose(ours.grad.array[finite], theirs.grad.numpy()[finite], rtol=1e-13, atol=vanishing)


@each
@settings(max_examples=15, deadline=None)
@given(shape=st.lists(st.integers(0, 4), max_size=3).map(tuple), seed=st.integers(0, 99))
def test_derivatives(name, arguments, shape, seed):
    x = np.asarray(np.random.default_rng(seed).uniform(-2, 2, shape))
    kinks = np.array([0.0, -1.0, 1.0, -0.3, 4 / 3])
    x = np.asarray(x + 0.05 * (np.abs(x[..., None] - kinks).min(-1) < 0.02))
    x = new(x, requires_grad=True)
    assert gradcheck(our_function(name, arguments), (x,))
    assert gradgradcheck(our_function(name, arguments), (x,))


@each
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (70,), (5, 300)], ids=str)
def test_recorded_backward_equals_the_kernel(rng, name, arguments, dtype, shape):
    """The formula that create_graph composes and the fused kernel are one function, for every size that picks its own code."""
    numbers = np.asarray(rng.uniform(-3, 3, shape)).astype(dtype)
    found = []
    for create_graph in (False, True):
        x = new(numbers, requires_grad=True)
        our_function(name, arguments)(x).sum().backward(create_graph=create_graph)
        assert x.grad.array.dtype == numbers.dtype
        assert isinstance(x.grad.array, np.ndarray)
        found.append(x.grad.array)
    tolerance = {"float16": 8e-3, "float32": 2e-6, "float64": 1e-14}[dtype]
    np.testing.assert_allclose(*found, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("create_graph", [False, True])
def test_gelu_by_tanh_keeps_its_digits_far_below_zero(create_graph):
    numbers, found = np.linspace(-8, -2, 1000).astype(np.float32), []
    for dtype in (np.float32, np.float64):
        x = new(numbers.astype(dtype), requires_grad=True)
        y = rectifiers.gelu(x, approximate="tanh")
        y.sum().backward(create_graph=create_graph)
        found.append((y.array, x.grad.array))
    for y, expected in zip(*found, strict=True):  # what is left is the rounding of exp's argument, times the argument
        np.testing.assert_allclose(y, expected, rtol=2e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 7, 32, 33, 1024, 1500])
def test_compiled_kernels_equal_the_reference(rng, dtype, size):
    elementwise = pytest.importorskip("tinyrnn.kernels.cpu.elementwise")
    activations = pytest.importorskip("tinyrnn.kernels.cpu.activations")
    a, b = rng.uniform(-4, 4, (2, size)).astype(dtype)
    tolerance = 4 * np.finfo(dtype).eps
    for name in ("add", "sub", "mul", "div"):
        ours, theirs = (getattr(module, f"{name}_forward")(a, b) for module in (elementwise, reference))
        np.testing.assert_array_equal(ours, theirs)
    for name in ("tanh", "sigmoid"):
        y = getattr(reference, f"{name}_forward")(a)
        np.testing.assert_allclose(getattr(activations, f"{name}_forward")(a), y, rtol=tolerance)
        ours, theirs = (getattr(module, f"{name}_backward")(b, y) for module in (activations, reference))
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_errors():
    x = new(np.ones(2))
    with pytest.raises(RuntimeError, match="'none' or 'tanh'"):
        rectifiers.gelu(x, approximate="erf")
    with pytest.raises(ValueError, match="swap them"):
        rectifiers.hardtanh(x, 1.0, -1.0)
    with pytest.raises(NotImplementedError, match=r"gelu.*int64.*float\(\)"):
        rectifiers.gelu(new(np.ones(2, np.int64)))
    with pytest.raises(TypeError, match=r"softplus.*float"):
        rectifiers.softplus(1.0)


def test_second_derivative_of_elu_where_it_bends():
    torch = pytest.importorskip("torch")
    values = [0.0, -0.0, 1.0, -1.0, float("nan")]

    def derivatives(library, x):
        elu = rectifiers.elu if library is not torch else torch.nn.functional.elu
        (first,) = library.autograd.grad(elu(x, 2.0).sum(), x, create_graph=True)
        return first.tolist(), library.autograd.grad(first.sum(), x)[0].tolist()

    ours = derivatives(tinyrnn, new(np.array(values), True))
    theirs = derivatives(torch, torch.tensor(values, dtype=torch.float64, requires_grad=True))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
