"""Tensors on two devices: every op says so in one sentence, whichever of its tensors is where."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.nn import functional as F

# Of a and b, the same tensors on one device and on another: x, y (3, 4), m (4, 5), w (5, 4), v (4,), whole numbers i (3, 4) and
# j (3,), and the mask k (3, 4).
OPS = {
    "add": lambda a, b: a.x + b.y,
    "maximum": lambda a, b: tinyrnn.maximum(a.x, b.y),
    "greater": lambda a, b: a.x > b.y,
    "in place": lambda a, b: a.x.clone().add_(b.y),
    "lerp": lambda a, b: tinyrnn.lerp(a.x, b.y, 0.3),
    "matmul": lambda a, b: a.x @ b.m,
    "bmm": lambda a, b: tinyrnn.bmm(a.x[None], b.m[None]),
    "addmm": lambda a, b: tinyrnn.addmm(b.x @ b.m, a.x, a.m),
    "baddbmm": lambda a, b: tinyrnn.baddbmm((b.x @ b.m)[None], a.x[None], a.m[None]),
    "einsum": lambda a, b: tinyrnn.einsum("ij,jk->ik", a.x, b.m),
    "dot": lambda a, b: a.v.dot(b.v),
    "linear": lambda a, b: F.linear(a.x, b.w),
    "bias": lambda a, b: F.linear(a.x, a.w, b.m[0]),
    "cat": lambda a, b: tinyrnn.cat([a.x, b.y]),
    "stack": lambda a, b: tinyrnn.stack([a.x, b.y]),
    "where": lambda a, b: tinyrnn.where(b.k, a.x, a.y),
    "masked_fill": lambda a, b: a.x.masked_fill(b.k, 1.0),
    "masked_select": lambda a, b: a.x.masked_select(b.k),
    "gather": lambda a, b: a.x.gather(0, b.i),
    "scatter": lambda a, b: a.x.scatter(0, a.i, b.y),
    "layer_norm": lambda a, b: F.layer_norm(a.x, (4,), b.v, b.v),
    "class weights": lambda a, b: F.cross_entropy(a.x, a.j, b.v),
    "mse_loss": lambda a, b: F.mse_loss(a.x, b.y),
    "cosine_similarity": lambda a, b: F.cosine_similarity(a.x, b.y),
    "attention": lambda a, b: F.scaled_dot_product_attention(a.x[None], b.y[None], b.y[None]),
    "mask of attention": lambda a, b: F.scaled_dot_product_attention(a.x[None], a.y[None], a.y[None], b.k[None, :, :3]),
    "isclose": lambda a, b: tinyrnn.isclose(a.x, b.y),
    "backward": lambda a, b: (a.x.clone().requires_grad_() * 2).backward(b.y),
    "Linear": lambda a, b: on(nn.Linear(4, 3), b)(a.x),
    "LSTM": lambda a, b: on(nn.LSTM(4, 3), b)(a.x[None]),
    "LSTM.step": lambda a, b: on(nn.LSTM(4, 3), b).step(a.x),
    "h_0": lambda a, b: on(nn.GRU(4, 4), a)(a.x[None], b.y[None]),
    "LSTMCell": lambda a, b: on(nn.LSTMCell(4, 3), b)(a.x),
    "GRUCell": lambda a, b: on(nn.GRUCell(4, 4), a)(a.x, b.y),
    "LayerNorm": lambda a, b: on(nn.LayerNorm(4), b)(a.x),
    "MultiheadAttention": lambda a, b: on(nn.MultiheadAttention(4, 2), b)(a.x, a.x, a.x),
    "key_padding_mask": lambda a, b: on(nn.MultiheadAttention(4, 2), a)(a.x, a.x, a.x, key_padding_mask=b.k[0, :3]),
}
# Whole numbers in main memory follow to the GPU; the other way they would have to be waited for.
FROM_MAIN_MEMORY = {
    "index": lambda a, b: a.x[b.j],
    "mask": lambda a, b: a.x[b.k],
    "index_select": lambda a, b: a.x.index_select(0, b.j),
    "index_add": lambda a, b: a.x.index_add(0, b.j, a.y),
    "targets": lambda a, b: F.cross_entropy(a.x, b.j),
    "ids": lambda a, b: F.embedding(b.i, a.x),
}


class Tensors:
    def __init__(self, rng, device):
        self.device = device
        arrays = {"x": rng.normal(size=(3, 4)), "y": rng.normal(size=(3, 4)), "m": rng.normal(size=(4, 5))}
        arrays |= {"w": rng.normal(size=(5, 4)), "v": rng.uniform(1, 2, 4), "k": rng.random((3, 4)) < 0.5}
        arrays |= {"i": rng.integers(0, 3, (3, 4)), "j": rng.permutation(3)}
        for name, array in arrays.items():
            setattr(self, name, tinyrnn.tensor(array, device=device))


def on(module, tensors):
    return module.double().to(tensors.device)


@pytest.fixture
def both(cuda):
    return [Tensors(np.random.default_rng(0), device) for device in (cuda, tinyrnn.device("cpu"))]


@pytest.mark.parametrize("name", OPS)
def test_it_is_said_which_devices_there_are(both, name):
    for a, b in (both, both[::-1]):
        with pytest.raises(RuntimeError, match=r"cuda:0|cpu") as error:
            OPS[name](a, b)
        assert {"cuda:0", "cpu"} <= set(str(error.value).replace(";", " ").replace("!", " ").replace(",", " ").split())
        OPS[name](a, a)  # it is the device and nothing else


@pytest.mark.parametrize("name", FROM_MAIN_MEMORY)
def test_whole_numbers_in_main_memory_follow(both, name):
    there, here = both
    got, expected = FROM_MAIN_MEMORY[name](there, here), FROM_MAIN_MEMORY[name](here, here)
    np.testing.assert_allclose(got.cpu().numpy(), expected.numpy(), rtol=1e-12)
    with pytest.raises(RuntimeError, match=r"found at least two devices, cpu and cuda:0"):
        FROM_MAIN_MEMORY[name](here, there)


def test_numbers_of_a_gpu_make_a_tensor(both):
    losses = [each.sum() for each in both[0].x]
    assert tinyrnn.tensor(losses).device.type == "cpu"
    np.testing.assert_allclose(tinyrnn.tensor(losses).numpy(), both[1].x.sum(1).numpy())
    assert tinyrnn.stack(losses).device.type == "cuda"
