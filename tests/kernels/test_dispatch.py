"""Kernels are picked by the type of the array; a second array type proves that every op goes this way."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tinyrnn.creation import new
from tinyrnn.engine.base import TensorBase
from tinyrnn.kernels import cpu, dispatch, reference


class OtherArray(np.ndarray):
    """Stands in for another library's array: computes as NumPy does, but every result is of this type."""

    def __array_function__(self, function, types, arguments, options):
        return as_other(super().__array_function__(function, types, arguments, options))


def as_other(result):
    if isinstance(result, (tuple, list)):
        return type(result)(as_other(each) for each in result)
    return result.view(OtherArray) if isinstance(result, np.ndarray) else result


class Counting:
    """The reference, counting calls."""

    def __init__(self):
        self.calls = Counter()

    def __getattr__(self, name):
        kernel = getattr(reference, name)

        def counted(*arguments):
            self.calls[name] += 1
            return kernel(*arguments)

        return counted


@pytest.fixture
def counting():
    kernels = Counting()
    dispatch.register(OtherArray, kernels)
    yield kernels
    dispatch.unregister(OtherArray)


def other(*shape):
    return np.random.default_rng(0).normal(size=shape).view(OtherArray)


def test_arrays_get_the_cpu_kernels():
    assert dispatch.backend(np.ones(3)) is cpu
    assert dispatch.backend(np.ones(())) is cpu


def test_subclasses_get_the_reference():
    assert dispatch.backend(other(3)) is reference


def test_so_do_the_scalars_that_numpy_makes_of_0d_arrays():
    assert dispatch.backend(np.ones(()) * np.ones(())) is reference


def test_a_registered_type_gets_its_kernels_and_so_do_its_subclasses(counting):
    class Derived(OtherArray):
        pass

    assert dispatch.backend(other(3)) is counting
    assert dispatch.backend(other(3).view(Derived)) is counting
    assert dispatch.backend(np.ones(3)) is cpu


def test_registering_reaches_subclasses_seen_before():
    class Derived(OtherArray):
        pass

    assert dispatch.backend(other(3).view(Derived)) is reference
    kernels = Counting()
    dispatch.register(OtherArray, kernels)
    assert dispatch.backend(other(3).view(Derived)) is kernels
    dispatch.unregister(OtherArray)
    assert dispatch.backend(other(3).view(Derived)) is reference


@pytest.mark.parametrize("value", [3, 2.5, [1.0], None, "x"])
def test_anything_else_is_one_clear_sentence(value):
    with pytest.raises(TypeError, match=rf"no kernels for builtins\.{type(value).__name__}: expected a NumPy array"):
        dispatch.backend(value)


def tensor(array):
    return new(array, True)


def positive(*shape):
    return tensor(np.abs(other(*shape)) + 0.5)


def cases():
    """(kernel, function that reaches its forward and, by backward, its backward)."""
    from tinyrnn.ops import activations, arithmetic, products, softmax

    yield "add", lambda: arithmetic.add(tensor(other(3, 4)), tensor(other(3, 4)))
    yield "mul", lambda: arithmetic.mul(tensor(other(3, 4)), tensor(other(3, 4)))
    yield "tanh", lambda: activations.tanh(tensor(other(3, 4)))
    yield "sigmoid", lambda: activations.sigmoid(tensor(other(3, 4)))
    yield "softmax", lambda: softmax.softmax(tensor(other(3, 4)), 1)
    yield "log_softmax", lambda: softmax.log_softmax(tensor(other(3, 4)), 1)
    yield "matmul", lambda: products.matmul(tensor(other(3, 4)), tensor(other(4, 2)))


@pytest.mark.parametrize("name, run", list(cases()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_op_goes_by_the_kernels_of_its_array(counting, name, run):
    result = run()
    assert isinstance(result, TensorBase) and type(result.array) is OtherArray
    assert counting.calls[f"{name}_forward"] == 1
    before = sum(counting.calls.values())
    result.backward(new(np.ones_like(result.array)))
    if hasattr(reference, f"{name}_backward"):
        assert counting.calls[f"{name}_backward"] == 1
    elif name in ("mul", "matmul"):
        assert sum(counting.calls.values()) > before  # its backward is made of the forward


def test_the_optimizer_goes_by_the_kernels_of_its_array(counting):
    from tinyrnn.nn.parameter import Parameter
    from tinyrnn.optim import SGD, Adam

    parameter = Parameter(tensor(other(3)).detach())
    for optimizer, kernel in ((SGD([parameter], lr=0.1), "sgd_step"), (Adam([parameter]), "adam_step")):
        parameter.grad = new(other(3))
        optimizer.step()
        assert counting.calls[kernel] == 1
        assert type(parameter.array) is OtherArray
