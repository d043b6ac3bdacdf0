"""gradcheck and gradgradcheck must find what is wrong, and pass what is right."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn.autograd import GradcheckError, gradcheck, gradgradcheck
from tinyrnn.engine.base import TensorBase
from tinyrnn.engine.tape import record


def leaf(*shape, seed=0, dtype=np.float64):
    array = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return tinyrnn.tensor(array, requires_grad=True)


def cube(x, backward):
    """x ** 3 with a given backward."""
    return record(backward, (x,), x.array**3, (x,))


def right(node, g, x):
    return tinyrnn.mul(g, tinyrnn.mul(3, tinyrnn.mul(x, x)))


def right_and_fused(node, g, x):
    return g * 3 * x * x if isinstance(g, TensorBase) else np.asarray(3 * x**2 * g)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0, 3), (40, 20)])
@pytest.mark.parametrize("backward", [right, right_and_fused])
def test_passes_what_is_right(shape, backward):
    assert gradcheck(lambda x: cube(x, backward), leaf(*shape))
    assert gradgradcheck(lambda x: cube(x, backward), leaf(*shape))


def wrong_factor(node, g, x):
    return g * 2 * x * x


def wrong_in_one_element(node, g, x):
    result = np.array(g * 3 * x * x)
    result.flat[-1] *= 1.01 if x.size < 100 else 1.2
    return result


def no_gradient(node, g, x):
    return None


def wrong_dtype(node, g, x):
    return (g * 3 * x * x).astype(np.float32)


def wrong_shape(node, g, x):
    return (g * 3 * x * x)[None]


def mixes_elements(node, g, x):
    return g.sum() * 3 * x * x


def writes_to_gradient(node, g, x):
    g *= 3 * x * x
    return g


def writes_to_saved(node, g, x):
    result = g * 3 * x * x
    x += 1
    return result


CALLS = [0]


def not_repeatable(node, g, x):
    CALLS[0] += 1
    return g * (3 + 1e-7 * CALLS[0]) * x * x


@pytest.mark.parametrize("shape", [(2, 3), (40, 20)])
@pytest.mark.parametrize(
    "backward",
    [wrong_factor, wrong_in_one_element, no_gradient, wrong_dtype, wrong_shape, mixes_elements, writes_to_gradient,
     writes_to_saved, not_repeatable],
)  # fmt: skip
def test_finds_a_wrong_backward(shape, backward):
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: cube(x, backward), leaf(*shape, seed=1))


def test_can_answer_without_raising():
    assert gradcheck(lambda x: cube(x, wrong_factor), leaf(2), raise_exception=False) is False
    assert gradgradcheck(lambda x: cube(x, takes_saved_for_constant), leaf(2), raise_exception=False) is False


def test_message_names_element_and_line():
    message = r"output 0 at element \(1, 2\).*input 0 at element \(1, 2\).*test_gradcheck.py:\d+"
    with pytest.raises(GradcheckError, match=message):
        gradcheck(lambda x: cube(x, wrong_in_one_element), leaf(2, 3))


def takes_saved_for_constant(node, g, x):
    return g * (3 * x * x).detach() if isinstance(x, TensorBase) else g * 3 * x * x


def detaches_gradient(node, g, x):
    return g.detach() * 3 * x * x if isinstance(g, TensorBase) else g * 3 * x * x


def forgets_graph(node, g, x):
    return (g * 3 * x * x).detach() if isinstance(g, TensorBase) else g * 3 * x * x


def other_formula(node, g, x):
    return g * 3.1 * x * x if isinstance(g, TensorBase) else g * 3 * x * x


@pytest.mark.parametrize("backward", [takes_saved_for_constant, detaches_gradient, forgets_graph, other_formula])
@pytest.mark.parametrize("shape", [(3,), (400,)])
def test_finds_a_wrong_double_backward(backward, shape):
    assert gradcheck(lambda x: cube(x, backward), leaf(*shape))
    with pytest.raises(GradcheckError):
        gradgradcheck(lambda x: cube(x, backward), leaf(*shape))


def two_outputs(x, y, backward):
    """x * y and x + y as one op."""
    return record(backward, (x, y), (x.array * y.array, x.array + y.array), (x, y))


def both(node, g, h, x, y):
    parts = [(0, 0) if d is None else (d * a, d * b) for d, a, b in ((g, y, x), (h, 1, 1))]
    return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]


def needs_both(node, g, h, x, y):
    if g is None or h is None:
        return None, None
    return both(node, g, h, x, y)


def wrong_when_both(node, g, h, x, y):
    return both(node, g, h if g is None else None, x, y)


def test_several_outputs():
    inputs = (leaf(3), leaf(3, seed=1))
    assert gradcheck(lambda x, y: two_outputs(x, y, both), inputs)
    assert gradcheck(lambda x, y: list(two_outputs(x, y, both)), inputs)
    assert gradgradcheck(lambda x, y: two_outputs(x, y, both), inputs)
    for wrong in (needs_both, wrong_when_both):
        with pytest.raises(GradcheckError):
            gradcheck(lambda x, y, wrong=wrong: two_outputs(x, y, wrong), inputs)


def test_integer_outputs_and_constants_are_skipped():
    def function(x, number, constant):
        return x * constant * number, tinyrnn.tensor([1, 2])

    assert gradcheck(function, (leaf(2), 3.0, tinyrnn.ones(2, dtype=tinyrnn.float64)))
    assert gradgradcheck(function, (leaf(2), 3.0, tinyrnn.ones(2, dtype=tinyrnn.float64)))


def test_a_detached_output_counts_as_wrong():
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: x.detach() * 2, leaf(2))


def test_an_output_without_history_is_right_if_it_does_not_change():
    assert gradcheck(lambda x: (x * 2, tinyrnn.ones(2, dtype=tinyrnn.float64)), leaf(2))


def test_not_contiguous_inputs():
    x = tinyrnn.from_numpy(np.random.default_rng(0).standard_normal((4, 6)).T[::2]).requires_grad_()
    assert gradcheck(lambda x: x * x, x)


def test_inputs_keep_their_numbers():
    x = leaf(2, 3)
    before = x.array.copy()
    gradcheck(lambda x: x * x, x)
    assert np.array_equal(x.array, before) and x.grad is None


def test_refuses_what_it_cannot_check():
    with pytest.raises(ValueError, match="float64"):
        gradcheck(lambda x: x * x, leaf(2, dtype=np.float32))
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(lambda x: x * x, tinyrnn.ones(2))
    with pytest.raises(ValueError, match="expanded"):
        gradcheck(lambda x: x * x, tinyrnn.from_numpy(np.zeros(1)).expand(3).detach().requires_grad_())
    with pytest.raises(ValueError, match="no output is a floating-point tensor"):
        gradcheck(lambda x: tinyrnn.tensor([1]), leaf(2))


def test_works_inside_no_grad():
    with tinyrnn.no_grad():
        assert gradcheck(lambda x: x * x, leaf(2))
        assert gradgradcheck(lambda x: x * x, leaf(2))
