"""Losses: equal to PyTorch in values, shapes and gradients, differentiable twice, clear about bad input."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.creation import new
from tinyrnn.ops import losses

REDUCTIONS = ["mean", "sum", "none"]


def leaf(array):
    tensor = new(np.array(array))
    tensor.tracked = tensor.array.dtype.kind == "f"
    return tensor


def random(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def check_parity(name, arrays, options=None, rtol=1e-11):
    """The same values and gradients as torch.nn.functional's function of that name, for float32 and float64."""
    torch = pytest.importorskip("torch")
    options = options or {}
    for dtype, tolerance in (("float64", rtol), ("float32", 1e-4)):
        typed = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
        ours, theirs = [leaf(a) for a in typed], [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in typed]
        constants = {k: v.astype(dtype) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        y = getattr(losses, name)(*ours, **{k: new(v) if isinstance(v, np.ndarray) else v for k, v in constants.items()})
        z = getattr(torch.nn.functional, name)(
            *theirs, **{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in constants.items()}
        )
        assert y.array.shape == tuple(z.shape) and y.array.dtype == dtype
        np.testing.assert_allclose(y.array, z.detach().numpy(), rtol=tolerance, atol=tolerance)
        weights = random(y.array.shape, 5).astype(dtype)
        y.backward(new(weights))
        z.backward(torch.tensor(weights))
        for a, b in zip(ours, theirs, strict=True):
            if b.requires_grad:
                assert a.grad.array.dtype == dtype and a.grad.array.shape == a.array.shape
                np.testing.assert_allclose(a.grad.array, b.grad.numpy(), rtol=tolerance, atol=tolerance)


# ---- classification ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("inner", [None, (), (2,), (2, 3)], ids=str)
@settings(max_examples=12, deadline=None)
@given(
    n=st.integers(1, 4),
    classes=st.integers(1, 5),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    weighted=st.booleans(),
    ignore_index=st.sampled_from([-100, 0, 2]),
    seed=st.integers(0, 99),
)
def test_class_indices(reduction, inner, n, classes, smoothing, weighted, ignore_index, seed):
    shape = (classes,) if inner is None else (n, classes, *inner)
    generator = np.random.default_rng(seed)
    target = generator.integers(0, classes, () if inner is None else (n, *inner))
    target = np.where(generator.random(target.shape) < 0.2, ignore_index, target)
    options = {"reduction": reduction, "ignore_index": ignore_index}
    if weighted:
        options["weight"] = generator.random(classes) + 0.1
    arrays = random(shape, seed), target
    if inner is None and target == ignore_index:
        return  # PyTorch's own answer for a single ignored target differs between its functions
    check_parity("cross_entropy", arrays, {**options, "label_smoothing": smoothing})
    check_parity("nll_loss", arrays, options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 4, 3), (1, 1)], ids=str)
def test_class_probabilities(shape, weighted, smoothing, reduction):
    options = {"reduction": reduction, "label_smoothing": smoothing}
    if weighted:
        options["weight"] = np.arange(1.0, 1 + shape[0 if len(shape) == 1 else 1])
    check_parity("cross_entropy", (random(shape), np.abs(random(shape, 1))), options)


@pytest.mark.parametrize("inner", [None, (), (2,)], ids=str)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"weighted": True, "reduction": "sum"}], ids=str)
def test_cross_entropy_derivatives(options, inner):
    options = dict(options)
    if options.pop("weighted", False):
        options["weight"] = np.array([0.5, 1.0, 2.0])
    shape = (3,) if inner is None else (2, 3, *inner)
    target = {None: np.array(1), (): np.array([2, -100]), (2,): np.array([[0, 1], [-100, 2]])}[inner]
    x, q = leaf(random(shape)), leaf(np.abs(random(shape, 1)))
    assert gradcheck(lambda x: losses.cross_entropy(x, target, **options), (x,))
    assert gradgradcheck(lambda x: losses.cross_entropy(x, target, **options), (x,))
    assert gradcheck(lambda x, q: losses.cross_entropy(x, q, **options), (x, q))
    assert gradgradcheck(lambda x, q: losses.cross_entropy(x, q, **options), (x, q))
    options.pop("label_smoothing", None)
    assert gradcheck(lambda x: losses.nll_loss(x, target, **options), (x,))


def test_cross_entropy_in_third_order():
    x = leaf(random((2, 3)))
    target = np.array([2, 0])

    def slope(x):
        p = x.softmax(1)
        return losses.cross_entropy(x * p, target, reduction="none")

    assert gradgradcheck(slope, (x,))


def test_ignored_rows_may_hold_anything():
    x = random((3, 4))
    x[1] = math.nan
    target = np.array([0, -100, 3])
    poisoned = leaf(x)
    loss = losses.cross_entropy(poisoned, target, label_smoothing=0.1)
    loss.backward()
    clean = leaf(x[[0, 2]])
    expected = losses.cross_entropy(clean, target[[0, 2]], label_smoothing=0.1)
    expected.backward()
    np.testing.assert_allclose(loss.array, expected.array)
    np.testing.assert_allclose(poisoned.grad.array[[0, 2]], clean.grad.array)
    assert (poisoned.grad.array[1] == 0).all()


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_all_ignored(name):
    x = leaf(random((2, 3)))
    target = np.array([-100, -100])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = getattr(losses, name)(x, target)
        assert math.isnan(loss.array) and getattr(losses, name)(x, target, reduction="sum").array == 0
        assert getattr(losses, name)(x, target, reduction="none").array.tolist() == [0, 0]


def test_huge_scores():
    check_parity("cross_entropy", (np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]]), np.array([0, 0])))


def test_any_integer_dtype_and_plain_arrays():
    x, target = random((3, 4)), np.array([0, 1, 3])
    expected = losses.cross_entropy(x, target)
    assert type(expected) is np.ndarray
    for dtype in ("uint8", "int32"):
        np.testing.assert_allclose(losses.cross_entropy(x, target.astype(dtype)), expected)
    np.testing.assert_allclose(losses.cross_entropy(np.asfortranarray(x), target), expected)
    assert losses.cross_entropy(x.astype(np.float16), target).dtype == np.float16


X = leaf(np.ones((3, 4)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: losses.cross_entropy(X, np.array([1, 7, 2])),
            IndexError,
            r"cross_entropy: target 7 at position \(1,\) is out of range: classes=4, so expected 0 to 3",
        ),
        (lambda: losses.cross_entropy(X, np.array([1, -1, 2])), IndexError, r"target -1 at position \(1,\)"),
        (lambda: losses.cross_entropy(leaf([1.0, 2.0]), np.array(2)), IndexError, "target 2 is out of range"),
        (lambda: losses.nll_loss(X, np.array([1, 7, 2])), IndexError, "nll_loss: target 7 .*classes=4"),
        (lambda: losses.cross_entropy(X, np.array([1, 2])), ValueError, r"\(3, 4\) needs targets of shape \(3,\), got \(2,\)"),
        (lambda: losses.cross_entropy(X, np.ones((3, 2), int)), ValueError, "needs targets of shape"),
        (lambda: losses.cross_entropy(X, np.ones(3)), RuntimeError, "float targets are class probabilities"),
        (lambda: losses.cross_entropy(X, np.ones((3, 4)), ignore_index=1), RuntimeError, "ignore_index is not supported"),
        (lambda: losses.cross_entropy(X, np.array([True] * 3)), RuntimeError, "integer class indices, got bool"),
        (lambda: losses.nll_loss(X, np.ones(3)), RuntimeError, "integer class indices, got float64"),
        (lambda: losses.cross_entropy(leaf(1.0), np.array(0)), RuntimeError, r"got shape \(\)"),
        (lambda: losses.cross_entropy(X, np.zeros(3, int), np.ones(3)), RuntimeError, "all 4 classes"),
        (lambda: losses.cross_entropy(X, np.zeros(3, int), label_smoothing=2), RuntimeError, "between 0.0 and 1.0"),
        (lambda: losses.cross_entropy(X, np.zeros(3, int), reduction="avg"), ValueError, "avg is not a valid value"),
        (lambda: losses.mse_loss(X, X, reduction="avg"), ValueError, "avg is not a valid value"),
        (lambda: losses.smooth_l1_loss(X, X, beta=-1), RuntimeError, "negative values for beta"),
        (lambda: losses.binary_cross_entropy(X + 1, X), RuntimeError, "between 0 and 1"),
        (lambda: losses.binary_cross_entropy(X, np.ones(4)), ValueError, r"target size \(\(4,\)\)"),
        (lambda: losses.binary_cross_entropy_with_logits(X, np.ones(4)), ValueError, r"target size \(\(4,\)\)"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---- regression and binary classification --------------------------------------------------------------------------

PAIRS = {
    "mse_loss": {},
    "l1_loss": {},
    "smooth_l1_loss": {"beta": 0.7},
    "binary_cross_entropy": {},
    "binary_cross_entropy_with_logits": {},
}


def pair(name, shape):
    x, t = random(shape), random(shape, 1)
    if "binary" in name:
        t = 1 / (1 + np.exp(-t))
    return (1 / (1 + np.exp(-x)) if name == "binary_cross_entropy" else x), t


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (0, 2)], ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name, shape, reduction):
    check_parity(name, pair(name, shape), {**PAIRS[name], "reduction": reduction}, rtol=1e-9)


@pytest.mark.parametrize("name", PAIRS)
def test_pair_derivatives(name):
    x, t = [leaf(a) for a in pair(name, (2, 3))]
    assert gradcheck(lambda x, t: getattr(losses, name)(x, t, **PAIRS[name]), (x, t))
    assert gradgradcheck(lambda x, t: getattr(losses, name)(x, t, **PAIRS[name]), (x, t))


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss"])
def test_different_shapes_broadcast_with_a_warning(name):
    with pytest.warns(UserWarning, match="different to the input size"):
        check_parity(name, (random((3, 1)), random((4,), 1)))


@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_cross_entropy_with_logits"])
def test_weights_of_binary_losses(name):
    check_parity(name, pair(name, (3, 4)), {"weight": np.array([1.0, 2.0, 0.5, 0.0])}, rtol=1e-9)
    if name.endswith("logits"):
        check_parity(name, pair(name, (3, 4)), {"pos_weight": np.array([1.0, 2.0, 0.5, 3.0])}, rtol=1e-9)


def test_binary_losses_at_the_ends():
    torch = pytest.importorskip("torch")
    ends, target = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0])
    x, z = leaf(ends), torch.tensor(ends, requires_grad=True)
    losses.binary_cross_entropy(x, target).backward()
    torch.nn.functional.binary_cross_entropy(z, torch.tensor(target)).backward()
    # PyTorch bounds the denominator of the gradient by 1e-12 in single precision
    np.testing.assert_allclose(x.grad.array, z.grad.numpy(), rtol=1e-7)
    # PyTorch's gradient of the target is infinite here; ours is that of the bounded logarithms
    t = leaf(target)
    losses.binary_cross_entropy(ends, t, reduction="sum").backward()
    assert t.grad.array.tolist() == [100, -100, 100, -100]
    check_parity("binary_cross_entropy_with_logits", (np.array([1e3, -1e3, 1e3, 0.0]), np.array([0.0, 1.0, 1.0, 0.0])))


def test_smooth_l1_is_l1_for_beta_0():
    check_parity("smooth_l1_loss", pair("l1_loss", (3,)), {"beta": 0})


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.nll_loss])
def test_targets_may_change_before_backward(loss):
    x, targets = leaf(np.zeros((2, 3))), np.array([0, 2])
    y = loss(x, targets, reduction="sum")
    targets[:] = 10**9
    y.backward()
    expected = leaf(np.zeros((2, 3)))
    loss(expected, np.array([0, 2]), reduction="sum").backward()
    np.testing.assert_array_equal(x.grad.array, expected.grad.array)
