"""Location-aware and coverage attention: the papers' formulas step by step, masks, states between calls, the coverage loss."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.autograd import gradcheck, gradgradcheck

F64 = tinyrnn.float64
B, Tq, S, Dq, Dk, A = 3, 4, 5, 4, 3, 6
KEEP = np.array([[True, True, False, True, True], [True, True, True, False, False], [False] * 5])


def draw(*shape, seed=0):
    return tinyrnn.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def make(kind):
    if kind == "coverage":
        return nn.CoverageAttention(Dq, Dk, A, dtype=F64)
    return nn.LocationAwareAttention(Dq, Dk, A, filters=2, width=3, dtype=F64)


KINDS = ["coverage", "location"]


def by_hand(layer, query, keys, values, keep, alignment):
    """The formulas, one row, one query and one position at a time."""
    p = {name: each.detach().numpy() for name, each in layer.named_parameters()}
    W, V, v = p["query_projection.weight"], p["key_projection.weight"], p["v"]
    contexts, weights = np.zeros((B, Tq, values.shape[2])), np.zeros((B, Tq, S))
    for b in range(B):
        known = alignment[b].copy()
        for t in range(Tq):
            kept = np.flatnonzero(keep[b])
            if not kept.size:
                continue
            scores = []
            for s in kept:
                if "coverage" in p:
                    term = p["coverage"] * known[s]
                else:
                    near = [known[s + k] if 0 <= s + k < S else 0.0 for k in (-1, 0, 1)]
                    term = p["filter_projection"] @ (p["filters"] @ near)
                scores.append(v @ np.tanh(W @ query[b, t] + V @ keys[b, s] + term))
            e = np.exp(scores)
            weights[b, t, kept] = e / e.sum()
            contexts[b, t] = weights[b, t] @ np.where(keep[b][:, None], values[b], 0)
            known = known + weights[b, t] if "coverage" in p else weights[b, t]
    return contexts, weights


def assert_close(a, b):
    a, b = (each.detach().numpy() if hasattr(each, "detach") else each for each in (a, b))
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masking", ["none", "mask", "queries", "lengths"])
@pytest.mark.parametrize("known", [False, True])
def test_equals_the_formula(kind, masking, known):
    layer = make(kind)
    query, keys, values = draw(B, Tq, Dq), draw(B, S, Dk, seed=1), draw(B, S, 2, seed=2)
    keep, options = np.ones((B, S), bool), {}
    if masking in ("mask", "queries"):
        keep = KEEP
        options["mask"] = keep if masking == "mask" else np.repeat(keep[:, None], Tq, 1)
    if masking == "lengths":
        options["lengths"] = [5, 2, 0]
        keep = np.arange(S) < np.array([5, 2, 0])[:, None]
    alignment = tinyrnn.from_numpy(np.where(keep, np.abs(draw(B, S, seed=3).numpy()), 0)) if known else None
    context, weights, _ = layer(query, keys, values, alignment=alignment, **options)
    start = alignment.numpy() if known else np.zeros((B, S))
    expected = by_hand(layer, query.numpy(), keys.numpy(), values.numpy(), keep, start)
    assert_close(context, expected[0])
    assert_close(weights, expected[1])


@pytest.mark.parametrize("kind", KINDS)
def test_steps_equal_all_at_once_and_so_do_chunks(kind):
    layer = make(kind)
    query, keys = draw(B, Tq, Dq), draw(B, S, Dk, seed=1)
    context, weights, last = layer(query, keys, mask=KEEP)
    source, alignment = layer.prepare(keys, mask=KEEP), None
    for t in range(Tq):
        step_context, step_weights, alignment = layer.attend(query[:, t], source, alignment)
        assert step_context.shape == (B, Dk) and step_weights.shape == (B, S)
        assert_close(step_context, context[:, t])
        assert_close(step_weights, weights[:, t])
    assert_close(alignment, last)
    _, first, alignment = layer(query[:, :2], keys, mask=KEEP)
    _, second, alignment = layer(query[:, 2:], keys, mask=KEEP, alignment=alignment)
    assert_close(tinyrnn.cat([first, second], 1), weights)
    assert_close(alignment, last)


@pytest.mark.parametrize("kind", KINDS)
def test_poison_behind_the_mask_does_not_leak(kind):
    layer = make(kind)

    def run(fill):
        keys = draw(B, S, Dk, seed=1).numpy().copy()
        keys[~KEEP] = fill
        keys, query = tinyrnn.from_numpy(keys).requires_grad_(), draw(B, Tq, Dq).requires_grad_()
        layer.zero_grad()
        context, weights, alignment = layer(query, keys, mask=KEEP)
        (context.sum() + (weights * draw(B, Tq, S)).sum() + alignment.sum()).backward()
        leaves = (query, keys, *layer.parameters())
        return [each.detach().numpy() for each in (context, weights, alignment)] + [leaf.grad.numpy() for leaf in leaves]

    for a, b in zip(run(np.nan), run(0.0)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives(kind):
    layer = make(kind)
    names = [name for name, _ in layer.named_parameters()]

    def call(query, keys, alignment, *parameters):
        for name, parameter in zip(names, parameters):
            owner, _, last = name.rpartition(".")
            layer.get_submodule(owner)._parameters[last] = parameter
        return layer(query, keys, mask=KEEP[:2, :3], alignment=alignment)

    inputs = [draw(2, 2, Dq), draw(2, 3, Dk, seed=1), draw(2, 3, seed=2), *[p.detach() for p in layer.parameters()]]
    inputs = [each.requires_grad_() for each in inputs]
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


def test_the_coverage_loss_is_its_formula():
    weights = draw(B, Tq, S).softmax(-1).requires_grad_()
    w = weights.detach().numpy()
    losses = np.zeros((B, Tq))
    for b, t, s in np.ndindex(B, Tq, S):
        losses[b, t] += min(w[b, t, s], w[b, :t, s].sum())
    assert_close(nn.CoverageLoss()(weights), losses.mean())
    kept = np.arange(Tq) < np.array([4, 0, 2])[:, None]
    poisoned = weights.detach().clone()
    poisoned[tinyrnn.from_numpy(~kept)] = float("nan")
    assert_close(nn.CoverageLoss()(poisoned, [4, 0, 2]), losses[kept].mean())
    assert gradcheck(lambda weights: nn.CoverageLoss()(weights, [4, 0, 2]), (weights,))
    assert nn.CoverageLoss()(weights[:, :1]).item() == 0


def ones(*shape):
    return tinyrnn.ones(*shape, dtype=F64)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: nn.LocationAwareAttention(4, 3, 6, width=4), "width must be odd, for a filter has a middle, got 4"),
        (lambda: nn.LocationAwareAttention(4, 3, 6, filters=0), "filters must be greater than zero"),
        (lambda: make("coverage")(ones(2, 3, 4), ones(2, 5, 3), alignment=ones(2, 4)),
         r"CoverageAttention: alignment has shape \(2, 4\), expected \(batch, source\) = \(2, 5\)"),
        (lambda: make("location")(ones(2, 3, 4), ones(2, 5, 3), alignment=[1]), "alignment is a list, expected a tensor"),
        (lambda: make("location")(ones(2, 3, 5), ones(2, 5, 3)), "query has 5 features, expected query_size=4"),
        (lambda: nn.CoverageLoss()(ones(2, 3)), r"weights are shape \(2, 3\), expected a tensor \(batch, queries, source\)"),
        (lambda: nn.CoverageLoss()(ones(2, 3, 4), [3, 4]), r"lengths\[1\] is 4, expected 0 to 3, the number of queries"),
    ],
)  # fmt: skip
def test_wrong_calls(call, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        call()
