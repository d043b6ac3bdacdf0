"""Ops that third-party programs use here and there: windows, running products, counting, joining, similarity."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn.autograd import gradcheck, gradgradcheck

INF, NAN = float("inf"), float("nan")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def check(program, *data, second=True):
    """``program(lib, *tensors)``: values, dtypes and gradients are PyTorch's; derivatives are those of finite differences."""
    torch = pytest.importorskip("torch")
    sides = []
    for lib in (tinyrnn, torch):
        tensors = [lib.tensor(np.asarray(x)) for x in data]
        for tensor in tensors:
            tensor.requires_grad_(tensor.is_floating_point())
        out = program(lib, *tensors)
        outputs = list(out) if isinstance(out, tuple) else [out]
        if outputs[0].requires_grad:
            weights = np.random.default_rng(9).normal(size=tuple(outputs[0].shape)).astype(str(outputs[0].dtype).split(".")[1])
            (outputs[0] * lib.tensor(weights)).sum().backward()
        sides.append((outputs, [tensor.grad for tensor in tensors]))
    for ours, theirs in zip(*(outputs + grads for outputs, grads in sides), strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert tuple(ours.shape) == tuple(theirs.shape) and str(ours.dtype)[8:] == str(theirs.dtype)[6:]
            np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6, atol=1e-12)
    floats = tuple([tinyrnn.tensor(x, requires_grad=True) for x in data if np.asarray(x).dtype == np.float64])
    if second and floats and len(floats) == len(data) and all(np.isfinite(x.detach().numpy()).all() for x in floats):
        assert gradcheck(lambda *x: program(tinyrnn, *x), floats)
        assert gradgradcheck(lambda *x: program(tinyrnn, *x), floats)


@pytest.mark.parametrize(
    "shape, arguments",
    [
        ((7,), (0, 3, 1)),
        ((7,), (0, 2, 3)),
        ((3, 8, 2), (1, 4, 2)),
        ((3, 5), (-1, 5, 1)),
        ((2, 3), (0, 1, 1)),
        ((4,), (0, 0, 1)),
    ],
)
def test_unfold(shape, arguments):
    check(lambda lib, x: x.unfold(*arguments), normal(*shape))


def test_unfold_is_a_view_with_a_history():
    base = tinyrnn.arange(5.0, requires_grad=True) * 1
    windows = base.unfold(0, 2, 1)
    base[1] = 10.0
    assert windows.tolist() == [[0, 10], [10, 2], [2, 3], [3, 4]]
    with pytest.raises(RuntimeError, match="windows along dimension 0 of shape"):
        base.unfold(0, 6, 1)


@pytest.mark.parametrize("data", [normal(5), normal(3, 4), np.array([2.0, 0.0, 3.0, 0.0, 4.0]), np.array(3.0), normal(0, 2)])
def test_cumprod(data):
    check(lambda lib, x: x.cumprod(0), data)
    check(lambda lib, x: lib.cumprod(x, -1), data)


def test_cumprod_of_integers_and_float32():
    check(lambda lib, x: x.cumprod(1), np.array([[1, 2, 3], [4, 5, 6]], np.int32))
    check(lambda lib, x: x.cumprod(0), normal(40).astype(np.float32))
    check(lambda lib, x: lib.cumprod(x, 0, dtype=lib.float64), np.array([1, 2, 3]))


def test_logaddexp():
    check(lambda lib, x, y: lib.logaddexp(x, y), normal(3, 1), normal(4))
    check(lambda lib, x, y: x.logaddexp(y), np.array([-INF, 0.0, 1000.0]), np.array([1.0, -INF, 1000.0]))


def test_nan_to_num():
    data = np.array([NAN, INF, -INF, 1.5])
    check(lambda lib, x: lib.nan_to_num(x), data)
    check(lambda lib, x: x.nan_to_num(1.0, posinf=2.0, neginf=-3.0), data)
    check(lambda lib, x: x.nan_to_num(), data.astype(np.float32))
    check(lambda lib, x: x.nan_to_num(), np.array([1, 2]))


@pytest.mark.parametrize("options", [{}, {"return_inverse": True}, {"return_counts": True, "return_inverse": True}, {"dim": 0}])
def test_unique(options):
    check(lambda lib, x: lib.unique(x, **options), np.array([[3, 1], [3, 1], [2, 3]]))
    check(lambda lib, x: x.unique(**options), np.array([[3, 1], [0, 1], [3, 1]], np.int32))


@pytest.mark.parametrize(
    "options", [{}, {"return_inverse": True}, {"return_counts": True, "return_inverse": True}, {"dim": 0}, {"dim": -1}]
)
def test_unique_consecutive(options):
    for data in ([1, 1, 2, 2, 2, 1, 3, 3], [[3, 1], [3, 1], [2, 3]], [[1, 1], [NAN, NAN]], []):
        check(lambda lib, x: lib.unique_consecutive(x.detach(), **options), np.array(data, np.float32))
    check(lambda lib, x: x.unique_consecutive(return_counts=True, return_inverse=True, dim=1), np.array([[1, 1, 2], [0, 0, 2]]))


def test_unique_keeps_every_nan():
    assert len(tinyrnn.unique(tinyrnn.tensor([NAN, 1.0, NAN]))) == 3


def test_bincount():
    x = np.array([1, 3, 1, 0])
    check(lambda lib, x: lib.bincount(x), x)
    check(lambda lib, x: x.bincount(minlength=7), x)
    for dtype in (np.float32, np.float64, np.int64):
        weights = np.arange(4).astype(dtype)
        check(lambda lib, x, weights=weights: lib.bincount(x, lib.tensor(weights)), x)
    with pytest.raises(RuntimeError, match="1-d non-negative integral inputs"):
        tinyrnn.bincount(tinyrnn.tensor([-1]))
    with pytest.raises(RuntimeError, match="same length as input, 4"):
        tinyrnn.bincount(tinyrnn.tensor(x), tinyrnn.ones(3))


@pytest.mark.parametrize("name", ["hstack", "vstack"])
@pytest.mark.parametrize("shapes", [[(3,), (3,)], [(2, 3), (2, 3)], [(2, 3, 1), (2, 3, 1)]])
def test_stacks(name, shapes):
    check(lambda lib, *x: getattr(lib, name)(x), *[normal(*shape, seed=i) for i, shape in enumerate(shapes)])


SIMILARITY = {
    "pairwise": lambda lib, x, y: lib.nn.functional.pairwise_distance(x, y),
    "pairwise 1": lambda lib, x, y: lib.nn.PairwiseDistance(p=1.0, eps=0.01, keepdim=True)(x, y[0]),
    "cdist": lambda lib, x, y: lib.cdist(x, y[:3]),
    "cdist 1": lambda lib, x, y: lib.cdist(x.reshape(2, 2, 3), y[:1], p=1.0),
    "cdist 3": lambda lib, x, y: lib.cdist(x, y, 3.0),
    "cdist inf": lambda lib, x, y: lib.cdist(x, y, p=INF),
    "triplet": lambda lib, x, y: lib.nn.TripletMarginLoss()(x, y, x * y),
    "triplet swap": lambda lib, x, y: lib.nn.TripletMarginLoss(2.0, 3.0, swap=True, reduction="none")(x, y, 0.3 * x),
    "triplet sum": lambda lib, x, y: lib.nn.functional.triplet_margin_loss(x, y, y[:1], margin=0.5, p=1, reduction="sum"),
    "normalize": lambda lib, x, y: lib.nn.functional.normalize(x) * y,
    "normalize 1": lambda lib, x, y: lib.nn.functional.normalize(x * y, p=1, dim=0),
    "cosine_similarity": lambda lib, x, y: lib.nn.functional.cosine_similarity(x, y),
    "CosineSimilarity": lambda lib, x, y: lib.nn.CosineSimilarity(dim=0, eps=0.5)(x, y),
    "ranking": lambda lib, x, y: lib.nn.MarginRankingLoss(0.3)(x, y, lib.ones(4, 3) - 2.0 * lib.eye(4)[:, :3]),
    "ranking sum": lambda lib, x, y: lib.nn.functional.margin_ranking_loss(x, y, lib.ones(1, 1), reduction="sum"),
    "cosine embedding": lambda lib, x, y: lib.nn.CosineEmbeddingLoss(0.1)(x, y, lib.tensor([1, -1, -1, 1])),
    "cosine embedding each": lambda lib, x, y: lib.nn.CosineEmbeddingLoss(reduction="none")(x, y, lib.tensor([1, -1, 1, -1])),
    "cosine embedding of vectors": lambda lib, x, y: lib.nn.functional.cosine_embedding_loss(x[0], y[0], lib.tensor(-1)),
}


@pytest.mark.parametrize("name", SIMILARITY)
def test_similarity(name):
    check(SIMILARITY[name], normal(4, 3), normal(4, 3, seed=1))


def test_normalize_of_zeros_has_no_nan():
    x = tinyrnn.zeros(2, 3, requires_grad=True)
    tinyrnn.nn.functional.normalize(x).sum().backward()
    assert not x.grad.isnan().any()
    check(
        lambda lib, x, y: lib.nn.CosineEmbeddingLoss()(x, y, lib.tensor([1, -1])), np.zeros((2, 3)), normal(2, 3), second=False
    )


def test_the_gradient_of_no_distance_is_no_nan():
    x = tinyrnn.ones(3, 2, requires_grad=True)
    tinyrnn.cdist(x, x.detach()).sum().backward()
    assert x.grad.tolist() == [[0, 0]] * 3


def test_distances_have_to_fit():
    with pytest.raises(RuntimeError, match=r"cdist: expected x1 \(..., M, D\) and x2 \(..., N, D\), got"):
        tinyrnn.cdist(tinyrnn.ones(2, 3), tinyrnn.ones(2, 4))
    with pytest.raises(RuntimeError, match="triplet_margin_loss: expected tensors of as many dimensions each"):
        tinyrnn.nn.functional.triplet_margin_loss(tinyrnn.ones(2, 3), tinyrnn.ones(3), tinyrnn.ones(3))
    for make in (tinyrnn.nn.TripletMarginLoss, lambda margin: tinyrnn.nn.functional.triplet_margin_loss(1, 1, 1, margin)):
        with pytest.raises(ValueError, match="margin must be greater than 0, got 0"):
            make(margin=0)


def test_targets_have_to_fit():
    with pytest.raises(RuntimeError, match="margin_ranking_loss: expected tensors of as many dimensions each"):
        tinyrnn.nn.MarginRankingLoss()(tinyrnn.ones(2, 3), tinyrnn.ones(2, 3), tinyrnn.ones(2))
    with pytest.raises(RuntimeError, match=r"need a target of shape \(N,\)"):
        tinyrnn.nn.CosineEmbeddingLoss()(tinyrnn.ones(2, 3), tinyrnn.ones(2, 3), tinyrnn.ones(2, 3))
