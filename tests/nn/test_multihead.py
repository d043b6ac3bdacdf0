"""MultiheadAttention and scaled_dot_product_attention: against PyTorch, masks, poison, derivatives, dropout, wrong calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn
from tinyrnn import nn
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.nn import functional as F  # noqa: N812 (its name everywhere)

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


@settings(max_examples=80, deadline=None)
@given(
    options=st.fixed_dictionaries({name: st.booleans() for name in ("bias", "add_bias_kv", "add_zero_attn", "batch_first")}),
    sizes=st.tuples(*[st.sampled_from([None, 6, 5]), st.sampled_from([None, 3])], st.sampled_from([1, 2, 3])),
    lengths=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)),
    tie=st.sampled_from(["none", "key is value", "all"]),
    masks=st.tuples(MASKS, MASKS, st.booleans()),
    call=st.fixed_dictionaries({name: st.booleans() for name in ("need_weights", "average_attn_weights", "is_causal")}),
    batched=st.booleans(),
    seed=st.integers(0, 999),
)
def test_equals_pytorch(options, sizes, lengths, tie, masks, call, batched, seed):
    torch = pytest.importorskip("torch")
    E, (kdim, vdim, N), (B, T, S) = 6, sizes, lengths
    if tie != "none":
        vdim = kdim
    if tie == "all":
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
        inputs.append(inputs[0] if tie == "all" else leaf(key))
        inputs.append(inputs[1] if tie != "none" else leaf(value))
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
