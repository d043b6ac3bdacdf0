"""MultiheadAttention and scaled_dot_product_attention: against PyTorch, masks, poison, derivatives, dropout, wrong calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn
from tinyrnn import nn
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.nn import functional as F

F64 = tinyrnn.float64


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def leaf(array):
    return tinyrnn.tensor(array, requires_grad=True)


def seeded(layer, seed=0):
    """`layer` with random numbers in all parameters, biases too."""
    random = np.random.default_rng(seed)
    layer.load_state_dict({k: tinyrnn.tensor(random.normal(0, 0.5, v.shape)) for k, v in layer.state_dict().items()})
    return layer


def assert_close(a, b):
    if a is None or b is None:
        assert a is b is None
        return
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-11)


def draw_mask(random, kind, shape):
    """True = ignore, or numbers with some -inf; never the first position, for PyTorch's NaN."""
    drop = random.random(shape) < 0.4
    drop[..., 0] = False
    if kind == "bool":
        return drop
    numbers = random.standard_normal(shape)
    return np.where(drop, -np.inf, numbers) if kind == "inf" else numbers


MASKS = st.sampled_from([None, "bool", "float", "inf"])


@pytest.mark.filterwarnings("ignore:Support for mismatched")
@settings(max_examples=80, deadline=None)
@given(
    options=st.fixed_dictionaries({name: st.booleans() for name in ("bias", "add_bias_kv", "add_zero_attn", "batch_first")}),
    sizes=st.tuples(*[st.sampled_from([None, 6, 5]), st.sampled_from([None, 3])], st.sampled_from([1, 2, 3])),
    lengths=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)),
    tie=st.sampled_from(["none", "key is value", "query is key", "all"]),
    masks=st.tuples(MASKS, MASKS, st.booleans()),
    call=st.fixed_dictionaries({name: st.booleans() for name in ("need_weights", "average_attn_weights", "is_causal")}),
    batched=st.booleans(),
    seed=st.integers(0, 999),
)
def test_equals_pytorch(options, sizes, lengths, tie, masks, call, batched, seed):
    torch = pytest.importorskip("torch")
    E, (kdim, vdim, N), (B, T, S) = 6, sizes, lengths
    if tie == "key is value":
        vdim = kdim
    elif tie != "none":
        kdim, vdim, S = None, None, T
    B = B if batched else 1
    layer = seeded(nn.MultiheadAttention(E, N, kdim=kdim, vdim=vdim, dtype=F64, **options), seed)
    twin = torch.nn.MultiheadAttention(E, N, kdim=kdim, vdim=vdim, dtype=torch.float64, **options)
    twin.load_state_dict({k: torch.from_numpy(v.numpy()) for k, v in layer.state_dict().items()})
    assert list(twin.state_dict()) == list(layer.state_dict())

    def arrange(*shape, seed):
        x = draw(*shape, seed=seed)
        return x[0] if not batched else x if options["batch_first"] else x.swapaxes(0, 1).copy()

    query, key, value = [
        arrange(B, length, size or E, seed=seed + n) for n, (length, size) in enumerate([(T, E), (S, kdim), (S, vdim)])
    ]
    random = np.random.default_rng(seed)
    padding_kind, mask_kind, per_head = masks
    given_masks = {}
    if padding_kind:
        given_masks["key_padding_mask"] = draw_mask(random, padding_kind, (B, S) if batched else (S,))
    if mask_kind and call["is_causal"]:
        given_masks["attn_mask"] = np.triu(np.ones((T, S), bool), 1)
    elif mask_kind is not None:
        given_masks["attn_mask"] = draw_mask(random, mask_kind, (B * N, T, S) if per_head else (T, S))
    # without weights PyTorch puts its own mask in the place of a causal one, which hides what is appended to the source
    appended = options["add_bias_kv"] or options["add_zero_attn"]
    call = {**call, "is_causal": call["is_causal"] and mask_kind is not None and not appended}

    def run(layer, leaf, constant):
        inputs = [leaf(query)]
        inputs.append(inputs[0] if tie in ("query is key", "all") else leaf(key))
        inputs.append(inputs[1] if tie in ("key is value", "all") else leaf(value))
        placed = {k: leaf(m) if m.dtype != bool else constant(m) for k, m in given_masks.items()}
        output, weights = layer(*inputs, **placed, **call)
        loss = (output * constant(draw(*output.shape, seed=1))).sum()
        if weights is not None:
            loss = loss + (weights * constant(draw(*weights.shape, seed=2))).sum()
        loss.backward()
        floats = [m for m in placed.values() if m.is_floating_point()]
        return [output, weights, *[x.grad for x in (*inputs, *floats, *layer.parameters())]]

    ours = run(layer, leaf, tinyrnn.tensor)
    theirs = run(twin, lambda x: torch.tensor(x, requires_grad=True), torch.tensor)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert_close(a, b)


@settings(max_examples=80, deadline=None)
@given(
    front=st.sampled_from([(), (2,), (2, 3), (1, 2, 3)]),
    ones=st.tuples(*[st.sampled_from([None, 0, 1, "fewer"])] * 3),
    sizes=st.tuples(*[st.integers(1, 5)] * 4),
    masking=st.sampled_from([None, "causal", "bool", "float", "inf", "float32"]),
    mask_rank=st.integers(2, 5),
    scale=st.sampled_from([None, 0.3]),
    groups=st.sampled_from([None, 1, 2]),
    seed=st.integers(0, 999),
)
def test_scaled_dot_product_attention_equals_pytorch(front, ones, sizes, masking, mask_rank, scale, groups, seed):
    torch = pytest.importorskip("torch")
    T, S, D, Dv = sizes
    grouped = groups is not None and bool(front)

    def own_front(one):
        if one == "fewer":
            return front[1:] if not grouped or len(front) > 1 else front
        return tuple([1 if k == one and not (grouped and k == len(front) - 1) else n for k, n in enumerate(front)])

    fronts = [own_front(one) for one in ones]
    common = np.broadcast_shapes(*fronts[:2])  # in PyTorch masks do not broadcast against value
    if grouped:  # the query has more heads than key and value
        fronts[0], common = [(*each[:-1], front[-1] * groups) for each in (fronts[0], common)]
    arrays = [draw(*own, n, d, seed=seed + k) for k, (own, n, d) in enumerate(zip(fronts, (T, S, S), (D, D, Dv)))]
    if masking not in (None, "causal"):
        mask = draw_mask(np.random.default_rng(seed), masking, (*common, T, S)[-mask_rank:])
        arrays.append(~mask if masking == "bool" else mask.astype(np.float32) if masking == "float32" else mask)

    def run(function, leaf, constant):
        inputs = [leaf(x) if x.dtype != bool else constant(x) for x in arrays]
        output = function(*inputs, is_causal=masking == "causal", scale=scale, enable_gqa=grouped)
        (output * constant(draw(*output.shape, seed=1))).sum().backward()
        return [output, *[x.grad for x in inputs]]

    ours = run(F.scaled_dot_product_attention, leaf, tinyrnn.tensor)
    theirs = run(torch.nn.functional.scaled_dot_product_attention, lambda x: torch.tensor(x, requires_grad=True), torch.tensor)
    assert ours[0].dtype is F64
    for a, b in zip(ours, theirs):
        if a is not None and a.dtype is tinyrnn.float32:  # sums of numbers that are rounded in another order
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
        else:
            assert_close(a, b)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_mask_broadcasts_against_all_that_scores_come_from(kind):
    query, key, value = leaf(draw(1, 2, 4, 3)), leaf(draw(2, 5, 3, seed=1)), leaf(draw(3, 1, 5, 2, seed=2))
    mask = draw_mask(np.random.default_rng(0), "bool" if kind == "bool" else "inf", (3, 1, 1, 5))
    full = [np.broadcast_to(x.detach().numpy(), (3, 2, *x.shape[-2:])) for x in (query, key, value)]
    mask = ~mask if kind == "bool" else mask
    for small in (mask, mask[0, 0, 0]):
        output = F.scaled_dot_product_attention(query, key, value, tinyrnn.tensor(small))
        whole = tinyrnn.tensor(np.broadcast_to(small, (3, 2, 4, 5)))
        assert_close(output, F.scaled_dot_product_attention(*map(tinyrnn.tensor, full), whole))


PAD = np.array([[False, False, True, True], [False] * 4, [True] * 4])


def poisoned(array, fill, drop=PAD):
    array = array.copy()
    array[drop] = fill
    return array


@pytest.mark.parametrize("kind", ["bool", "float", "bool attn_mask", "float attn_mask"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("appended", [False, True])
def test_what_is_masked_reaches_neither_results_nor_gradients(kind, tied, appended):
    layer = seeded(nn.MultiheadAttention(4, 2, add_bias_kv=appended, add_zero_attn=appended, batch_first=True, dtype=F64))
    mask = PAD if "attn" not in kind else np.repeat(np.repeat(PAD[:, None], 4, 1), 2, 0)
    mask = tinyrnn.tensor(np.where(mask, -np.inf, 0.0) if "float" in kind else mask)

    def run(fill):
        key = leaf(poisoned(draw(3, 4, 4), fill))
        inputs = [key] * 3 if tied else [leaf(draw(3, 4, 4, seed=1)), key, leaf(poisoned(draw(3, 4, 4, seed=2), fill))]
        layer.zero_grad()
        output, weights = layer(*inputs, **{"attn_mask" if "attn" in kind else "key_padding_mask": mask})
        (
            (output * tinyrnn.tensor(draw(3, 4, 4, seed=3))).sum() + (weights * tinyrnn.tensor(draw(*weights.shape))).sum()
        ).backward()
        return [output, weights, *[x.grad for x in (*inputs, *layer.parameters())]]

    zero = run(0.0)
    for fill in (np.nan, np.inf, -np.inf):
        for n, (a, b) in enumerate(zip(run(fill), zero)):
            a, b = a.detach().numpy(), b.detach().numpy()
            a, b = (poisoned(each, 0.0) for each in (a, b)) if tied and n > 1 and a.shape == (3, 4, 4) else (a, b)
            np.testing.assert_array_equal(a, b)
    if not appended:
        assert not zero[1][2].detach().numpy().any()
        np.testing.assert_array_equal(zero[0][2].detach(), layer.out_proj.bias.detach().expand(4, 4))


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_poison_that_no_query_of_scaled_dot_product_attention_keeps(kind):
    drop = PAD[:, None].repeat(2, 1)
    keep = tinyrnn.tensor(~drop if kind == "bool" else np.where(drop, -np.inf, 0.0))

    def run(fill):
        inputs = [leaf(draw(3, 2, 4)), *[leaf(poisoned(draw(3, 4, n, seed=n), fill)) for n in (4, 5)]]
        output = F.scaled_dot_product_attention(*inputs, keep)
        (output * tinyrnn.tensor(draw(3, 2, 5, seed=3))).sum().backward()
        return [output, *[x.grad for x in inputs]]

    zero = run(0.0)
    assert not zero[0][2].detach().numpy().any()
    for a, b in zip(run(np.nan), zero):
        np.testing.assert_array_equal(a.detach(), b.detach())
    causal = leaf(poisoned(draw(1, 4, 4), np.nan, np.array([[False, False, True, True]])))
    F.scaled_dot_product_attention(leaf(draw(1, 2, 4)), causal, causal, is_causal=True).sum().backward()
    assert np.isfinite(causal.grad.numpy()).all()


@pytest.mark.parametrize("padding_kind", ["bool", "float"])
@pytest.mark.parametrize("mask_kind", ["bool", "float"])
@pytest.mark.parametrize("per_head", [False, True])
def test_both_masks_together_drop_what_either_drops(padding_kind, mask_kind, per_head):
    layer = seeded(nn.MultiheadAttention(4, 2, batch_first=True, dtype=F64))
    random = np.random.default_rng(0)
    padding, future = np.arange(5) >= np.array([3, 5, 2])[:, None], np.triu(np.ones((4, 5), bool), 2)
    future = future | (random.random((6, 4, 5)) < 0.2) if per_head else future
    bias = {"key_padding_mask": random.standard_normal((3, 5)), "attn_mask": random.standard_normal(future.shape)}

    def given(kind, name, drop):
        return tinyrnn.tensor(drop if kind == "bool" else np.where(drop, -np.inf, bias[name]))

    masks = {
        "key_padding_mask": given(padding_kind, "key_padding_mask", padding),
        "attn_mask": given(mask_kind, "attn_mask", future),
    }
    query, source = tinyrnn.tensor(draw(3, 4, 4)), tinyrnn.tensor(draw(3, 5, 4, seed=1))
    output, weights = layer(query, source, source, **masks, average_attn_weights=False)
    drop = padding[:, None, None] | future.reshape((3, 2, 4, 5) if per_head else (1, 1, 4, 5))
    scores = np.zeros((3, 2, 4, 5))
    for name, kind, shape in (
        ("key_padding_mask", padding_kind, (3, 1, 1, 5)),
        ("attn_mask", mask_kind, (3, 2, 4, 5) if per_head else (4, 5)),
    ):
        scores = scores + (bias[name].reshape(shape) if kind == "float" else 0)
    q, k = [
        (x.numpy() @ w.numpy().T + b.numpy()).reshape(3, -1, 2, 2).swapaxes(1, 2)
        for x, w, b in zip((query, source), layer.in_proj_weight.detach().chunk(3), layer.in_proj_bias.detach().chunk(3))
    ]
    e = np.where(drop, 0, np.exp(q @ k.swapaxes(2, 3) / 2**0.5 + scores))
    np.testing.assert_allclose(
        weights.detach().numpy(), e / np.maximum(e.sum(-1, keepdims=True), 1e-99), rtol=1e-10, atol=1e-12
    )
    for name in masks:
        other = layer(query, source, source, **{**masks, name: None}, average_attn_weights=False)
        assert not np.allclose(other[0].detach(), output.detach()) and not np.allclose(other[1].detach(), weights.detach())


@pytest.mark.parametrize(("kdim", "tied"), [(None, False), (None, True), (3, False)])
def test_derivatives(kdim, tied):
    layer = seeded(nn.MultiheadAttention(4, 2, kdim=kdim, add_bias_kv=True, add_zero_attn=True, dtype=F64))
    names = [name for name, _ in layer.named_parameters()]
    padding = tinyrnn.tensor([[False, False, True], [True, True, True]])

    def call(query, key, value, mask, *parameters):
        for name, parameter in zip(names, parameters):
            owner, _, last = name.rpartition(".")
            layer.get_submodule(owner)._parameters[last] = parameter
        key, value = (query, query) if tied else (key, value)
        return layer(query, key, value, padding, attn_mask=mask, average_attn_weights=False)

    inputs = [leaf(draw(3, 2, 4)), leaf(draw(3, 2, kdim or 4, seed=1)), leaf(draw(3, 2, 4, seed=2)), leaf(draw(3, 3))]
    inputs += [leaf(p.detach().numpy().copy()) for p in layer.parameters()]
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


def test_derivatives_of_heads_in_groups():
    inputs = [leaf(draw(*shape, seed=n)) for n, shape in enumerate([(1, 4, 2, 3), (2, 2, 3, 3), (2, 1, 3, 2), (4, 2, 3)])]

    def call(*arguments):
        return F.scaled_dot_product_attention(*arguments, enable_gqa=True)

    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@pytest.mark.parametrize("masking", [None, "causal", "bool", "float"])
def test_derivatives_of_scaled_dot_product_attention(masking):
    inputs = [leaf(draw(2, 3, 4)), leaf(draw(2, 3, 4, seed=1)), leaf(draw(2, 3, 2, seed=2))]
    if masking == "float":
        inputs.append(leaf(draw(3, 3)))
    keep = tinyrnn.tensor([[True, False, False], [False] * 3, [True, True, False]]) if masking == "bool" else None

    def call(query, key, value, mask=keep):
        return F.scaled_dot_product_attention(query, key, value, mask, is_causal=masking == "causal")

    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@pytest.mark.filterwarnings("ignore:Support for mismatched")
def test_a_query_without_any_key_is_nan_in_pytorch_and_zeros_here():
    torch = pytest.importorskip("torch")
    x, drop = np.ones((2, 1, 4), np.float32), np.ones((1, 2), bool)
    twin = torch.nn.MultiheadAttention(4, 2)
    assert all(each.isnan().all() for each in twin(*[torch.tensor(x)] * 3, torch.tensor(drop)))
    output, weights = nn.MultiheadAttention(4, 2)(*[tinyrnn.tensor(x)] * 3, tinyrnn.tensor(drop))
    assert not output.detach().numpy().any() and not weights.detach().numpy().any()


def test_dropout_falls_on_the_weights_in_training_only():
    layer = seeded(nn.MultiheadAttention(4, 2, dropout=0.25, bias=False, dtype=F64))
    x = tinyrnn.tensor(draw(60, 5, 4))
    _, plain = layer.eval()(x, x, x, average_attn_weights=False)
    output, dropped = layer.train()(x, x, x, average_attn_weights=False)
    kept = dropped != 0
    assert abs(kept.double().mean().item() - 0.75) < 0.01
    assert_close(dropped[kept], plain[kept] / 0.75)
    value = x @ layer.in_proj_weight[8:].T
    heads = [dropped[:, n] @ value[..., 2 * n : 2 * n + 2].transpose(0, 1) for n in range(2)]
    assert_close(output, layer.out_proj(tinyrnn.cat(heads, -1).transpose(0, 1)))
    assert (layer(x, x, x)[0] != layer(x, x, x, need_weights=False)[0]).any()
    q = x.transpose(0, 1)
    assert (F.scaled_dot_product_attention(q, q, q, dropout_p=0.5) != F.scaled_dot_product_attention(q, q, q)).any()


@pytest.mark.parametrize("options", [{}, {"kdim": 300}, {"bias": False}, {"add_bias_kv": True}])
def test_parameters_start_as_in_pytorch(options):
    torch = pytest.importorskip("torch")
    ours, theirs = nn.MultiheadAttention(512, 4, **options), torch.nn.MultiheadAttention(512, 4, **options)
    for (name, a), (other, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        a, b = a.detach().numpy(), b.detach().numpy()
        assert (name, a.shape) == (other, b.shape)
        assert abs(a.std() - b.std()) <= (0.25 if name.startswith("bias_") else 0.05) * b.std()
        if name.startswith("bias_"):  # normal: far beyond the bounds of uniform numbers
            assert abs(a).max() > 2 * a.std()
        else:
            assert abs(abs(a).max() - abs(b).max()) <= 0.05 * abs(b).max()


def test_dtypes_copies_and_no_batch():
    layer = nn.MultiheadAttention(4, 2).double()
    x = tinyrnn.tensor(draw(3, 2, 4))
    output, _ = layer(x, x, x)
    alone, weights = layer(x[:, 1], x[:, 1], x[:, 1])
    assert_close(alone, output[:, 1])
    assert weights.shape == (3, 3) and output.dtype is F64
    assert layer(x[:0], x, x)[0].shape == (0, 2, 4)


# ---- wrong calls ----


def ones(*shape, dtype=tinyrnn.float32):
    return tinyrnn.ones(shape, dtype=dtype)


X, LAYER = ones(3, 2, 4), nn.MultiheadAttention(4, 2)
FIRST, WIDE = nn.MultiheadAttention(4, 2, batch_first=True), nn.MultiheadAttention(4, 2, kdim=5, vdim=6)
NONE = tinyrnn.zeros(2, 3, dtype=tinyrnn.bool)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: nn.MultiheadAttention(5, 2), ValueError, "embed_dim=5 must be divisible by num_heads=2"),
        (lambda: LAYER(np.ones((3, 2, 4)), X, X), TypeError, "query is a ndarray, expected a tensor"),
        (lambda: LAYER(X, None, X), TypeError, "key is a NoneType, expected a tensor"),
        (lambda: LAYER(ones(4), X, X), ValueError, r"got query of shape \(4,\), expected \(time, batch, feature\), or"),
        (lambda: LAYER(ones(1, 1, 2, 4), X, X), ValueError, r"got query of shape \(1, 1, 2, 4\), expected \(time, batch"),
        (lambda: FIRST(X, X, ones(2, 4)), ValueError, r"got value of shape \(2, 4\), expected \(batch, time, feature\), or"),
        (lambda: LAYER(ones(3, 2, 5), X, X), ValueError, "query has 5 features, expected embed_dim=4"),
        (lambda: LAYER(X, ones(3, 2, 5), X), ValueError, "key has 5 features, expected kdim=4"),
        (lambda: WIDE(X, ones(3, 2, 5), X), ValueError, "value has 4 features, expected vdim=6"),
        (lambda: LAYER(X, X, X.double()), TypeError, "value is tinyrnn.float64, expected tinyrnn.float32 like the weights"),
        (lambda: LAYER(X.long(), X, X), TypeError, "query is tinyrnn.int64, expected tinyrnn.float32 like the weights"),
        (lambda: LAYER(X, X, ones(2, 2, 4)), ValueError, r"key and value have shapes \(3, 2, 4\) and \(2, 2, 4\), which"),
        (lambda: LAYER(ones(2, 3, 4), X, X), ValueError, "query has a batch of 3 and key of 2.*as batch_first=False says"),
        (lambda: FIRST(ones(2, 3, 4), X, X), ValueError, "query has a batch of 2 and key of 3.*as batch_first=True says"),
        (lambda: LAYER(X, X, X, NONE.T), ValueError, r"key_padding_mask has shape \(3, 2\), expected \(2, 3\)"),
        (lambda: LAYER(X[:, 0], X[:, 0], X[:, 0], NONE), ValueError, r"key_padding_mask has shape \(2, 3\), expected \(3,\)"),
        (
            lambda: LAYER(X, X, X, NONE.long()),
            TypeError,
            r"key_padding_mask is tinyrnn.int64, expected a bool tensor \(True",
        ),
        (lambda: LAYER(X, X, X, [[True]]), TypeError, "key_padding_mask is a list, expected a bool tensor"),
        (lambda: LAYER(X, X, X, attn_mask=NONE), ValueError, r"attn_mask has shape .*, expected \(3, 3\) or \(4, 3, 3\)"),
        (lambda: LAYER(X, X, X, attn_mask=ones(2, 3, 3)), ValueError, r"has shape \(2, 3, 3\), expected \(3, 3\) or \(4"),
        (lambda: LAYER(X, X, X, attn_mask=ones(3, 3, dtype=F64)), TypeError, "attn_mask is tinyrnn.float64, .*float32 like"),
        (lambda: LAYER(X, X, X, is_causal=True), ValueError, "is_causal=True needs the attn_mask of which it says"),
    ],
)
def test_wrong_calls_name_the_layer_and_the_fix(call, error, sentence):
    with pytest.raises(error, match="^MultiheadAttention: .*" + sentence):
        call()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "sentence"),
    [
        ((ones(4), X, X), {}, TypeError, r"query is a tensor of shape \(4,\), expected a tensor of at least 2 dimensions"),
        ((X, X, [1.0]), {}, TypeError, "value is a list, expected a tensor"),
        ((X, X.double(), X), {}, TypeError, "query, key and value are float32, float64 and float32, expected one float dtype"),
        ((X.long(), X.long(), X.long()), {}, TypeError, "are int64, int64 and int64, expected one float dtype"),
        ((X, ones(3, 2, 5), X), {}, ValueError, r"have shapes \(3, 2, 4\), \(3, 2, 5\) and \(3, 2, 4\), expected"),
        ((X, X, ones(3, 3, 4)), {}, ValueError, r"expected \(..., Tq, D\), \(..., S, D\) and \(..., S, Dv\)"),
        ((X, X[:2], X[:2]), {}, ValueError, r"have shapes \(3, 2, 4\), \(2, 2, 4\) .*, equal or 1 in every dimension in front"),
        ((X, X[:2], X[:2]), {"enable_gqa": True}, RuntimeError, "whose heads in key and value divide those of the query"),
        ((X, X[0], X[0]), {"enable_gqa": True}, RuntimeError, r"expected dimensions \(..., heads, time, feature\)"),
        ((X, X, X, NONE[:, :2]), {"is_causal": True}, RuntimeError, "Explicit attn_mask should not be set when is_causal=True"),
        ((X, X, X, NONE.long()), {}, TypeError, r"attn_mask is int64, expected bool \(True = keep\) or float32"),
        ((X, X, X, NONE), {}, ValueError, r"attn_mask has shape \(2, 3\), expected one that broadcasts"),
        ((X, X, X, ones(1, 3, 2, 2)), {}, ValueError, r"attn_mask has shape \(1, 3, 2, 2\), expected one that broad"),
        ((X, X, X, ones()), {}, TypeError, r"attn_mask is a tensor of shape \(\), expected a tensor of at least 1 dim"),
        ((X, X, X), {"dropout_p": 2.0}, ValueError, "dropout probability has to be between 0 and 1"),
    ],
)
def test_wrong_calls_of_scaled_dot_product_attention(arguments, options, error, sentence):
    with pytest.raises(error, match=sentence):
        F.scaled_dot_product_attention(*arguments, **options)
