"""Export to ONNX: the file gives the same numbers in ONNX Runtime, for another batch and another time than at the export."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.interop.onnx_trace import flat

ort = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("tinyrnn.interop.onnx")
pytest.importorskip("onnx")


def draw(*shape):
    return tinyrnn.randn(*shape)


def ids(*shape):
    return tinyrnn.randint(0, 20, shape)


def ints(*values):
    return tinyrnn.tensor(values)


@pytest.fixture
def check(tmp_path):
    """Export with some inputs, run with those and with others of other sizes."""

    def run(model, inputs, others, kwargs=None, other_kwargs=None, **names):
        path = tmp_path / "model.onnx"
        modes = [module.training for module in model.modules()]
        onnx.export(model, inputs, path, kwargs=kwargs, **names)
        assert [module.training for module in model.modules()] == modes
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        model.eval()
        for args, by_name in ((inputs, kwargs or {}), (others, other_kwargs or {})):
            tensors = flat(args) + flat(by_name)
            fed = {given.name: tensor.numpy() for given, tensor in zip(session.get_inputs(), tensors, strict=True)}
            wanted = flat(model(*args, **by_name))
            for a, b in zip(session.run(None, fed), wanted, strict=True):
                assert a.shape == tuple(b.shape)
                np.testing.assert_allclose(a, b.detach().numpy(), rtol=2e-5, atol=2e-5)
        return session

    return run


# ---- recurrent layers ------------------------------------------------------------------------------------------------

KINDS = [nn.RNN, nn.LSTM, nn.GRU]
OPTIONS = [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}, {"bias": False}, {"single_bias": True}]


def states(kind, layers, B, H=4):
    return (draw(layers, B, H), draw(layers, B, H)) if kind is nn.LSTM else draw(layers, B, H)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_layers(check, kind, options):
    check(kind(3, 4, **options), (draw(5, 2, 3),), (draw(2, 7, 3),))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("B", [2, 3, 4])  # 3 and 4: as many as features
def test_states_go_in_and_out(check, kind, B):
    session = check(kind(3, 4, 2), (draw(5, B, 3), states(kind, 2, B)), (draw(6, 7, 3), states(kind, 2, 7)))
    assert [given.shape[1] for given in session.get_inputs()] == ["input_1"] * (3 if kind is nn.LSTM else 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths(check, kind, batch_first):
    layer = kind(3, 4, 2, bidirectional=True, batch_first=batch_first)
    x, other = (draw(3, 5, 3), draw(4, 7, 3)) if batch_first else (draw(5, 3, 3), draw(7, 4, 3))
    check(layer, (x,), (other,), {"lengths": ints(5, 2, 3)}, {"lengths": ints(1, 7, 3, 2)})


@pytest.mark.parametrize("kind", KINDS)
def test_unbatched(check, kind):
    check(kind(3, 4, bidirectional=True), (draw(5, 3),), (draw(7, 3),))


@pytest.mark.parametrize(
    "layer",
    [
        nn.RNN(3, 4, nonlinearity="relu", bidirectional=True),
        nn.GRU(3, 4, 2, reset_after=False),
        nn.LSTM(3, 4, 2, peephole=True, residual=True, forget_bias=1.0),
        nn.LSTM(3, 4, 2, bidirectional=True, peephole=True, single_bias=True),
        nn.LSTM(3, 4, 2, dropout=0.5, recurrent_dropout=0.5, input_dropout=0.5),
        nn.Bidirectional(nn.GRU(3, 4), merge_mode="sum"),
    ],
)
def test_options(check, layer):
    with tinyrnn.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(0, 0.5)
    check(layer, (draw(5, 2, 3),), (draw(6, 4, 3),))


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_cells(check, kind):
    def state(*shape):
        return (draw(*shape), draw(*shape)) if kind is nn.LSTMCell else draw(*shape)

    check(kind(3, 4), (draw(2, 3), state(2, 4)), (draw(6, 3), state(6, 4)))
    check(kind(3, 4), (draw(2, 3),), (draw(6, 3),))
    check(kind(3, 4), (draw(3), state(4)), (draw(3), state(4)))


# ---- attention -------------------------------------------------------------------------------------------------------

ATTENTIONS = [nn.DotAttention(), nn.ScaledDotAttention(), nn.GeneralAttention(6, 6), nn.AdditiveAttention(6, 6, 5)]


@pytest.mark.parametrize("layer", ATTENTIONS, ids=lambda layer: type(layer).__name__)
def test_attention(check, layer):
    check(layer, (draw(2, 3, 6), draw(2, 5, 6)), (draw(3, 4, 6), draw(3, 7, 6)))
    check(layer, (draw(2, 6), draw(2, 5, 6), draw(2, 5, 3)), (draw(3, 6), draw(3, 7, 6), draw(3, 7, 3)))
    lengths = {"lengths": ints(5, 0)}, {"lengths": ints(7, 2, 0)}
    check(layer, (draw(2, 3, 6), draw(2, 5, 6)), (draw(3, 4, 6), draw(3, 7, 6)), *lengths)
    masks = [{"mask": tinyrnn.rand(*shape) < 0.5} for shape in ((2, 5), (3, 7))]
    check(layer, (draw(2, 3, 6), draw(2, 5, 6)), (draw(3, 4, 6), draw(3, 7, 6)), *masks)
    both = [{"mask": tinyrnn.rand(*shape) < 0.5, **own} for shape, own in zip(((2, 3, 5), (3, 4, 7)), lengths)]
    check(layer, (draw(2, 3, 6), draw(2, 5, 6)), (draw(3, 4, 6), draw(3, 7, 6)), *both)


def test_multihead_attention(check):
    class SelfAttention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(12, 3, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x)

    check(SelfAttention(), (draw(2, 5, 12),), (draw(3, 7, 12),))


# ---- models ----------------------------------------------------------------------------------------------------------


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8, padding_idx=0)
        self.rnn = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True, dropout=0.3)
        self.output = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, 4))

    def forward(self, words):
        return self.output(self.rnn(self.embedding(words))[0]).log_softmax(-1)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.rnn = nn.GRU(8, 6, bidirectional=True)
        self.head = nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 7), nn.GELU(), nn.Linear(7, 3))

    def forward(self, words, lengths):
        _, h = self.rnn(self.embedding(words.t()), lengths=lengths)
        return self.head(tinyrnn.cat([h[-2], h[-1]], 1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 6, batch_first=True)
        self.attention = nn.GeneralAttention(6, 6)

    def forward(self, x, lengths):
        outputs, (h, _) = self.rnn(x, lengths=lengths)
        context, weights = self.attention(h[0], outputs, lengths=lengths)
        return {"context": tinyrnn.tanh(context + outputs.mean(1)), "weights": weights, "last": outputs[:, -1]}


class Streaming(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.output = nn.LSTM(3, 4, 2), nn.Linear(4, 3)

    def forward(self, x, h, c):
        y, (h, c) = self.rnn(x.unsqueeze(0), (h, c))
        return self.output(y.squeeze(0)).softmax(-1), h, c


class Operations(nn.Module):
    """One of each kind of operation that may stand between layers."""

    def forward(self, x):
        T, B, F = x.shape
        first, rest = x.split([2, F - 2], -1)
        a = (first * 2 - 1).sum(-1, keepdim=True) + rest.amax(-1, keepdim=True) / 3
        b = x.reshape(T * B, F).relu().view(T, B, F)[1:, :, ::1].mean(0)
        c = tinyrnn.stack([x[0], x[-1], x[-2]], 0).permute(1, 0, 2).flatten(1)
        d = (x @ x.transpose(1, 2)).clamp(-1, 1).logsumexp(-1)
        e = tinyrnn.cat([x.flip(0)[:2], x[-2:]], 0)[:, :, None, 1:]
        f = nn.functional.silu(x) + nn.functional.softplus(x, 2.0) + nn.functional.logsigmoid(x) + x.abs().sqrt()
        g = first.unbind(-1)[0] + x[..., 1].exp().log().neg()
        h = nn.functional.leaky_relu(x, 0.1) + nn.functional.elu(x) + nn.functional.hardtanh(x) + x.rsqrt().maximum(x)
        return a, b, c, d, e, f, g, h


def test_models(check):
    check(Tagger(), (ids(2, 5),), (ids(3, 7),))
    check(Classifier(), (ids(2, 5), ints(5, 2)), (ids(3, 7), ints(7, 2, 1)))
    check(Encoder(), (draw(2, 5, 8), ints(5, 2)), (draw(3, 7, 8), ints(7, 2, 1)))
    states = draw(2, 3, 4), draw(2, 3, 4)
    check(Streaming(), (draw(3, 3), *states), (draw(6, 3), draw(2, 6, 4), draw(2, 6, 4)))


def test_operations(check):
    check(Operations(), (draw(5, 3, 6).abs() + 0.1,), (draw(9, 4, 6).abs() + 0.1,))


def test_names_and_free_axes(check):
    session = check(Tagger(), (ids(2, 5),), (ids(3, 7),), input_names=["tokens"], output_names=["scores"])
    assert [(given.name, given.shape) for given in session.get_inputs()] == [("tokens", ["tokens_0", "tokens_1"])]
    assert [(given.name, given.shape) for given in session.get_outputs()] == [("scores", ["tokens_0", "tokens_1", 4])]


def test_float64(check):
    check(nn.Sequential(nn.Linear(3, 4), nn.Tanh()).double(), (draw(5, 2, 3).double(),), (draw(6, 4, 3).double(),))


# ---- what cannot be exported -----------------------------------------------------------------------------------------


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x):
        h = None
        for x_t in x:
            h = self.cell(x_t, h)
        return h


class ReadsNumbers(nn.Module):
    def forward(self, x):
        return x * x.sum().item()


class MaskFromIds(nn.Module):
    def forward(self, x, words):
        return x.masked_fill((words == 0).unsqueeze(-1), 0.0)


class Writes(nn.Module):
    def forward(self, x):
        y = tinyrnn.zeros(x.shape)
        y[:, 0] = x[:, 0]
        return y


class Calls(nn.Module):
    def __init__(self, layer, **call):
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, x):
        return self.layer(x, **self.call)[0]


@pytest.mark.parametrize(
    ("model", "inputs", "sentence"),
    [
        (
            Loop(),
            (draw(5, 2, 3),),
            "unbind gives 5 tensors in one run and [0-9]+ in the other, at .*test_onnx.py:[0-9]+",
        ),
        (ReadsNumbers(), (draw(5, 2, 3),), "mul takes something computed from the inputs in a way that export does not follow"),
        (MaskFromIds(), (draw(2, 5, 3), ids(2, 5)), "reshape takes something computed from the inputs"),
        (Writes(), (draw(5, 2, 3),), "takes something computed from the inputs in a way.*, at .*test_onnx.py"),
        (nn.LSTM(3, 4, proj_size=2), (draw(5, 2, 3),), "LSTM with proj_size=2 is not what ONNX's operator LSTM computes"),
        (nn.GRU(3, 4, layer_norm=True), (draw(5, 2, 3),), "GRU with layer_norm=True is not what ONNX's operator GRU"),
        (nn.RNN(3, 4, zoneout=0.1), (draw(5, 2, 3),), "RNN with zoneout=0.1 is not what ONNX's operator RNN computes"),
        (Calls(nn.GRU(3, 4), gates=True), (draw(5, 2, 3),), "GRU was called with gates=True"),
    ],
)
def test_what_cannot_be_written_down_says_so(tmp_path, model, inputs, sentence):
    with pytest.raises(NotImplementedError, match=f"^export: .*{sentence}"):
        onnx.export(model, inputs, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_wrong_names(tmp_path):
    with pytest.raises(ValueError, match="input_names: expected 1 names, one for each tensor \\(input\\), got 2"):
        onnx.export(nn.GRU(3, 4), (draw(5, 2, 3),), tmp_path / "model.onnx", input_names=["a", "b"])
