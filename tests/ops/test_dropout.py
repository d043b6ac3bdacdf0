"""dropout."""

import math

import numpy as np
import pytest

from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.creation import new
from tinyrnn.ops.dropout import dropout, keep_mask
from tinyrnn.random import get_rng_state, manual_seed, rand, set_rng_state


def leaf(array):
    tensor = new(np.array(array))
    tensor.tracked = True
    return tensor


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_drops_a_share_and_scales_the_rest(p, dtype):
    manual_seed(1)
    x = leaf(np.ones((100, 200), dtype))
    y = dropout(x, p)
    assert y.array.dtype == dtype
    scale = np.array(1 / (1 - p), dtype)
    assert set(np.unique(y.array).tolist()) == {0.0, scale.item()}
    share = (y.array == 0).mean()
    assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / x.array.size)
    y.backward(new(np.full((100, 200), 2, dtype)))
    np.testing.assert_array_equal(x.grad.array, 2 * y.array)  # the same mask


def test_masks_differ_between_calls_and_repeat_with_the_seed():
    x = np.ones(100)
    manual_seed(3)
    first, second = dropout(x), dropout(x)
    manual_seed(3)
    np.testing.assert_array_equal(dropout(x), first)
    assert (first != second).any()


def test_nothing_to_drop():
    x = leaf([1.0, 2.0])
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0) is x
    assert dropout(leaf(np.zeros((0, 3)))).array.shape == (0, 3)


def test_everything_dropped():
    x = leaf([1.0, 2.0])
    y = dropout(x, 1.0)
    y.sum().backward()
    assert y.array.tolist() == [0, 0] and x.grad.array.tolist() == [0, 0]


def test_derivatives():
    def function(x):
        manual_seed(5)
        return dropout(x, 0.4) * x

    x = leaf(np.random.default_rng(0).normal(size=(3, 4)))
    assert gradcheck(function, (x,))
    assert gradgradcheck(function, (x,))


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_probability_out_of_range(p):
    for training in (True, False):
        with pytest.raises(ValueError, match="has to be between 0 and 1") as caught:
            dropout(leaf([1.0]), p, training)
        assert str(p) in str(caught.value)


def test_integers_are_refused():
    with pytest.raises(RuntimeError, match=r"expected a floating-point tensor, got tinyrnn.int64"):
        dropout(np.array([1, 2]))


def test_masks_go_on_from_a_saved_state():
    x = np.ones(100, np.float32)
    manual_seed(3)
    dropout(x)
    state = get_rng_state()
    expected = [dropout(x), keep_mask(x, (100,), 0.5), dropout(x)]
    set_rng_state(state)
    for again in (dropout(x), keep_mask(x, (100,), 0.5), dropout(x)):
        np.testing.assert_array_equal(again, expected.pop(0))


def test_masks_and_other_random_numbers_do_not_disturb_each_other():
    x = np.ones(100)
    manual_seed(3)
    expected = dropout(x), rand(3).tolist()
    manual_seed(3)
    assert rand(3).tolist() == expected[1]
    np.testing.assert_array_equal(dropout(x), expected[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_keep_mask(dtype):
    like = np.zeros(1, dtype)
    for scale, value in ((None, 1 / 0.7), (1.0, 1.0)):
        mask = keep_mask(like, [50, 60], 0.3, scale)
        assert mask.shape == (50, 60) and mask.dtype == dtype
        assert set(np.unique(mask).tolist()) == {0.0, np.array(value, dtype).item()}
        assert abs((mask == 0).mean() - 0.3) < 0.05
    assert not keep_mask(like, (4,), 1.0).any()


def test_nothing_is_saved_but_the_number_of_the_mask():
    y = dropout(leaf(np.ones((100, 100))))
    assert not any(isinstance(each, np.ndarray) for each in y.node.saved)
