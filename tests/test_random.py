"""Random numbers: streams, states, shapes, ranges and distributions."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import Generator

DRAWS = [
    lambda g: tinyrnn.rand(3, generator=g),
    lambda g: tinyrnn.randn(2, 2, generator=g),
    lambda g: tinyrnn.randint(10, (5,), generator=g),
    lambda g: tinyrnn.randperm(7, generator=g),
    lambda g: tinyrnn.bernoulli(tinyrnn.full((9,), 0.5), generator=g),
    lambda g: tinyrnn.normal(1.0, 2.0, (3,), generator=g),
    lambda g: tinyrnn.multinomial(tinyrnn.ones(5), 3, generator=g),
    lambda g: tinyrnn.zeros(3).uniform_(generator=g),
    lambda g: tinyrnn.zeros(3).random_(100, generator=g),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_the_seed_decides(draw):
    for seed in (0, 1, -1, 2**63):
        one, two = Generator().manual_seed(seed), Generator().manual_seed(seed)
        assert draw(one).tolist() == draw(two).tolist()
        tinyrnn.manual_seed(seed)
        default = draw(None).tolist()
        assert default == draw(Generator().manual_seed(seed)).tolist()


def test_streams_go_on_and_seeds_differ():
    g = Generator().manual_seed(3)
    assert tinyrnn.rand(4, generator=g).tolist() != tinyrnn.rand(4, generator=g).tolist()
    other = Generator().manual_seed(4)
    assert tinyrnn.rand(4, generator=other).tolist() != tinyrnn.rand(4, generator=g.manual_seed(3)).tolist()
    assert g.initial_seed() == 3 and g.seed() == g.initial_seed()


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("used", [0, 1, 2, 3])
def test_a_state_can_be_saved_anywhere_in_the_stream(draw, used):
    """Also where half a word is left over, which float32 and small integers do."""
    g = Generator().manual_seed(1)
    for _ in range(used):
        g.numpy.random(dtype=np.float32)
    state = g.get_state()
    assert state.dtype is tinyrnn.uint8
    expected = [draw(g).tolist() for _ in range(3)]
    g.set_state(state)
    assert [draw(g).tolist() for _ in range(3)] == expected
    other = Generator()
    other.set_state(tinyrnn.tensor(state.tolist(), dtype=tinyrnn.uint8))  # by way of JSON
    assert [draw(other).tolist() for _ in range(3)] == expected and other.initial_seed() == 1


def test_state_of_the_default_generator():
    state = tinyrnn.get_rng_state()
    first = tinyrnn.rand(3).tolist()
    tinyrnn.set_rng_state(state)
    assert tinyrnn.rand(3).tolist() == first
    for wrong in (tinyrnn.zeros(3), tinyrnn.zeros(3, dtype=tinyrnn.uint8), b"state"):
        with pytest.raises(RuntimeError, match="RNG state must be a uint8 tensor"):
            tinyrnn.set_rng_state(wrong)


@pytest.mark.parametrize("dtype", [tinyrnn.float16, tinyrnn.float32, tinyrnn.float64])
def test_distributions(dtype):
    tinyrnn.manual_seed(0)
    x = tinyrnn.rand(20000, dtype=dtype).numpy().astype(np.float64)
    assert 0 <= x.min() < 0.01 and 0.99 < x.max() < 1 and abs(x.mean() - 0.5) < 0.01
    x = tinyrnn.randn(20000, dtype=dtype).numpy().astype(np.float64)
    assert abs(x.mean()) < 0.03 and abs(x.std() - 1) < 0.03 and abs((x**3).mean()) < 0.1
    x = tinyrnn.empty(20000, dtype=dtype).normal_(3.0, 2.0).numpy().astype(np.float64)
    assert abs(x.mean() - 3) < 0.06 and abs(x.std() - 2) < 0.06
    x = tinyrnn.empty(20000, dtype=dtype).uniform_(-2.0, 4.0).numpy()
    assert -2 <= x.min() < -1.9 and 3.9 < x.max() <= 4
    assert tinyrnn.rand(2, dtype=dtype).dtype is tinyrnn.randn(2, dtype=dtype).dtype is dtype


def test_integers():
    x = tinyrnn.randint(-3, 4, (5000,))
    assert x.dtype is tinyrnn.int64 and set(x.tolist()) == set(range(-3, 4))
    assert tinyrnn.randint(low=2, high=3, size=(2, 2)).tolist() == [[2, 2], [2, 2]]
    assert tinyrnn.randint(5, size=(2,), dtype=tinyrnn.float32).dtype is tinyrnn.float32
    assert sorted(tinyrnn.randperm(100).tolist()) == list(range(100)) and tinyrnn.randperm(0).shape == (0,)
    assert set(tinyrnn.zeros(200, dtype=tinyrnn.int32).random_(2, 4).tolist()) == {2, 3}


def test_like():
    x = tinyrnn.zeros(2, 3, dtype=tinyrnn.float64)
    assert tinyrnn.rand_like(x).dtype is tinyrnn.randn_like(x).dtype is tinyrnn.randint_like(x, 5).dtype is tinyrnn.float64
    assert tinyrnn.rand_like(x).shape == tinyrnn.randint_like(x, 2, 5).shape == (2, 3)
    assert tinyrnn.rand_like(x, requires_grad=True).requires_grad
    assert set(tinyrnn.randint_like(tinyrnn.zeros(100), 2, 4).tolist()) == {2.0, 3.0}


def test_bernoulli():
    p = tinyrnn.tensor([0.0, 1.0] * 50)
    assert tinyrnn.bernoulli(p).tolist() == p.tolist()
    assert abs(tinyrnn.bernoulli(tinyrnn.full((20000,), 0.3)).numpy().mean() - 0.3) < 0.02
    assert tinyrnn.bernoulli(p, 0.0).tolist() == [0] * 100
    assert tinyrnn.zeros(3, dtype=tinyrnn.int64).bernoulli_(1.0).tolist() == [1, 1, 1]


def test_normal_of_tensors():
    mean, std = tinyrnn.tensor([0.0, 100.0]), tinyrnn.tensor([[0.0], [1.0]])
    assert tinyrnn.normal(mean, std).shape == (2, 2)
    assert tinyrnn.normal(mean, 0.0).tolist() == [0, 100] and tinyrnn.normal(5.0, std).shape == (2, 1)


def test_multinomial():
    weights = tinyrnn.tensor([[0.0, 1.0, 3.0], [1.0, 0.0, 0.0]])
    drawn = tinyrnn.multinomial(weights, 8000, replacement=True).numpy()
    assert drawn.shape == (2, 8000) and drawn.dtype == np.int64
    assert abs((drawn[0] == 2).mean() - 0.75) < 0.03 and set(drawn[0]) == {1, 2} and set(drawn[1]) == {0}
    for _ in range(20):
        assert sorted(tinyrnn.multinomial(tinyrnn.ones(2, 4), 4).tolist()[1]) == [0, 1, 2, 3]
    first = [tinyrnn.multinomial(tinyrnn.tensor([1.0, 3.0]), 1).item() for _ in range(4000)]
    assert abs(np.mean(first) - 0.75) < 0.04


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: tinyrnn.rand(2, dtype=tinyrnn.int64), NotImplementedError, "rand: not implemented for tinyrnn.int64"),
        (lambda: tinyrnn.randint(3, 3, (2,)), RuntimeError, "'from' to be less than 'to'"),
        (lambda: tinyrnn.randint(3, 5), TypeError, "expected randint"),
        (lambda: tinyrnn.randperm(-1), RuntimeError, "non-negative"),
        (lambda: tinyrnn.bernoulli(tinyrnn.tensor([0.5, 2.0])), RuntimeError, "from 0 to 1"),
        (lambda: tinyrnn.bernoulli(tinyrnn.tensor([float("nan")])), RuntimeError, "from 0 to 1"),
        (lambda: tinyrnn.bernoulli(tinyrnn.tensor([1])), NotImplementedError, "must be floating-point"),
        (lambda: tinyrnn.normal(0.0, 1.0), TypeError, "size is needed"),
        (lambda: tinyrnn.normal(0.0, -1.0, (2,)), RuntimeError, "std >= 0"),
        (lambda: tinyrnn.multinomial(tinyrnn.ones(3), 5), RuntimeError, "without replacement"),
        (lambda: tinyrnn.multinomial(tinyrnn.tensor([-1.0, 1.0]), 1), RuntimeError, "element < 0"),
        (lambda: tinyrnn.multinomial(tinyrnn.zeros(3), 1), RuntimeError, "sum of probabilities"),
        (lambda: tinyrnn.ones(2, requires_grad=True).uniform_(), RuntimeError, "leaf"),
        (lambda: tinyrnn.ones(2).uniform_(2, 1), RuntimeError, "from=2 > to=1"),
        (lambda: tinyrnn.ones(2).normal_(0, -1), RuntimeError, "std >= 0.0"),
        (lambda: tinyrnn.ones(2, dtype=tinyrnn.int64).normal_(), NotImplementedError, "normal_"),
        (lambda: tinyrnn.rand(2, generator=np.random.default_rng(0)), TypeError, "expected a tinyrnn.Generator"),
        (lambda: tinyrnn.manual_seed(2**64), RuntimeError, "expected a seed"),
        (lambda: Generator("cuda"), RuntimeError, "not available"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_filling_a_parameter_under_no_grad():
    x = tinyrnn.zeros(100, requires_grad=True)
    with tinyrnn.no_grad():
        x.normal_()
    assert x.requires_grad and x.is_leaf and x.detach().numpy().std() > 0.5
    assert x._version == 1


@pytest.mark.parametrize("draw", [tinyrnn.rand, tinyrnn.randn])
def test_no_size_is_an_error(draw):
    with pytest.raises(TypeError, match=rf"{draw.__name__}\(\) missing .*'size' \(for a 0-d tensor pass an empty tuple\)"):
        draw()
    assert draw(()).shape == ()


def test_seeding_has_pytorchs_second_home():
    from tinyrnn import generator, random

    assert random.manual_seed is generator.manual_seed is tinyrnn.manual_seed
    torch = pytest.importorskip("torch")
    assert all(hasattr(torch.random, name) for name in random.__all__)
