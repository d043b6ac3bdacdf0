"""Loss modules against PyTorch: values and gradients of input, target dtypes, weights, reductions."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn

REDUCTIONS = ["mean", "sum", "none"]


def compare(make, x, target, tolerance=1e-11):
    """`make(nn, tensor)` builds the loss in either library; equal values and input gradients in float64."""
    torch = pytest.importorskip("torch")
    a, b = tinyrnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out = make(nn, tinyrnn.tensor)(a, tinyrnn.tensor(target))
    expected = make(torch.nn, torch.tensor)(b, torch.tensor(target))
    assert tuple(out.shape) == tuple(expected.shape)
    np.testing.assert_allclose(out.array, expected.detach().numpy(), rtol=tolerance, atol=1e-12)
    out.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(a.grad.array, b.grad.numpy(), rtol=tolerance, atol=1e-12)


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "options", [{}, {"ignore_index": 2}, {"label_smoothing": 0.2}, {"label_smoothing": 0.1, "ignore_index": 0}]
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (2, 5, 3), (5,)])
def test_cross_entropy(shape, weighted, options, reduction):
    x = rng().standard_normal(shape)
    target = rng().integers(0, 5, shape[:1] + shape[2:] if len(shape) > 1 else ())
    if len(shape) == 1 and int(target) == options.get("ignore_index"):
        target = target + 1
    weight = rng().random(5)
    compare(
        lambda nn, tensor: nn.CrossEntropyLoss(tensor(weight) if weighted else None, reduction=reduction, **options),
        x,
        target,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_probabilities(reduction):
    x = rng().standard_normal((4, 5))
    target = rng().dirichlet(np.ones(5), 4)
    compare(lambda nn, tensor: nn.CrossEntropyLoss(reduction=reduction, label_smoothing=0.1), x, target)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_nll(weighted, reduction):
    x, target, weight = rng().standard_normal((6, 5, 2)), rng().integers(0, 5, (6, 2)), rng().random(5)
    compare(lambda nn, t: nn.NLLLoss(t(weight) if weighted else None, ignore_index=1, reduction=reduction), x, target)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "name, options",
    [
        ("MSELoss", {}),
        ("L1Loss", {}),
        ("SmoothL1Loss", {}),
        ("SmoothL1Loss", {"beta": 0.3}),
        ("HuberLoss", {}),
        ("HuberLoss", {"delta": 0.4}),
    ],
)
def test_distances(name, options, reduction):
    x, target = rng().standard_normal((3, 4)), rng().standard_normal((4, 3)).T.copy()
    compare(lambda nn, t: getattr(nn, name)(reduction=reduction, **options), x, target)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (3, 1), (3,), None])
def test_gaussian(shape, full, reduction):
    x, target = rng().standard_normal((3, 4)), rng().standard_normal((4, 3)).T.copy()
    var = 0.7 if shape is None else rng().random(shape)

    def make(nn, tensor):
        loss = nn.GaussianNLLLoss(full=full, eps=0.2, reduction=reduction)
        return lambda x, y: loss(x, y, var if shape is None else tensor(var))

    compare(make, x, target)


def test_the_gradient_of_variances_some_of_which_are_below_eps():
    torch = pytest.importorskip("torch")
    x, target, var = rng().standard_normal((3, 4)), rng().standard_normal((4, 3)).T.copy(), rng().random((3, 4))
    gradients = []
    for lib in (tinyrnn, torch):
        v = lib.tensor(var, requires_grad=True)
        lib.nn.GaussianNLLLoss(eps=0.2)(lib.tensor(x), lib.tensor(target), v).backward()
        gradients.append(v.grad.numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-11)


def test_options_out_of_range():
    x = tinyrnn.ones(2, 3)
    with pytest.raises(ValueError, match="non-positive values for delta, got 0"):
        nn.HuberLoss(delta=0)(x, x)
    with pytest.raises(ValueError, match="negative"):
        nn.GaussianNLLLoss()(x, x, -x)
    with pytest.raises(ValueError, match=r"incorrect size \(3,\) for an input of shape \(2, 3\)"):
        nn.GaussianNLLLoss()(x, x, x[0])
    with pytest.raises(ValueError, match="reduction='sums', expected"):
        nn.CosineEmbeddingLoss(reduction="sums")


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss by both:UserWarning:torch")
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(log_target, reduction):
    x, target = np.log(rng().dirichlet(np.ones(5), 4)), rng().dirichlet(np.ones(5), 4)
    target = np.log(target) if log_target else np.where(target < 0.1, 0.0, target)
    compare(lambda nn, t: nn.KLDivLoss(reduction=reduction, log_target=log_target), x, target)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy(weighted, reduction):
    x, target, weight = rng().random((4, 3)), rng().random((4, 3)), rng().random(3)
    x[0, 0], x[1, 1] = 0.0, 1.0
    compare(
        lambda nn, t: nn.BCELoss(t(weight) if weighted else None, reduction=reduction), x, target, 1e-8
    )  # PyTorch's eps is a float32
    compare(lambda nn, t: nn.BCEWithLogitsLoss(t(weight) if weighted else None, reduction=reduction), x * 60 - 30, target)
    compare(lambda nn, t: nn.BCEWithLogitsLoss(reduction=reduction, pos_weight=t(weight)), x * 60 - 30, target)


def test_weights_are_buffers():
    weight = tinyrnn.tensor([1.0, 2.0])
    loss = nn.BCEWithLogitsLoss(weight, pos_weight=weight).double()
    assert list(loss.state_dict()) == ["weight", "pos_weight"] and loss.weight.dtype is tinyrnn.float64
    assert nn.CrossEntropyLoss().weight is None and not nn.CrossEntropyLoss().state_dict()


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_ctc(reduction):
    x, targets = rng().standard_normal((9, 3, 5)), rng().integers(1, 5, (3, 4))

    def make(nn, tensor):
        loss = nn.CTCLoss(blank=0, reduction=reduction, zero_infinity=True)
        return lambda x, targets: loss(x.log_softmax(2), targets, tensor([9, 3, 8]), tensor([4, 4, 0]))

    compare(make, x, targets)


def test_ctc_takes_its_options():
    loss = nn.CTCLoss(4, "sum", True)
    assert (loss.blank, loss.reduction, loss.zero_infinity) == (4, "sum", True) and repr(loss) == "CTCLoss()"
    x = tinyrnn.zeros(2, 1, 5).log_softmax(2)
    assert loss(x, tinyrnn.tensor([[0, 0]]), (2,), (2,)).item() == 0
    assert nn.CTCLoss(4)(x, tinyrnn.tensor([[0, 0]]), (2,), (2,)).item() == float("inf")
    with pytest.raises(ValueError, match="CTCLoss: reduction='avg', expected 'mean', 'sum' or 'none'"):
        nn.CTCLoss(reduction="avg")


OLD = {
    "MSELoss": ({}, lambda x: x * 0.5),
    "L1Loss": ({}, lambda x: x * 0.5),
    "SmoothL1Loss": ({}, lambda x: x * 0.5),
    "CrossEntropyLoss": ({"ignore_index": 1}, lambda x: x.argmax(1)),
    "NLLLoss": ({}, lambda x: x.argmax(1)),
    "KLDivLoss": ({}, lambda x: x.softmax(1)),
    "BCEWithLogitsLoss": ({}, lambda x: x.sigmoid()),
    "CosineEmbeddingLoss": ({}, None),
}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss by both:UserWarning:torch")
@pytest.mark.parametrize("flags", [{"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}])
@pytest.mark.parametrize("name", OLD)
def test_old_names_of_the_reduction(name, flags):
    torch = pytest.importorskip("torch")
    options, target = OLD[name]
    found = []
    for lib in (tinyrnn, torch):
        x = lib.tensor(rng().standard_normal((4, 5)))
        given = (x, target(x)) if target else (x, x * x, lib.tensor([1, -1, 1, 1]))
        with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated, please use reduction='"):
            loss = getattr(lib.nn, name)(**flags, **options)
        found.append((loss.reduction, loss(*given).numpy()))
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "kl_div", "binary_cross_entropy"])
def test_old_names_of_the_reduction_in_functions(name):
    x, target = tinyrnn.tensor(rng().random((4, 5))), tinyrnn.tensor(rng().random((4, 5)))
    function = getattr(nn.functional, name)
    with pytest.warns(UserWarning, match="please use reduction='sum'") as seen:
        assert tinyrnn.equal(function(x, target, size_average=False), function(x, target, reduction="sum"))
    assert seen[0].filename == __file__
