"""Layers, losses and optimizers on the GPU give what they give on the CPU: outputs, gradients, second derivatives, updates."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from on_gpu import ROUNDING, assert_close, assert_close_but_for_rounding
from sweep_cases import SEED

import tinyrnn
from tinyrnn import nn
from tinyrnn.autograd import gradcheck, gradgradcheck
from tinyrnn.nn import functional as F

T, B, I, H = 5, 4, 3, 6  # noqa: E741
LENGTHS = [5, 2, 0, 4]
KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
OPTIONS = {
    "plain": {},
    "stack": {"num_layers": 2, "bidirectional": True, "dropout": 0.4},
    "batch_first": {"batch_first": True, "bias": False},
    "norm": {"layer_norm": True},
    "dropouts": {"recurrent_dropout": 0.3, "input_dropout": 0.2, "zoneout": 0.2},
    "residual": {"num_layers": 2, "residual": True, "single_bias": True},
}
OF_ONE = {
    "LSTM": {"projection": {"proj_size": 4}, "peephole": {"peephole": True, "zoneout": (0.1, 0.2)}},
    "GRU": {"reset_before": {"reset_after": False}, "reset_before_norm": {"reset_after": False, "layer_norm": True}},
    "RNN": {"relu": {"nonlinearity": "relu"}},
}
LAYERS = [(kind, name) for kind in KINDS for name in (*OPTIONS, *OF_ONE[kind])]


def recurrent(kind, name):
    tinyrnn.manual_seed(SEED)
    return KINDS[kind](I, H, **(OPTIONS | OF_ONE[kind])[name]).double()


def tensors(value):
    """The tensors in a structure."""
    if isinstance(value, tinyrnn.Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [tensor for each in value for tensor in tensors(each)]
    return []


def run(layer, device, call, *inputs, loss=None):
    """Results and gradients, in main memory, of ``call(layer, *inputs)`` on a device."""
    layer = copy.deepcopy(layer).to(device)
    given = [tinyrnn.tensor(x, device=device, requires_grad=x.dtype.kind in "fV") for x in inputs]
    tinyrnn.manual_seed(3)
    results = tensors(call(layer, *given))
    assert {result.device for result in results} == {device}
    total = sum((result * tinyrnn.linspace(0.1, 1, result.numel(), device=device).view_as(result)).sum() for result in results)
    total.backward()
    gradients = [x.grad for x in (*given, *layer.parameters()) if x.requires_grad]
    assert all(each is not None and each.device == device for each in gradients)
    return [each.detach().double().cpu().numpy() for each in (*results, *gradients)]


def assert_same_on_both(cuda, layer, call, *inputs):
    for got, expected in zip(run(layer, cuda, call, *inputs), run(layer, tinyrnn.device("cpu"), call, *inputs), strict=True):
        assert_close(got, expected, 1e-9)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("kind, name", LAYERS)
def test_recurrent_layers(cuda, rng, kind, name, ragged):
    layer = recurrent(kind, name)
    x = rng.normal(size=(T, B, I))
    if ragged:
        for b, length in enumerate(LENGTHS):
            x[length:, b] = np.nan
    x = x.swapaxes(0, 1) if layer.batch_first else x
    keep = np.isfinite(x)  # NaN padding must not reach anything, but has a gradient of its own: 0

    def call(layer, x):
        return layer(x, lengths=LENGTHS if ragged else None)

    assert_same_on_both(cuda, layer, call, x)
    assert ragged != keep.all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind, name", LAYERS)
def test_recurrent_layers_in_16_bits(cuda, rng, kind, name, dtype):
    """Nearly what float64 gives on the CPU, of the same numbers."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    narrow = recurrent(kind, name).to(getattr(tinyrnn, dtype))
    x = rng.normal(size=(T, B, I)).astype(dtype)
    x = x.swapaxes(0, 1) if narrow.batch_first else x
    wide = copy.deepcopy(narrow).double()

    def exactly(x, weights):
        wide.load_state_dict({name: tinyrnn.tensor(weight) for name, weight in weights})
        return run(wide, tinyrnn.device("cpu"), lambda layer, x: layer(x), x)

    weights = [(name, weight.detach().numpy()) for name, weight in wide.state_dict().items()]
    got = run(narrow, cuda, lambda layer, x: layer(x), x)
    assert_close_but_for_rounding(got, exactly, (x, weights), ROUNDING[dtype])


@pytest.mark.parametrize("kind", KINDS)
def test_steps_and_packed_sequences(cuda, rng, kind):
    layer = KINDS[kind](I, H, 2).double()
    x = rng.normal(size=(T, B, I))

    def steps(layer, x):
        state, outputs = None, []
        for x_t in x:
            output, state = layer.step(x_t, state)
            outputs.append(output)
        return outputs

    def packed(layer, x):
        output, state = layer(nn.utils.rnn.pack_padded_sequence(x, [5, 4, 2, 1]))
        return nn.utils.rnn.pad_packed_sequence(output)[0], state

    assert_same_on_both(cuda, layer, steps, x)
    assert_same_on_both(cuda, layer, packed, x)


def test_cells_and_custom_cells(cuda, rng):
    x, h = rng.normal(size=(B, I)), rng.normal(size=(B, H))
    assert_same_on_both(cuda, nn.LSTMCell(I, H).double(), lambda cell, x, h: cell(x, (h, h * 2)), x, h)
    assert_same_on_both(cuda, nn.GRUCell(I, H).double(), lambda cell, x, h: cell(x, h), x, h)
    assert_same_on_both(cuda, nn.RNNCell(I, H, nonlinearity="relu").double(), lambda cell, x, h: cell(x, h), x, h)

    class Minimal(nn.CustomCell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.inner = nn.Linear(input_size + hidden_size, hidden_size)

        def forward(self, x_t, h):
            return self.inner(tinyrnn.cat([x_t, h], 1)).tanh()

    layer = nn.CustomRNN(Minimal, I, H).double()
    assert_same_on_both(cuda, layer, lambda layer, x: layer(x, lengths=[5, 2, 1, 4]), rng.normal(size=(T, B, I)))


ATTENTIONS = {
    "dot": lambda: nn.DotAttention(),
    "scaled": lambda: nn.ScaledDotAttention(),
    "general": lambda: nn.GeneralAttention(H, H),
    "additive": lambda: nn.AdditiveAttention(H, H, 7),
    "location": lambda: nn.LocationAwareAttention(H, H, 7),
    "coverage": lambda: nn.CoverageAttention(H, H, 7),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention(cuda, rng, name):
    query, keys = rng.normal(size=(B, 3, H)), rng.normal(size=(B, T, H))
    assert_same_on_both(cuda, ATTENTIONS[name]().double(), lambda layer, q, k: layer(q, k, lengths=[5, 0, 2, 3]), query, keys)


def test_multihead_attention(cuda, rng):
    x = rng.normal(size=(T, B, 8))
    padding = np.arange(T) >= np.array([5, 2, 3, 1])[:, None]

    def call(layer, x):
        mask = tinyrnn.tensor(padding, device=x.device)
        return layer(x, x, x, key_padding_mask=mask)

    assert_same_on_both(cuda, nn.MultiheadAttention(8, 2).double(), call, x)


def test_a_classifier(cuda, rng):
    model = nn.Sequential(nn.Embedding(9, H), nn.LayerNorm(H), nn.Dropout(0.3), nn.Linear(H, 5), nn.GELU(), nn.Linear(5, 4))
    target = rng.integers(0, 4, (B,))

    def call(model, ids):
        logits = model(ids).mean(1)
        aims = tinyrnn.tensor(target, device=ids.device)
        return F.cross_entropy(logits, aims, label_smoothing=0.1), F.nll_loss(F.log_softmax(logits, 1), aims)

    assert_same_on_both(cuda, model.double(), call, rng.integers(0, 9, (B, T)))


def test_ctc_loss(cuda, rng):
    targets, lengths, target_lengths = rng.integers(1, I, (B, 2)), [5, 5, 4, 3], [2, 1, 2, 0]

    def call(layer, x):
        aims = tinyrnn.tensor(targets, device=x.device)
        return F.ctc_loss(layer(x).log_softmax(2), aims, lengths, target_lengths, zero_infinity=True)

    assert_same_on_both(cuda, nn.Linear(I, I).double(), call, rng.normal(size=(T, B, I)))


OPTIMIZERS = {
    "SGD": lambda p: tinyrnn.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: tinyrnn.optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: tinyrnn.optim.AdamW(p, lr=0.1),
    "RMSprop": lambda p: tinyrnn.optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    "Adagrad": lambda p: tinyrnn.optim.Adagrad(p, lr=0.1),
    "LBFGS": lambda p: tinyrnn.optim.LBFGS(p, lr=0.1, max_iter=4),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training(cuda, rng, name):
    start = nn.LSTM(I, H).double()
    x = rng.normal(size=(T, B, I))
    trained = []
    for device in (cuda, tinyrnn.device("cpu")):
        model = copy.deepcopy(start).to(device)
        optimizer = OPTIMIZERS[name](model.parameters())
        inputs = tinyrnn.tensor(x, device=device)

        def closure(model=model, optimizer=optimizer, inputs=inputs):
            optimizer.zero_grad()
            loss = model(inputs)[0].square().mean()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.05)
            return loss

        for _ in range(3):
            optimizer.step(closure)
        trained.append([each.detach().cpu().numpy() for each in model.parameters()])
    for got, expected in zip(*trained):
        assert_close(got, expected, 1e-8)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("kind, name", LAYERS)
def test_second_derivatives_of_layers(cuda, rng, kind, name, ragged):
    """Those of everything by everything: the gradients of the sum of squares of all first gradients."""
    layer = recurrent(kind, name)
    x = rng.normal(size=(B, T, I) if layer.batch_first else (T, B, I))

    def first(layer, x):
        output = layer(x, lengths=LENGTHS if ragged else None)[0]
        return tinyrnn.autograd.grad(output.square().sum(), [x, *layer.parameters()], create_graph=True)

    assert_same_on_both(cuda, layer, lambda layer, x: [each.square().sum() for each in first(layer, x)], x)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_of_packed_sequences(cuda, rng, kind):
    layer = KINDS[kind](I, H, bidirectional=True).double()

    def first(layer, x):
        output = layer(nn.utils.rnn.pack_padded_sequence(x, [5, 4, 2, 1]))[0].data
        return tinyrnn.autograd.grad(output.square().sum(), [x, *layer.parameters()], create_graph=True)

    assert_same_on_both(
        cuda, layer, lambda layer, x: [each.square().sum() for each in first(layer, x)], rng.normal(size=(T, B, I))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives_are_those_of_finite_differences(cuda, rng, kind):
    layer = KINDS[kind](2, 3).double().to(cuda)
    x = tinyrnn.tensor(rng.normal(size=(3, 2, 2)), device=cuda, requires_grad=True)
    assert gradcheck(lambda x: layer(x)[0], (x,))
    assert gradgradcheck(lambda x: layer(x)[0], (x,))
