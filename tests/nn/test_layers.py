"""Layers against PyTorch: same weights through state_dict, then values and gradients; errors name layer and fix."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn


def compare(make, x, integer=False, tolerance=1e-12):
    """`make(nn)` in both libraries, float64: equal output, dtype, and gradients of the input and all parameters."""
    torch = pytest.importorskip("torch")
    theirs = make(torch.nn).double()
    ours = make(nn).double()
    ours.load_state_dict(theirs.state_dict())
    a, b = tinyrnn.tensor(x), torch.tensor(x)
    if not integer:
        a, b = a.requires_grad_(), b.requires_grad_()
    out, expected = ours(a), theirs(b)
    assert tuple(out.shape) == tuple(expected.shape) and str(out.dtype)[8:] == str(expected.dtype)[6:]
    np.testing.assert_allclose(out.array, expected.detach().numpy(), rtol=tolerance, atol=tolerance)
    if not expected.requires_grad:
        return
    weights = np.random.default_rng(1).standard_normal(expected.shape)
    (out * tinyrnn.tensor(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    pairs = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        if pairs[name].grad is None:
            assert p.grad is None
        else:
            np.testing.assert_allclose(p.grad.array, pairs[name].grad.numpy(), rtol=tolerance, atol=tolerance)
    if not integer:
        np.testing.assert_allclose(a.grad.array, b.grad.numpy(), rtol=tolerance, atol=tolerance)


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape) * 2


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(4,), (1, 4), (5, 4), (2, 3, 4), (0, 4)])
def test_linear(shape, bias):
    compare(lambda nn: nn.Linear(4, 3, bias=bias), normal(*shape))


@pytest.mark.parametrize("padding_idx", [None, 0, -2])
@pytest.mark.parametrize("shape", [(), (6,), (2, 5), (0,)])
def test_embedding(shape, padding_idx):
    ids = np.random.default_rng(2).integers(0, 6, shape)
    compare(lambda nn: nn.Embedding(6, 3, padding_idx), ids, integer=True)


def test_embedding_from_pretrained():
    table = tinyrnn.tensor(normal(5, 3))
    frozen = nn.Embedding.from_pretrained(table)
    assert not frozen.weight.requires_grad and np.shares_memory(frozen.weight.array, table.array)
    trained = nn.Embedding.from_pretrained(table, freeze=False, padding_idx=1)
    assert trained.weight.requires_grad and trained.padding_idx == 1
    np.testing.assert_array_equal(frozen(tinyrnn.tensor([4, 0])).array, table.array[[4, 0]])


def test_options_of_an_embedding_are_handed_over_at_their_defaults():
    table, ids = nn.Embedding(5, 3, 1, None, 2.0, False, False), tinyrnn.tensor([1, 4])
    options = (table.padding_idx, table.max_norm, table.norm_type, table.scale_grad_by_freq, table.sparse)
    assert tinyrnn.equal(nn.functional.embedding(ids, table.weight, *options), table(ids))
    for make in (
        lambda: nn.Embedding(5, 3, max_norm=1.0),
        lambda: nn.functional.embedding(ids, table.weight, None, None, 2.0, True),
        lambda: nn.Embedding.from_pretrained(table.weight, sparse=True),
    ):
        with pytest.raises(NotImplementedError, match=r"embedding: max_norm=.*expected None, False and False"):
            make()


@pytest.mark.parametrize("options", [{}, {"eps": 0.1}, {"bias": False}, {"elementwise_affine": False}])
@pytest.mark.parametrize("normalized", [4, (4,), (3, 4)])
def test_layer_norm(normalized, options):
    def make(nn_):
        layer = nn_.LayerNorm(normalized, **options)
        for p in layer.parameters():
            p.requires_grad_(False).add_(0.5).requires_grad_()
        return layer

    compare(make, normal(2, 3, 4), tolerance=1e-10)


ACTIVATIONS = {
    "sigmoid": lambda nn: nn.Sigmoid(),
    "tanh": lambda nn: nn.Tanh(),
    "relu": lambda nn: nn.ReLU(),
    "leaky_relu": lambda nn: nn.LeakyReLU(0.2),
    "elu": lambda nn: nn.ELU(0.7),
    "gelu": lambda nn: nn.GELU(),
    "gelu_tanh": lambda nn: nn.GELU(approximate="tanh"),
    "softplus": lambda nn: nn.Softplus(),
    "softplus_beta": lambda nn: nn.Softplus(2.0, 1.5),
    "silu": lambda nn: nn.SiLU(),
    "softmax": lambda nn: nn.Softmax(dim=-1),
    "log_softmax": lambda nn: nn.LogSoftmax(dim=0),
    "log_sigmoid": lambda nn: nn.LogSigmoid(),
    "hardtanh": lambda nn: nn.Hardtanh(-0.5, 1.5),
    "relu6": lambda nn: nn.ReLU6(),
    "selu": lambda nn: nn.SELU(),
    "softsign": lambda nn: nn.Softsign(),
    "hardsigmoid": lambda nn: nn.Hardsigmoid(),
    "prelu": lambda nn: nn.PReLU(),
    "prelu_by_feature": lambda nn: nn.PReLU(3, init=0.1),
    "glu": lambda nn: nn.GLU(),
    "glu_0": lambda nn: nn.GLU(dim=0),
    "unflatten": lambda nn: nn.Unflatten(0, (2, 2)),
    "flatten": lambda nn: nn.Flatten(),
    "identity": lambda nn: nn.Identity(3, some="option"),
}


TOLERANCES = {"hardsigmoid": 1e-7}  # PyTorch's gradient is a float32 1/6 there


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    compare(ACTIVATIONS[name], normal(4, 3, 2), tolerance=TOLERANCES.get(name, 1e-10))


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "ELU", "SELU", "SiLU", "Hardtanh", "ReLU6", "Hardsigmoid"])
def test_inplace_activations(name):
    """The result is the input, overwritten, and gradients go through it."""
    compare(lambda nn: nn.Sequential(nn.Linear(3, 3), getattr(nn, name)(inplace=True)), normal(4, 3), tolerance=1e-7)
    x = tinyrnn.tensor([-2.0, 3.0])
    assert getattr(nn, name)(inplace=True)(x) is x


def test_activation_errors():
    with pytest.raises(RuntimeError, match="glu: halving dimension must be even, but dimension -1 is size 3"):
        nn.GLU()(tinyrnn.ones(2, 3))
    with pytest.raises(RuntimeError, match="prelu: expected a weight of 1 or 3 elements, got 2"):
        nn.PReLU(2)(tinyrnn.ones(2, 3))
    with pytest.raises(AttributeError, match=r"tinyrnn.nn has no 'Conv1d' .* the nearest there is: Linear over windows"):
        nn.Conv1d
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'register_full_backward_hook'; the nearest"):
        nn.Linear(1, 1).register_full_backward_hook


@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax(hard):
    """Draws the classes as often as their probabilities say, and has the gradient of the relaxed sample."""
    tinyrnn.manual_seed(0)
    logits = tinyrnn.tensor([0.5, -1.0, 2.0, -tinyrnn.inf], dtype=tinyrnn.float64).expand(20_000, 4).clone().requires_grad_()
    drawn = nn.functional.gumbel_softmax(logits, tau=0.5, hard=hard)
    np.testing.assert_allclose(drawn.detach().sum(-1), 1.0, atol=1e-12)
    shares = nn.functional.one_hot(drawn.argmax(-1), 4).double().mean(0)
    np.testing.assert_allclose(shares, logits[0].softmax(-1).detach(), atol=0.02)
    assert not hard or set(drawn.detach().flatten().round(decimals=9).unique().tolist()) == {0.0, 1.0}
    drawn[:, 0].sum().backward()
    assert logits.grad.abs().sum() > 0


def test_relu_writes_over_its_input():
    x = tinyrnn.tensor([-1.0, 2.0])
    assert nn.functional.relu_(x) is x and x.tolist() == [0.0, 2.0]


def test_a_small_network():
    def make(nn):
        return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 2)).eval()

    compare(make, normal(3, 4), tolerance=1e-10)


def test_dropout():
    tinyrnn.manual_seed(0)
    layer = nn.Dropout(0.3)
    x = tinyrnn.ones(200, 200, requires_grad=True)
    y = layer(x)
    assert set(np.unique(y.array).round(5)) == {0.0, np.float32(1 / 0.7).round(5)}
    assert abs((y.array == 0).mean() - 0.3) < 0.02
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, y.array)
    assert (layer(x).array != y.array).any()
    np.testing.assert_array_equal(layer.eval()(x).array, x.array)
    z = tinyrnn.ones(50)
    assert nn.Dropout(0.5, inplace=True)(z) is z and (z.array != 1).all()
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            nn.Dropout(p)


@pytest.mark.parametrize(
    "layer, x, error, message",
    [
        (
            lambda: nn.Linear(4, 3),
            lambda: tinyrnn.ones(2, 5),
            ValueError,
            "input has 5 features, expected in_features=4",
        ),
        (lambda: nn.Linear(4, 3), lambda: tinyrnn.ones(()), ValueError, "single number"),
        (lambda: nn.Linear(4, 3), lambda: tinyrnn.ones(2, 4).double(), TypeError, "float64, expected .*float32"),
        (lambda: nn.Linear(4, 3), lambda: [1.0] * 4, TypeError, "list, expected a tensor"),
        (lambda: nn.Embedding(4, 3), lambda: tinyrnn.tensor([0, 4]), IndexError, "4.*num_embeddings=4"),
        (lambda: nn.Embedding(4, 3), lambda: tinyrnn.tensor([-1]), IndexError, "-1.*num_embeddings=4"),
        (lambda: nn.Embedding(4, 3), lambda: tinyrnn.ones(2), RuntimeError, "must be integers.*long"),
        (lambda: nn.LayerNorm((3, 4)), lambda: tinyrnn.ones(4, 3), ValueError, r"expected normalized_shape=\(3, 4\)"),
    ],
)
def test_errors_name_the_layer_and_the_fix(layer, x, error, message):
    model = nn.Sequential(nn.Identity(), layer())
    with pytest.raises(error, match=message) as caught:
        model(x())
    assert str(caught.value).startswith("1: ")


def test_constructor_errors():
    with pytest.raises(ValueError, match="padding_idx=7 must be within num_embeddings=5"):
        nn.Embedding(5, 3, padding_idx=7)
    with pytest.raises(ValueError, match="2 dimensions"):
        nn.Embedding.from_pretrained(tinyrnn.ones(3))
    with pytest.raises(ValueError, match="greater than"):
        nn.Hardtanh(1.0, -1.0)
    with pytest.raises(ValueError, match="expected 'mean', 'sum' or 'none'"):
        nn.MSELoss(reduction="average")


@pytest.mark.parametrize("layer", [nn.Linear(3, 2), nn.LSTM(3, 2), nn.GRUCell(3, 2)], ids=lambda layer: type(layer).__name__)
def test_dtype_errors_advise_only_what_works(layer):
    with pytest.raises((TypeError, ValueError), match=r"or the model with model\.to\(tinyrnn\.float64\)$"):
        layer(tinyrnn.ones(4, 3, dtype=tinyrnn.float64))
    with pytest.raises((TypeError, ValueError), match=r"input is tinyrnn\.int64, .*\.to\(tinyrnn\.float32\)$"):
        layer(tinyrnn.ones(4, 3, dtype=tinyrnn.int64))


@pytest.mark.parametrize("function", [nn.functional.softmax, nn.functional.log_softmax])
def test_softmax_over_no_dimension(function):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, function.__name__)
    for shape in ((), (3,), (2, 3), (2, 3, 4), (2, 3, 2, 2)):
        x = np.asarray(normal(*shape) * 2)
        with pytest.warns(UserWarning, match=f"Implicit dimension choice for {function.__name__} has been deprecated") as seen:
            y = function(tinyrnn.tensor(x))
        assert seen[0].filename == __file__
        with pytest.warns(UserWarning):
            np.testing.assert_allclose(y.numpy(), theirs(torch.tensor(x)).numpy(), rtol=1e-12)
    with pytest.warns(UserWarning) as seen:
        nn.Softmax()(tinyrnn.ones(2, 3))
    assert seen[0].filename == __file__
    with pytest.raises(TypeError, match=r"softmax\(\): dim is None, expected the dimension to normalize over; pass dim=-1"):
        tinyrnn.softmax(tinyrnn.ones(2, 3), None)
