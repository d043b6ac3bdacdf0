"""autograd.Function: the same classes give the same with PyTorch; what is wrong is said in one sentence."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import tinyrnn
from tinyrnn.autograd import Function, Variable, gradcheck, gradgradcheck
from tinyrnn.autograd.function import once_differentiable


def leaf(*shape, seed=0, lib=tinyrnn):
    return lib.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def cube_of(lib):
    class Cube(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.factor = factor
            ctx.save_for_backward(x)
            return factor * x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * ctx.factor * g * x * x, None

    return Cube


def exp_of(lib):
    """Saves its output, by the other style."""

    class Exp(lib.autograd.Function):
        @staticmethod
        def forward(x, scale=2.0):
            return (x * scale).exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            _, ctx.scale = inputs
            ctx.save_for_backward(output)

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y * ctx.scale, None

    return Exp


def several_of(lib):
    """Three outputs: one with a gradient, one integer, one marked; and a plain value."""

    class Several(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            sign = x.sign()
            ctx.mark_non_differentiable(sign)
            return x * y, x.argmax(-1), sign, x + y, "plain"

        @staticmethod
        def backward(ctx, g_product, g_index, g_sign, g_sum, g_plain):
            x, y = ctx.saved_tensors
            assert g_plain is None and g_index is not None and g_sign is not None
            return g_product * y + g_sum, (g_product * x + g_sum if ctx.needs_input_grad[1] else None)

    return Several


def no_zeros_of(lib):
    class NoZeros(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g_twice, g_thrice):
            assert g_twice is None
            return g_thrice * 3

    return NoZeros


def broadcast_of(lib):
    """Leaves the sum over what was broadcast to the engine."""

    class Add(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g, g

    return Add


def identity_of(lib):
    class Reverse(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return -g, None, None

    return Reverse


def inner_graph_of(lib):
    """Differentiates inside backward, as checkpointing does."""

    class Checkpoint(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x.tanh() * x).exp()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            with lib.enable_grad():
                x = x.detach().requires_grad_()
                y = (x.tanh() * x).exp()
            return lib.autograd.grad(y, x, g)

    return Checkpoint


PROGRAMS = {
    "cube": lambda lib, x, y: cube_of(lib).apply(x, 2.0) * y,
    "exp": lambda lib, x, y: exp_of(lib).apply(x) * y.sin(),
    "several": lambda lib, x, y: several_of(lib).apply(x * 1, y)[0] * 3,
    "all outputs": lambda lib, x, y: several_of(lib).apply(x, y)[0] + several_of(lib).apply(y, x)[3] ** 2,
    "one of two with a gradient": lambda lib, x, y: several_of(lib).apply(x, y.detach())[0],
    "no zeros": lambda lib, x, y: no_zeros_of(lib).apply(x)[1] + y,
    "broadcast": lambda lib, x, y: broadcast_of(lib).apply(x, y[:, :1]) * broadcast_of(lib).apply(x[0], y),
    "identity": lambda lib, x, y: identity_of(lib).apply(x * y) * x,
    "in a chain": lambda lib, x, y: exp_of(lib).apply(cube_of(lib).apply(x * y, -0.1), -1.0),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_first_and_second_derivatives_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    found = []
    for lib in (tinyrnn, torch):
        x, y = leaf(3, 4, seed=1, lib=lib), leaf(3, 4, seed=2, lib=lib)
        out = PROGRAMS[name](lib, x, y)
        out.sum().backward(retain_graph=True)
        first = lib.autograd.grad(out.sum(), [x, y], create_graph=True, allow_unused=True)
        mixed = sum((g**2).sum() for g in first if g is not None)
        second = lib.autograd.grad(mixed, [x, y], allow_unused=True) if mixed.requires_grad else []
        found.append([out, x.grad, y.grad, *first, *second])
    for ours, theirs in zip(*found, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in ("identity", "one of two with a gradient")])
def test_gradcheck(name):
    inputs = (leaf(3, 4, seed=1), leaf(3, 4, seed=2))
    assert gradcheck(lambda x, y: PROGRAMS[name](tinyrnn, x, y), inputs)
    assert gradgradcheck(lambda x, y: PROGRAMS[name](tinyrnn, x, y), inputs)


def test_a_graph_inside_backward():
    assert gradcheck(inner_graph_of(tinyrnn).apply, (leaf(2, 3),))


def test_outputs():
    product, index, sign, total, plain = several_of(tinyrnn).apply(leaf(2, 3), leaf(2, 3))
    assert product.requires_grad and total.requires_grad and plain == "plain"
    assert not index.requires_grad and index.dtype == tinyrnn.int64
    assert not sign.requires_grad
    assert "Several" in repr(product.grad_fn) and isinstance(product, tinyrnn.Tensor)


def test_nothing_is_recorded_where_nothing_is_wanted():
    x = leaf(3)
    with tinyrnn.no_grad():
        assert not exp_of(tinyrnn).apply(x).requires_grad
    assert not exp_of(tinyrnn).apply(x.detach()).requires_grad


def test_forward_without_tensors_and_keyword_arguments():
    class Ones(Function):
        @staticmethod
        def forward(ctx, n):
            return tinyrnn.ones(n)

    assert Ones.apply(3).tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match=r"Ones.apply\(\) takes no keyword arguments unless .* setup_context"):
        Ones.apply(n=3)
    x = leaf(2)
    np.testing.assert_array_equal(exp_of(tinyrnn).apply(x, scale=3.0).detach(), exp_of(tinyrnn).apply(x, 3.0).detach())


def test_the_gradient_returned_is_never_written_to():
    """Backward may return something saved, or the same tensor twice: sums of gradients leave it alone."""

    class First(Function):
        @staticmethod
        def forward(ctx, x, y, weight):
            ctx.weight = weight
            return x + y

        @staticmethod
        def backward(ctx, g):
            return ctx.weight, (ctx.weight if ctx.needs_input_grad[1] else None), None

    x, weight = leaf(3), tinyrnn.ones(3, dtype=tinyrnn.float64)
    earlier = x * 2
    (First.apply(x, 1.0, weight) + First.apply(x, x, weight) + earlier).sum().backward()
    (First.apply(x, 1.0, weight) + earlier.detach()).sum().backward()
    twice = x * 2
    (First.apply(x, 1.0, weight) + twice).sum().backward()
    assert weight.tolist() == [1, 1, 1] and x.grad.tolist() == [9, 9, 9]


def test_writing_to_what_was_saved_is_an_error():
    x = leaf(3) * 1
    y = cube_of(tinyrnn).apply(x, 1.0)
    z = exp_of(tinyrnn).apply(x)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: Cube at"):
        y.sum().backward()
    z.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: Exp at"):
        z.sum().backward()


def test_a_write_to_the_input_that_was_returned_is_counted():
    x = leaf(3) * 1
    square = x * x
    identity_of(tinyrnn).apply(x).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: mul at"):
        square.sum().backward()


def test_a_write_to_a_view_of_the_input_that_was_returned_is_counted():
    class View(Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return g

    x = leaf(3) * 1
    square = x * x
    View.apply(x).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: mul at"):
        square.sum().backward()


def test_a_second_backward_needs_retain_graph():
    loss = cube_of(tinyrnn).apply(leaf(3), 1.0).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"a second time.*Cube"):
        loss.backward()


def test_a_forgotten_graph_is_freed_at_once():
    x = leaf(3)
    y = exp_of(tinyrnn).apply(cube_of(tinyrnn).apply(x, 1.0))
    gc.disable()
    try:
        node = weakref.ref(y.grad_fn.op)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_once_differentiable():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            assert not tinyrnn.is_grad_enabled()
            return tinyrnn.from_numpy(2 * x.detach().numpy()) * g

    x = leaf(3)
    Square.apply(x).sum().backward()
    np.testing.assert_array_equal(x.grad, 2 * x.detach().numpy())
    (gradient,) = tinyrnn.autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"differentiate twice.*once_differentiable"):
        gradient.sum().backward()


def returning(result):
    class Returns(Function):
        @staticmethod
        def forward(ctx, x, n):
            return x * n

        @staticmethod
        def backward(ctx, g):
            return result

    return Returns.apply(leaf(3), 2).sum()


@pytest.mark.parametrize(
    "result, message",
    [
        (tinyrnn.ones(3), r"function Returns returned an incorrect number of gradients \(expected 2, got 1\)"),
        ((None, None, 1), r"incorrect number of gradients \(expected 2, got 3\)"),
        ((tinyrnn.ones(3), tinyrnn.ones(3)), "function Returns returned a gradient different from None at position 1"),
        ((tinyrnn.ones(2), None), r"a gradient of shape \(2,\) at position 0, expected \(3,\)"),
        ((1.0, None), "a gradient of type float at position 0, expected a tensor or None"),
    ],
)
def test_wrong_gradients_are_errors(result, message):
    with pytest.raises((RuntimeError, TypeError), match=message):
        returning(result).backward()


def test_gradients_get_the_dtype_of_their_input():
    class Half(Function):
        @staticmethod
        def forward(ctx, x):
            return x.double()

        @staticmethod
        def backward(ctx, g):
            return g

    x = tinyrnn.ones(2, requires_grad=True)
    Half.apply(x).sum().backward()
    assert x.grad.dtype == tinyrnn.float32


def test_what_is_not_there():
    class Empty(Function):
        pass

    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, 3)

    class Dirty(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)

    class Forward(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="implement the forward"):
        Empty.apply(leaf(2))
    with pytest.raises(NotImplementedError, match="implement the backward"):
        Forward.apply(leaf(2)).sum().backward()
    with pytest.raises(TypeError, match=r"can only save tensors, but argument 1 is of type int; .* attributes of ctx"):
        Bad.apply(leaf(2))
    with pytest.raises(NotImplementedError, match=r"mark_dirty.*clone"):
        Dirty.apply(leaf(2))
    with pytest.raises(RuntimeError, match=r"not instantiated; call Empty.apply"):
        Empty()


def test_variable_is_a_tensor():
    x = tinyrnn.ones(2)
    v = Variable(x, requires_grad=True)
    assert isinstance(v, tinyrnn.Tensor) and isinstance(x, Variable) and not isinstance(1, Variable)
    assert v.requires_grad and not x.requires_grad
    (v * 2).sum().backward()
    x.zero_()
    assert v.tolist() == [0, 0] and v.grad.tolist() == [2, 2]
    with pytest.raises(TypeError, match="has to be a tensor, but got list"):
        Variable([1.0])
