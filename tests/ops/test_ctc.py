"""The CTC loss: PyTorch's in values and, through log_softmax, gradients; differentiable twice; clear about bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn
from tinyrnn.autograd import grad, gradcheck, gradgradcheck
from tinyrnn.nn.functional import ctc_loss, log_softmax

REDUCTIONS = ["mean", "sum", "none"]


def batch(T, B, C, S, blank=0, seed=0):
    """Scores, padded targets and ragged lengths; the padding of targets is no class at all."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, C - 1, (B, S))
    targets += targets >= blank
    input_lengths, target_lengths = rng.integers(0, T + 1, B), rng.integers(0, S + 1, B)
    input_lengths[0] = T
    targets[np.arange(S) >= target_lengths[:, None]] = -7
    return 2 * rng.normal(size=(T, B, C)), targets, input_lengths, target_lengths


def joined(targets, lengths):
    return np.concatenate([row[:length] for row, length in zip(targets, lengths)])


def leaf(x):
    return tinyrnn.tensor(x, requires_grad=True)


def check_parity(scores, targets, *lengths, **options):
    """The same losses and, through log_softmax, gradients of scores as PyTorch's."""
    torch = pytest.importorskip("torch")
    ours, theirs = leaf(scores), torch.tensor(scores, requires_grad=True)
    y = ctc_loss(log_softmax(ours, -1), tinyrnn.tensor(targets), *[tinyrnn.tensor(each) for each in lengths], **options)
    z = torch.nn.functional.ctc_loss(
        theirs.log_softmax(-1), torch.tensor(targets), *[torch.tensor(each) for each in lengths], **options
    )
    assert y.array.shape == tuple(z.shape) and y.array.dtype == scores.dtype
    tolerance = 1e-11 if scores.dtype == np.float64 else 2e-4
    np.testing.assert_allclose(y.array, z.detach().numpy(), rtol=tolerance, atol=tolerance)
    y.sum().backward()
    z.sum().backward()
    assert ours.grad.dtype is ours.dtype
    np.testing.assert_allclose(ours.grad.array, theirs.grad.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@settings(max_examples=25, deadline=None)
@given(
    T=st.integers(1, 15),
    B=st.integers(1, 5),
    C=st.integers(2, 7),
    S=st.integers(0, 6),
    blank=st.integers(0, 6),
    zero_infinity=st.booleans(),
    one_after_the_other=st.booleans(),
    seed=st.integers(0, 999),
)
def test_parity(dtype, reduction, T, B, C, S, blank, zero_infinity, one_after_the_other, seed):
    scores, targets, *lengths = batch(T, B, C, S, blank % C, seed)
    if one_after_the_other:
        targets = joined(targets, lengths[1])
    options = {"blank": blank % C, "reduction": reduction, "zero_infinity": zero_infinity}
    check_parity(scores.astype(dtype), targets, *lengths, **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_one_sequence(reduction):
    scores, targets = batch(6, 1, 4, 2)[0][:, 0], np.array([3, 3])
    check_parity(scores, targets, np.array(5), np.array(2), reduction=reduction)
    check_parity(scores, targets[None], np.array([6]), np.array([2]), reduction=reduction)
    check_parity(scores, targets[:0], np.array([6]), np.array([0]), reduction=reduction)


def test_lengths_and_targets_of_any_kind():
    scores, targets, input_lengths, target_lengths = batch(8, 4, 5, 3)
    x = log_softmax(tinyrnn.tensor(scores), 2)
    padded = np.maximum(targets, 0)
    expected = ctc_loss(x, tinyrnn.tensor(padded), tinyrnn.tensor(input_lengths), tinyrnn.tensor(target_lengths))
    for dtype in ("uint8", "int16", "int32", "int64"):
        given = [tinyrnn.tensor(each.astype(dtype)) for each in (padded, input_lengths, target_lengths)]
        assert ctc_loss(x, *given).item() == expected.item()
    for make in (tuple, list, np.array):
        lengths = make(input_lengths.tolist()), make(target_lengths.tolist())
        assert ctc_loss(x, tinyrnn.tensor(padded), *lengths).item() == expected.item()
        assert ctc_loss(x.numpy(), padded, *lengths) == expected.item()
    wide = np.pad(padded, ((0, 0), (0, 3)), constant_values=99)  # more columns than the longest target has labels
    assert ctc_loss(x, tinyrnn.tensor(wide), tinyrnn.tensor(input_lengths), target_lengths).item() == expected.item()


def test_no_steps_no_labels_no_sequences():
    x = tinyrnn.zeros(3, 2, 4)
    none = tinyrnn.zeros(2, 0, dtype=tinyrnn.int64)
    assert ctc_loss(x, none, (0, 3), (0, 0), reduction="none").tolist() == [0, 0]
    assert ctc_loss(x[:0], none, (0, 0), (0, 0), reduction="none").tolist() == [0, 0]
    assert ctc_loss(x[:0], none + 1, (0, 0), (0, 0)).item() == 0
    assert ctc_loss(x, tinyrnn.tensor([2, 3]), (0, 3), (1, 1), reduction="none").tolist()[0] == math.inf
    assert ctc_loss(x[:, :0], none[:0], (), (), reduction="sum").item() == 0


def test_padding_is_not_looked_at():
    scores, targets, input_lengths, target_lengths = batch(9, 4, 5, 3, seed=3)
    lengths = np.maximum(input_lengths, 6), target_lengths
    lengths[0][1] = 7
    clean = log_softmax(tinyrnn.tensor(scores), 2).array
    poisoned = clean.copy()
    for b, length in enumerate(lengths[0]):
        poisoned[length:, b] = math.nan
    for create_graph in (False, True):
        x, y = leaf(clean), leaf(poisoned)
        losses = [ctc_loss(each, targets, *lengths) for each in (x, y)]
        assert losses[0].item() == losses[1].item()
        slopes = [grad(loss, each, create_graph=create_graph)[0] for loss, each in zip(losses, (x, y))]
        np.testing.assert_array_equal(*[slope.numpy(force=True) for slope in slopes])
        assert (slopes[1].numpy(force=True)[np.isnan(poisoned)] == 0).all()
    for order in (2, 3):
        slopes = [grad((slope * slope).sum(), each, create_graph=order == 2)[0] for slope, each in zip(slopes, (x, y))]
        np.testing.assert_array_equal(*[slope.numpy(force=True) for slope in slopes])
        assert (slopes[1].numpy(force=True)[np.isnan(poisoned)] == 0).all()


# ---- derivatives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("blank", [0, 2])
def test_derivatives(reduction, blank):
    scores, targets, input_lengths, target_lengths = batch(6, 4, 3, 2, blank, seed=1)
    input_lengths[1:] = [4, 5, 3]
    x = leaf(log_softmax(tinyrnn.tensor(scores), 2).array)

    def loss(x):
        return ctc_loss(x, targets, input_lengths, target_lengths, blank, reduction)

    assert np.isfinite(loss(x).numpy(force=True)).all()
    assert gradcheck(loss, (x,))
    assert gradgradcheck(loss, (x,))


def test_derivatives_in_third_order():
    x = leaf(log_softmax(tinyrnn.tensor(batch(3, 1, 3, 1)[0]), 2).array)

    def slope(x):
        return grad(ctc_loss(x, np.array([[1]]), (3,), (1,)), x, create_graph=True)[0]

    assert gradgradcheck(slope, (x,))


@settings(max_examples=25, deadline=None)
@given(T=st.integers(0, 9), B=st.integers(1, 4), C=st.integers(2, 5), S=st.integers(0, 5), seed=st.integers(0, 999))
def test_the_recorded_gradient_is_that_of_the_kernel(T, B, C, S, seed):
    """Also NaN where no path spells the target."""
    scores, targets, *lengths = batch(T, B, C, S, seed=seed)
    scores[:, :, -1] = -math.inf
    x = leaf(log_softmax(tinyrnn.tensor(scores), 2).array)
    losses = ctc_loss(x, targets, *lengths, reduction="none")
    weights = tinyrnn.tensor(np.linspace(1, 2, B))
    direct, recorded = [grad(losses, x, weights, True, create_graph=recorded)[0] for recorded in (False, True)]
    np.testing.assert_allclose(recorded.numpy(force=True), direct.array, rtol=1e-11, atol=1e-13)
    assert np.isnan(direct.array[: lengths[0][0], 0]).all() == math.isinf(losses[0].item()) or T == 0


def test_classes_of_probability_0_are_no_obstacle():
    """What no path can do adds nothing to first and second derivatives, whether or not all paths are so."""
    x = log_softmax(tinyrnn.tensor(batch(20, 3, 4, 2)[0]), 2).array
    x[2:17] = -math.inf
    x[2:17, :, 0] = -0.5
    x[3:16, 2, 0] = -math.inf
    x, targets, lengths = leaf(x), np.array([[1, 3], [2, 2], [1, 2]]), ((20, 19, 20), (2, 2, 2))
    losses = ctc_loss(x, targets, *lengths, reduction="none", zero_infinity=True)
    assert (losses.numpy(force=True) > 0).tolist() == [True, True, False]
    (slope,) = grad(losses.sum(), x, create_graph=True)
    (direct,) = grad(losses.sum(), x)
    np.testing.assert_allclose(slope.numpy(force=True), direct.array, atol=1e-12)
    (curvature,) = grad((slope * slope).sum(), x)
    assert np.isfinite(curvature.array).all() and curvature.array[:, :2].any() and not curvature.array[:, 2].any()


@pytest.mark.parametrize("create_graph", [False, True])
def test_impossible_targets(create_graph):
    """Two equal labels need a blank between them, and three steps."""
    x = leaf(log_softmax(tinyrnn.tensor(batch(3, 3, 4, 2)[0]), 2).array)
    targets, lengths = np.array([[2, 2], [1, 3], [2, 2]]), ((2, 2, 3), (2, 2, 2))
    losses = ctc_loss(x, targets, *lengths, reduction="none")
    assert np.isposinf(losses.numpy(force=True)).tolist() == [True, False, False]
    (slope,) = grad(losses.sum(), x, create_graph=create_graph)
    assert np.isnan(slope.numpy(force=True)).all(2).tolist() == [[True, False, False]] * 2 + [[False] * 3]
    losses = ctc_loss(x, targets, *lengths, reduction="none", zero_infinity=True)
    assert losses[0].item() == 0 < losses[1].item()
    (slope,) = grad(losses.sum(), x, create_graph=create_graph)
    assert (slope.numpy(force=True)[:, 0] == 0).all() and (slope.numpy(force=True)[:2, 1:].sum(2) < 0).all()
    if create_graph:
        (curvature,) = grad((slope * slope).sum(), x)
        assert np.isfinite(curvature.array).all() and (curvature.array[:, 0] == 0).all()


def test_nan_is_not_hidden():
    x = batch(3, 2, 4, 2)[0]
    x[1, 0] = math.nan
    losses = ctc_loss(leaf(x), np.array([[1], [1]]), (3, 3), (1, 1), reduction="none", zero_infinity=True)
    assert np.isnan(losses.numpy(force=True)).tolist() == [True, False]


def test_writing_over_what_was_saved_is_noticed():
    x = leaf(batch(3, 1, 4, 1)[0])
    y = x * 1
    loss = ctc_loss(y, np.array([[1]]), (3,), (1,))
    y.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation: ctc"):
        loss.backward()


# ---- bad input -----------------------------------------------------------------------------------------------------

X, T2, TEN, TWO = tinyrnn.zeros(10, 2, 5), tinyrnn.tensor([[1, 2], [3, 4]]), (10, 10), (2, 2)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((X.long(), T2, TEN, TWO), {}, NotImplementedError, "ctc_loss is not implemented for int64 tensors"),
        ((X.tolist(), T2, TEN, TWO), {}, TypeError, "ctc_loss: expected a tensor, got list"),
        ((X[0, 0], T2, TEN, TWO), {}, RuntimeError, r"expected log_probs of shape \(T, B, C\).* got shape \(5,\); add"),
        ((X[None], T2, TEN, TWO), {}, RuntimeError, r"got shape \(1, 10, 2, 5\)"),
        ((X, T2.float(), TEN, TWO), {}, RuntimeError, r"targets are float32, expected integers; convert them with \.long"),
        ((X, T2 > 0, TEN, TWO), {}, RuntimeError, "targets are bool, expected integers"),
        ((X, T2[None], TEN, TWO), {}, RuntimeError, r"padded to \(2, S\) with S of at least 2.* got shape \(1, 2, 2\)"),
        ((X, T2[:1], TEN, TWO), {}, RuntimeError, r"got shape \(1, 2\)"),
        ((X, T2, TEN, (2, 3)), {}, RuntimeError, r"S of at least 3, the greatest of target_lengths, .*got shape \(2, 2\)"),
        ((X, T2.flatten(), TEN, (2, 1)), {}, RuntimeError, r"one after the other, \(3,\), .* got shape \(4,\)"),
        ((X, T2, (10, 11), TWO), {}, RuntimeError, r"input_lengths\[1\] is 11, expected at most 10, .* \(10, 2, 5\)"),
        ((X, T2, (10, -1), TWO), {}, RuntimeError, r"input_lengths\[1\] is -1, expected a length of at least 0"),
        ((X, T2, TEN, (-2, 2)), {}, RuntimeError, r"target_lengths\[0\] is -2, expected a length of at least 0"),
        ((X, T2, (10,), TWO), {}, RuntimeError, r"input_lengths must be of size batch_size, \(2,\).* got \(1,\)"),
        ((X, T2, TEN, 2), {}, RuntimeError, r"target_lengths must be of size batch_size, \(2,\).* got \(\)"),
        ((X, T2, (10.0, 9.5), TWO), {}, RuntimeError, "input_lengths must be integral, got float64"),
        ((X, T2, TEN, TWO), {"blank": 5}, RuntimeError, "blank must be in label range, 0 to 4 for 5 classes, got 5"),
        ((X, T2, TEN, TWO), {"blank": -1}, RuntimeError, "blank must be in label range"),
        ((X, T2 + 1, TEN, TWO), {}, IndexError, r"target 5 at position \(1, 1\) is out of range: classes=5"),
        ((X, T2 - 2, TEN, TWO), {}, IndexError, r"target -1 at position \(0, 0\) is out of range"),
        (
            (X, T2, TEN, TWO),
            {"blank": 4},
            ValueError,
            r"target 1 of sequence 1 is 4, the blank, .*pass another blank=, .*target_lengths\[1\], which is 2",
        ),
        ((X, T2, TEN, TWO), {"reduction": "avg"}, ValueError, "avg is not a valid value for reduction"),
        ((X[:, 0], T2[0], 10, 1), {}, RuntimeError, r"one after the other, \(1,\), .* got shape \(2,\)"),
    ],
)
def test_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        ctc_loss(*arguments, **options)


def test_lengths_may_change_before_backward():
    x = log_softmax(tinyrnn.zeros(4, 2, 3), 2).requires_grad_()
    targets, steps, labels = tinyrnn.tensor([[1, 2], [2, 1]]), tinyrnn.tensor([4, 3]), tinyrnn.tensor([2, 1])
    (expected,) = grad(ctc_loss(x, targets, steps, labels), [x])
    loss = ctc_loss(x, targets, steps, labels)
    steps.add_(10**9)
    labels.add_(10**9)
    (gradient,) = grad(loss, [x])
    np.testing.assert_array_equal(gradient.array, expected.array)
