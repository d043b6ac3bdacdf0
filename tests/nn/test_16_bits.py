"""Layers and losses in float16 and bfloat16 beside themselves in float32: dtypes stay, and numbers are near."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

pytestmark = pytest.mark.filterwarnings("error")

EPS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
T, B, I = 7, 3, 8  # noqa: E741
LENGTHS = [5, 7, 2]


@pytest.fixture(params=["float16", "bfloat16"])
def dtype(request):
    if request.param == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 comes from the package ml_dtypes")
    return getattr(tinyrnn, request.param)


def check(dtype, make, call, slack=8):
    """`make` a layer twice, with the same numbers, and compare what `call` gives for it and an input, and the gradients.

    Errors may be `slack` times what rounding to the dtype makes of the largest number of a tensor.
    """
    tinyrnn.manual_seed(0)
    narrow = make().to(dtype)
    wide = make()
    wide.load_state_dict({name: value.float() for name, value in narrow.state_dict().items()})
    found = []
    for layer, kind in ((narrow, dtype), (wide, tinyrnn.float32)):
        tinyrnn.manual_seed(1)
        x = tinyrnn.randn(T, B, I).to(dtype).to(kind).requires_grad_()
        results = [y for y in flat(call(layer, x)) if y.is_floating_point()]
        sum((y.float() * tinyrnn.randn(y.shape)).sum() for y in results if y.requires_grad).backward()
        gradients = [leaf.grad for leaf in (x, *layer.parameters()) if leaf.grad is not None]
        assert gradients and {each.dtype for each in (*results, *gradients)} == {kind}
        found.append([y.detach().float().numpy() for y in (*results, *gradients)])
    for got, expected in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=slack * EPS[dtype_name(dtype)] * np.abs(expected).max())


def dtype_name(dtype):
    return repr(dtype).removeprefix("tinyrnn.")


def flat(value):
    if isinstance(value, tinyrnn.Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return [each for item in values for each in flat(item)]


OPTIONS = [
    ("LSTM", {}), ("GRU", {}), ("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {"bias": False}),
    ("LSTM", {"num_layers": 2, "dropout": 0.4}), ("GRU", {"num_layers": 2, "bidirectional": True}),
    ("LSTM", {"bidirectional": True, "proj_size": 4}), ("GRU", {"reset_after": False}), ("LSTM", {"peephole": True}),
    ("GRU", {"zoneout": 0.2}), ("LSTM", {"recurrent_dropout": 0.3, "input_dropout": 0.3}),
    ("RNN", {"layer_norm": True}), ("GRU", {"num_layers": 2, "residual": True}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_recurrent_layers(dtype, name, options):
    def make():
        return getattr(nn, name)(I, 8, **options)

    slack = 12 if options.get("layer_norm") else 8  # which divides by what may be small
    check(dtype, make, lambda layer, x: layer(x), slack)
    check(dtype, make, lambda layer, x: layer(x, lengths=tinyrnn.tensor(LENGTHS)), slack)
    check(dtype, lambda: make().eval(), lambda layer, x: layer(x, return_all_states=True), slack)


def test_packed_sequences(dtype):
    def call(layer, x):
        packed, state = layer(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
        return pad_packed_sequence(packed)[0], state

    check(dtype, lambda: nn.LSTM(I, 6, 2, bidirectional=True), call)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_single_steps(dtype, name):
    check(dtype, lambda: getattr(nn, name)(I, 6, 2), lambda layer, x: layer.step(x[0], layer.step(x[1], None)[1]))
    check(dtype, lambda: getattr(nn, name + "Cell")(I, 6), lambda cell, x: cell(x[0]))
    layer = getattr(nn, name)(I, 6, 2).to(dtype)
    x = tinyrnn.randn(T, B, I).to(dtype)
    with tinyrnn.no_grad():
        whole, state = layer(x)[0], None
        for t in range(T):
            h, state = layer.step(x[t], state)
            assert h.dtype == dtype and {each.dtype for each in flat(state)} == {dtype}
            np.testing.assert_allclose(h.float().numpy(), whole[t].float().numpy(), atol=8 * EPS[dtype_name(dtype)])


def test_states_are_wide_inside_of_a_sweep(dtype):
    """512 steps that add a thousandth each: in 8 bits, a state of 0.5 would never move again."""
    layer = nn.RNN(1, 1, nonlinearity="relu", bias=False)
    for weight in layer.parameters():
        nn.init.ones_(weight)
    layer.to(dtype)
    output, _ = layer(tinyrnn.full((512, 1, 1), 2.0**-10).to(dtype))
    assert output[-1].item() == 0.5


def test_no_steps(dtype):
    for layer in (nn.LSTM(I, 4), nn.GRU(I, 4)):
        output, state = layer.to(dtype)(tinyrnn.zeros(T, B, I).to(dtype), lengths=tinyrnn.tensor([0, 0, 0]))
        assert {each.dtype for each in flat([output, state])} == {dtype}


LAYERS = {
    "Linear": (lambda: nn.Linear(I, 5), lambda layer, x: layer(x)),
    "LayerNorm": (lambda: nn.LayerNorm((B, I)), lambda layer, x: layer(x)),
    "Dropout": (lambda: nn.Sequential(nn.Linear(I, 5), nn.Dropout(0.3)), lambda layer, x: layer(x)),
    "Embedding": (
        lambda: nn.Embedding(9, I, padding_idx=0),
        lambda layer, x: layer(tinyrnn.tensor([[1, 2], [0, 2]])) * x[:2, :2],
    ),
    "PReLU": (nn.PReLU, lambda layer, x: layer(x)),
    "Bidirectional": (lambda: nn.Bidirectional(nn.GRU(I, 4)), lambda layer, x: layer(x)),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(I, 2), lambda layer, x: layer(x, x, x)),
    "its mask": (
        lambda: nn.MultiheadAttention(I, 2, add_bias_kv=True),
        lambda layer, x: layer(x, x, x, key_padding_mask=tinyrnn.arange(T) >= tinyrnn.tensor(LENGTHS)[:, None]),
    ),
    "DotAttention": (nn.DotAttention, lambda layer, x: layer(x[0], x.transpose(0, 1))),
    "GeneralAttention": (lambda: nn.GeneralAttention(I, I), lambda layer, x: layer(x[0], x.transpose(0, 1))),
    "AdditiveAttention": (lambda: nn.AdditiveAttention(I, I, 6), lambda layer, x: layer(x[0], x.transpose(0, 1))),
    "CoverageAttention": (lambda: nn.CoverageAttention(I, I, 6), lambda layer, x: layer(x[0], x.transpose(0, 1))),
    "LocationAwareAttention": (
        lambda: nn.LocationAwareAttention(I, I, 6, filters=2, width=3),
        lambda layer, x: layer(x[0], x.transpose(0, 1), lengths=tinyrnn.tensor(LENGTHS)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers(dtype, name):
    check(dtype, *LAYERS[name])


@pytest.mark.parametrize("name", ["ELU", "GELU", "Hardsigmoid", "LeakyReLU", "LogSigmoid", "ReLU6", "SELU", "SiLU", "Softplus",
                                  "Softsign", "Tanh", "Sigmoid"])  # fmt: skip
def test_activations(dtype, name):
    check(dtype, getattr(nn, name), lambda layer, x: layer(x))


CLASSES = tinyrnn.tensor([1, 0, 5, 7, 2, 3, -100])
LOSSES = {
    "CrossEntropyLoss": lambda loss, x: loss(x[:, 0], CLASSES),
    "NLLLoss": lambda loss, x: loss(x[:, 0].log_softmax(1), CLASSES),
    "CTCLoss": lambda loss, x: loss(x.log_softmax(2), tinyrnn.tensor([[1, 2], [3, 3], [4, 0]]), LENGTHS, [2, 2, 1]),
    "MSELoss": lambda loss, x: loss(x[:, 0], x[:, 1]),
    "L1Loss": lambda loss, x: loss(x[:, 0], x[:, 1]),
    "SmoothL1Loss": lambda loss, x: loss(x[:, 0], x[:, 1]),
    "HuberLoss": lambda loss, x: loss(x[:, 0], x[:, 1]),
    "BCELoss": lambda loss, x: loss(x[:, 0].sigmoid(), (x[:, 1] > 0).to(x.dtype)),
    "BCEWithLogitsLoss": lambda loss, x: loss(x[:, 0], (x[:, 1] > 0).to(x.dtype)),
    "KLDivLoss": lambda loss, x: loss(x[:, 0].log_softmax(1), x[:, 1].softmax(1)),
    "GaussianNLLLoss": lambda loss, x: loss(x[:, 0], x[:, 1], x[:, 2].square() + 0.5),
    "CosineEmbeddingLoss": lambda loss, x: loss(x[:, 0], x[:, 1], tinyrnn.tensor([1, -1, 1, -1, 1, -1, 1])),
    "MarginRankingLoss": lambda loss, x: loss(x[:, 0], x[:, 1], tinyrnn.ones(T, I).to(x.dtype)),
    "TripletMarginLoss": lambda loss, x: loss(x[:, 0], x[:, 1], x[:, 2]),
    "CoverageLoss": lambda loss, x: loss(x.transpose(0, 1).softmax(-1)),
}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss by both the batch size and the support size")
@pytest.mark.parametrize("name", LOSSES)
def test_losses(dtype, name):
    check(dtype, getattr(nn, name), LOSSES[name])


def test_a_mean_over_many_targets(dtype):
    """Sums of 10,000 losses do not stand still, nor overflow."""
    x = tinyrnn.zeros(10_000, 4, dtype=dtype, requires_grad=True)
    for weight in (None, tinyrnn.ones(4, dtype=dtype)):
        loss = nn.CrossEntropyLoss(weight)(x, tinyrnn.zeros(10_000, dtype=tinyrnn.int64))
        assert loss.dtype == dtype and abs(loss.item() - np.log(4)) < 2 * EPS[dtype_name(dtype)]
    assert abs(nn.MSELoss(reduction="mean")(x + 10, x).item() - 100) < 1
