"""Attention layers: the papers' formulas, masks, lengths, and step by step against all at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrnn import dtypes
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.creation import tensor
from tinyrnn.nn.aligned_attention import CoverageAttention, LocationAwareAttention
from tinyrnn.nn.attention import AdditiveAttention, DotAttention, GeneralAttention, ScaledDotAttention
from tinyrnn.nn.multihead import MultiheadAttention

F64 = dtypes.float64
KINDS = ["dot", "scaled dot", "general", "additive"]
Dq, Dk = 4, 3


def make(kind, query_size=Dq, key_size=Dk):
    if kind == "dot":
        return DotAttention()
    if kind == "scaled dot":
        return ScaledDotAttention()
    if kind == "general":
        return GeneralAttention(query_size, key_size, dtype=F64)
    return AdditiveAttention(query_size, key_size, 6, dtype=F64)


def key_size(kind):
    return Dq if "dot" in kind else Dk


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def leaf(array):
    return tensor(array, requires_grad=True)


def by_hand(kind, layer, query, keys, values, keep):
    """One row at a time, only over what is kept."""
    parameters = {name: p.array for name, p in layer.named_parameters()}
    B, Tq, S = len(query), query.shape[1], keys.shape[1]
    context, weights = np.zeros((B, Tq, values.shape[2])), np.zeros((B, Tq, S))
    for b, t in np.ndindex(B, Tq):
        kept = np.flatnonzero(keep[b, t])
        if not kept.size:
            continue
        q, k = query[b, t], keys[b, kept]
        if "dot" in kind:
            scores = [q @ each / (Dq**0.5 if kind == "scaled dot" else 1) for each in k]
        elif kind == "general":
            scores = [q @ parameters["key_projection.weight"] @ each for each in k]
        else:
            W, U = parameters["query_projection.weight"], parameters["key_projection.weight"]
            scores = [parameters["v"] @ np.tanh(W @ q + U @ each) for each in k]
        e = np.exp(scores - np.max(scores))
        weights[b, t, kept] = e / e.sum()
        context[b, t] = weights[b, t, kept] @ values[b, kept]
    return context, weights


def assert_close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(KINDS), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5),
    st.sampled_from(["none", "2d", "3d", "lengths", "both", "tensor"]), st.booleans(), st.integers(0, 999),
)  # fmt: skip
def test_equals_the_formula_row_by_row(kind, B, Tq, S, masking, own_values, seed):
    random = np.random.default_rng(seed)
    layer = make(kind)
    query, keys = draw(B, Tq, Dq, seed=seed), draw(B, S, key_size(kind), seed=seed + 1)
    values = draw(B, S, 5, seed=seed + 2) if own_values else keys
    mask = random.random((B, S) if masking in ("2d", "both", "tensor") else (B, Tq, S)) < 0.6
    lengths = random.integers(0, S + 1, B)
    keep = np.ones((B, Tq, S), bool)
    options = {}
    if masking in ("2d", "both", "tensor"):
        options["mask"] = tensor(mask) if masking == "tensor" else mask
        keep = keep & mask[:, None]
    if masking == "3d":
        options["mask"], keep = mask, mask
    if masking in ("lengths", "both"):
        options["lengths"] = lengths
        keep = keep & (np.arange(S) < lengths[:, None])[:, None]
    context, weights = layer(tensor(query), tensor(keys), tensor(values) if own_values else None, **options)
    expected = by_hand(kind, layer, query, keys, values, keep)
    assert_close(context.array, expected[0])
    assert_close(weights.array, expected[1])
    sums = weights.array.sum(-1)
    assert_close(sums, keep.any(-1).astype(float))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mask_rank", [2, 3])
def test_what_is_masked_reaches_neither_values_nor_gradients(kind, mask_rank):
    layer = make(kind)
    keep = np.array([[True, False, True, False], [True, True, False, False], [False] * 4])
    query, keys, values = draw(3, 2, Dq), draw(3, 4, key_size(kind), seed=1), draw(3, 4, 5, seed=2)
    mask = keep if mask_rank == 2 else np.broadcast_to(keep[:, None], (3, 2, 4))

    def run(fill):
        poisoned_keys, poisoned_values = keys.copy(), values.copy()
        poisoned_keys[~keep] = poisoned_values[~keep] = fill
        leaves = [leaf(query), leaf(poisoned_keys), leaf(poisoned_values)]
        layer.zero_grad()
        context, weights = layer(*leaves, mask=mask)
        ((context * tensor(draw(3, 2, 5, seed=3))).sum() + (weights * tensor(draw(3, 2, 4, seed=4))).sum()).backward()
        return [context.array, weights.array, *[each.grad.array for each in (*leaves, *layer.parameters())]]

    zero = run(0.0)
    for fill in (np.nan, np.inf):
        for a, b in zip(run(fill), zero):
            np.testing.assert_array_equal(a, b)
    assert not zero[0][2].any() and not zero[1][2].any()
    assert (zero[3][~keep] == 0).all() and (zero[4][~keep] == 0).all() and zero[3][keep].any()


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives(kind):
    layer = make(kind)
    names = [name for name, _ in layer.named_parameters()]
    keep = np.array([[True, True, False], [False, False, False]])

    def call(query, keys, values, *parameters):
        for name, parameter in zip(names, parameters):
            owner, _, last = name.rpartition(".")
            layer.get_submodule(owner)._parameters[last] = parameter
        return layer(query, keys, values, mask=keep)

    shapes = [(2, 2, Dq), (2, 3, key_size(kind)), (2, 3, 2)]
    inputs = [leaf(draw(*shape, seed=n)) for n, shape in enumerate(shapes)]
    inputs += [leaf(p.array.copy()) for p in layer.parameters()]
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_over_a_prepared_source_equal_all_at_once(kind):
    layer = make(kind)
    query, keys, lengths = draw(3, 4, Dq), draw(3, 5, key_size(kind), seed=1), [5, 0, 2]
    context, weights = layer(tensor(query), tensor(keys), lengths=lengths)
    source = layer.prepare(tensor(keys), lengths=lengths)
    for t in range(4):
        step_context, step_weights = layer.attend(tensor(query[:, t]), source)
        assert step_context.shape == (3, key_size(kind)) and step_weights.shape == (3, 5)
        assert_close(step_context.array, context.array[:, t])
        assert_close(step_weights.array, weights.array[:, t])
    alone, _ = layer(tensor(query[:, 0]), tensor(keys), lengths=lengths)
    assert_close(alone.array, context.array[:, 0])


def test_the_keys_are_projected_once():
    layer = make("additive")
    calls = []
    layer.key_projection.register_forward_hook(lambda *_: calls.append(1))
    source = layer.prepare(tensor(draw(2, 3, Dk)))
    for _ in range(4):
        layer.attend(tensor(draw(2, Dq)), source)
    assert len(calls) == 1


def test_dot_equals_pytorch():
    torch = pytest.importorskip("torch")
    query, keys, values = draw(2, 3, Dq), draw(2, 5, Dq, seed=1), draw(2, 5, 6, seed=2)
    mask = np.array([[True] * 5, [True, False, True, False, False]])
    context, _ = DotAttention()(tensor(query), tensor(keys), tensor(values), mask)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *map(torch.tensor, (query, keys, values)), attn_mask=torch.tensor(mask)[:, None], scale=1.0
    )
    assert_close(context.array, expected.numpy())


def test_parameters_and_their_start():
    shapes = {name: tuple(p.shape) for name, p in AdditiveAttention(4, 3, 16).named_parameters()}
    assert shapes == {"v": (16,), "query_projection.weight": (16, 4), "key_projection.weight": (16, 3)}
    assert [tuple(p.shape) for p in GeneralAttention(4, 3).parameters()] == [(4, 3)]
    assert not list(DotAttention().parameters())
    assert abs(AdditiveAttention(4, 3, 16).v.array).max() <= 0.25


def ones(*shape):
    return tensor(np.ones(shape, np.float32))


QUERY, KEYS = ones(2, 3, 4), ones(2, 5, 3)


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((ones(2, 3, 7), KEYS), {}, "query has 7 features, expected query_size=4"),
        ((QUERY, ones(2, 5, 7)), {}, "keys have 7 features, expected key_size=3"),
        ((ones(4), KEYS), {}, r"got query of shape \(4,\), expected \(batch, feature\)"),
        ((QUERY, ones(2, 3)), {}, r"got keys of shape \(2, 3\), expected \(batch, source, feature\)"),
        ((ones(1, 3, 4), KEYS), {}, "query has a batch of 1, expected 2 like the keys"),
        ((QUERY.double(), KEYS), {}, "query is tinyrnn.float64, expected tinyrnn.float32 like the keys; convert one"),
        ((QUERY, KEYS.double()), {}, "keys is tinyrnn.float64, expected tinyrnn.float32 like the weights; convert one"),
        ((QUERY, KEYS, KEYS.long()), {}, "values is tinyrnn.int64, expected tinyrnn.float32 like the keys; convert one"),
        ((QUERY, KEYS, ones(2, 4, 3)), {}, r"values have shape \(2, 4, 3\), expected \(2, 5\) in front"),
        ((QUERY, np.ones((2, 5, 3))), {}, "keys is a ndarray, expected a tensor"),
        ((QUERY, KEYS), {"mask": np.ones((2, 5))}, r"mask is float64, expected a bool tensor \(True = keep\)"),
        ((QUERY, KEYS), {"mask": [True] * 5}, "mask is list, expected a bool tensor"),
        (
            (QUERY, KEYS),
            {"mask": np.ones((2, 4), bool)},
            r"mask has shape \(2, 4\), expected \(batch, source\) = \(2, 5\)",
        ),
        ((QUERY, KEYS), {"mask": np.ones((2, 2, 5), bool)}, r"mask of shape \(2, 2, 5\) is for 2 queries, got 3"),
        ((QUERY, KEYS), {"lengths": [5, 6]}, r"lengths\[1\] is 6, expected 0 to 5, the number of source positions"),
        ((QUERY, KEYS), {"lengths": [5]}, r"lengths have shape \(1,\), expected \(2,\)"),
        ((QUERY, KEYS), {"lengths": [5.0, 1.0]}, "lengths are float64, expected integers"),
    ],
)
def test_wrong_calls_name_the_layer_and_the_fix(args, options, message):
    with pytest.raises((ValueError, TypeError), match="^GeneralAttention: " + message):
        GeneralAttention(4, 3)(*args, **options)


@pytest.mark.parametrize("kind", [*KINDS, "coverage", "location"])
@pytest.mark.parametrize(("B", "Tq", "S"), [(0, 2, 3), (2, 0, 3), (2, 2, 0), (0, 0, 0)])
@pytest.mark.parametrize("masked", [False, True])
def test_empty_sizes_give_empty_results_and_no_position_zeros(kind, B, Tq, S, masked):
    aligned = {"coverage": CoverageAttention, "location": LocationAwareAttention}
    layer = aligned[kind](Dq, Dq, 6, dtype=F64) if kind in aligned else make(kind, key_size=Dq)
    query, keys, values = leaf(draw(B, Tq, Dq)), leaf(draw(B, S, Dq)), leaf(draw(B, S, 5))
    masks = {"mask": np.ones((B, Tq, S), bool), "lengths": [S] * B} if masked else {}
    context, weights, *alignment = layer(query, keys, values, **masks)
    assert context.shape == (B, Tq, 5) and weights.shape == (B, Tq, S) and not context.detach().numpy().any()
    assert all(each.shape == (B, S) and not each.detach().numpy().any() for each in alignment)
    (context.sum() + weights.sum()).backward()
    assert all(not each.grad.numpy().any() for each in (query, keys, values))


@pytest.mark.parametrize(
    ("layer", "sizes"),
    [
        (GeneralAttention, {"query_size": 4, "key_size": 4}),
        (AdditiveAttention, {"query_size": 4, "key_size": 4, "hidden_size": 4}),
        (CoverageAttention, {"query_size": 4, "key_size": 4, "hidden_size": 4}),
        (LocationAwareAttention, {"query_size": 4, "key_size": 4, "hidden_size": 4, "filters": 4, "width": 5}),
        (MultiheadAttention, {"embed_dim": 4, "num_heads": 2, "kdim": 4, "vdim": 4}),
    ],
)
def test_sizes_are_positive_integers(layer, sizes):
    for name in sizes:
        for wrong in (0, -4):
            with pytest.raises(ValueError, match=f"^{name} must be greater than zero$"):
                layer(**{**sizes, name: wrong})
        for wrong in (4.0, True, "4"):
            with pytest.raises(TypeError, match=f"^{name} should be of type int, got: {type(wrong).__name__}$"):
                layer(**{**sizes, name: wrong})


def test_a_source_is_prepared():
    with pytest.raises(TypeError, match=r"DotAttention: the source is a Tensor, expected what prepare\(keys\) returns"):
        DotAttention().attend(QUERY, ones(2, 5, 4))


def test_dot_takes_equal_sizes():
    with pytest.raises(ValueError, match=r"query has 4 features and the keys have 3.*GeneralAttention takes different"):
        DotAttention()(QUERY, KEYS)
