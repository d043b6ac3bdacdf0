"""Whole models with a `forward` of their own, which sizes the file leaves open, and what export says to what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
import tinyrnn as torch
import tinyrnn.nn.functional as F
from tinyrnn import nn
from tinyrnn.nn.functional import softmax
from tinyrnn.seq2seq.encoder import Encoder

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def ids(*shape):
    return torch.randint(1, 20, shape)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True, dropout=0.3)
        self.out = nn.Linear(10, 4)

    def forward(self, tokens, lengths=None):
        states, _ = self.lstm(self.embedding(tokens), lengths=lengths)
        return self.out(F.dropout(states, 0.5, self.training))


class Classifier(nn.Module):
    """Out of the final states of both directions, the last step, and the mean over the steps that are no padding."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6, padding_idx=0)
        self.gru = nn.GRU(6, 5, bidirectional=True, batch_first=True)
        self.head = nn.Sequential(nn.LayerNorm(30), nn.Linear(30, 7), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(7, 1))

    def forward(self, tokens):
        batch, time = tokens.shape
        mask = tokens != 0
        h_0 = torch.zeros(2, batch, 5)
        states, h_n = self.gru(self.embedding(tokens), h_0, lengths=mask.sum(1))
        mean = (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        assert states.shape == (batch, time, 10)
        return torch.sigmoid(self.head(torch.cat([torch.cat([h_n[-2], h_n[-1]], dim=1), states[:, -1], mean], 1))).squeeze(-1)


class Translator(nn.Module):
    """Teacher-forced: an encoder, a decoder that starts in its states, attention; one table for both output and input words."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.encoder = nn.LSTM(6, 4, bidirectional=True)
        self.decoder = nn.LSTM(6, 8)
        self.attention = nn.GeneralAttention(8, 8)
        self.combine = nn.Linear(16, 6)
        self.out = nn.Linear(6, 20, bias=False)
        self.out.weight = self.embedding.weight

    def forward(self, source, target, lengths):
        memory, (h, c) = self.encoder(self.embedding(source.t()), lengths=lengths)
        first = tuple(torch.cat([each[0], each[1]], 1).unsqueeze(0) for each in (h, c))
        states, _ = self.decoder(self.embedding(target.t()), first)
        context, weights = self.attention(states.transpose(0, 1), memory.transpose(0, 1), lengths=lengths)
        logits = self.out(torch.tanh(self.combine(torch.cat((states.transpose(0, 1), context), dim=-1))))
        return {"logits": logits, "weights": weights, "best": softmax(logits, dim=-1).max(-1)}


def padded_ids(*shape):
    tokens = ids(*shape)
    tokens[0, -2:] = 0
    return tokens


def test_tagger(same_in_onnx_runtime):
    lengths = [{"lengths": torch.tensor(each)} for each in ([4, 6], [9, 0, 3])]
    same_in_onnx_runtime(Tagger(), (ids(2, 6),), (ids(5, 11),))
    proto = same_in_onnx_runtime(Tagger(), (ids(2, 6), lengths[0]), (ids(3, 9), lengths[1]))
    names = {each.name for each in proto.graph.initializer}
    assert {"embedding.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l1", "out.weight", "out.bias"} <= names


def test_classifier(same_in_onnx_runtime):
    same_in_onnx_runtime(Classifier(), (padded_ids(3, 6),), (padded_ids(1, 9),), (padded_ids(6, 3),))


def test_translator(same_in_onnx_runtime):
    calls = [(ids(2, 6), ids(2, 5), torch.tensor([6, 4])), (ids(4, 9), ids(4, 2), torch.tensor([1, 9, 3, 5]))]
    proto = same_in_onnx_runtime(Translator(), *calls)
    shapes = [list(array.dims) for array in proto.graph.initializer]
    assert shapes.count([20, 6]) == 1, "the tied table is stored once"


def test_encoder_of_the_library(same_in_onnx_runtime):
    model = Encoder(20, 6, 5, 2, "lstm", 0.3)
    same_in_onnx_runtime(model, (ids(2, 6), torch.tensor([6, 4])), (ids(3, 4), torch.tensor([1, 4, 2])))


def test_language_model_step_by_step(same_in_onnx_runtime):
    """States go in and out, so that a stream is read chunk by chunk."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(20, 6)
            self.rnn = nn.LSTM(6, 5, 2)
            self.out = nn.Linear(5, 20)

        def forward(self, tokens, state):
            y, state = self.rnn(self.embedding(tokens), state)
            return F.log_softmax(self.out(y.reshape(-1, y.size(2))), dim=1), state

    def call(T, B):
        return ids(T, B), (torch.randn(2, B, 5), torch.randn(2, B, 5))

    proto = same_in_onnx_runtime(Model(), call(4, 3), call(1, 1))
    assert [each.name for each in proto.graph.input] == ["tokens", "state_0", "state_1"]


def test_float64(same_in_onnx_runtime):
    """ONNX Runtime's LSTM is of float32 alone; what is composed is not."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4)).double()
    same_in_onnx_runtime(model, (torch.randn(2, 3, dtype=torch.float64),), atol=1e-12)


# ---- names, sizes, files ---------------------------------------------------------------------------------------------


def sizes_of(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def exported(model, args, **options):
    return tinyrnn.interop.onnx.export(model, args, **options).graph


def test_names_and_sizes_found():
    x, h, c = torch.randn(5, 2, 3), torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    graph = exported(nn.LSTM(3, 4), (x, (h, c)))
    assert [each.name for each in graph.input] == ["input", "hx_0", "hx_1"]
    assert [each.name for each in graph.output] == ["output", "output_1", "output_2"]
    assert [sizes_of(each) for each in graph.input] == [["input_0", "input_1", 3], [1, "input_1", 4], [1, "input_1", 4]]
    assert sizes_of(graph.output[0]) == ["input_0", "input_1", 4]


def test_names_and_sizes_given():
    options = {"input_names": ["x", "lengths"], "output_names": ["y", "h", "c"], "kwargs": {"lengths": torch.tensor([5, 4])}}
    axes = {"x": {1: "batch", 0: "time"}, "lengths": {0: "batch"}}
    graph = exported(nn.LSTM(3, 4), torch.randn(5, 2, 3), dynamic_axes=axes, **options)
    assert [sizes_of(each) for each in graph.input] == [["time", "batch", 3], ["batch"]]
    assert [(each.name, sizes_of(each)) for each in graph.output][:2] == [("y", ["time", "batch", 4]), ("h", [1, "batch", 4])]
    graph = exported(nn.LSTM(3, 4), torch.randn(5, 2, 3), dynamic_axes={})
    assert sizes_of(graph.input[0]) == [5, 2, 3] and sizes_of(graph.output[0]) == [5, 2, 4]
    assert sizes_of(exported(nn.LSTM(3, 4), torch.randn(5, 2, 3), dynamic_axes={"input": [1]}).input[0]) == [5, "input_1", 3]


def test_equal_sizes_are_told_apart():
    """Batch, time and features of one size in the example."""
    graph = exported(nn.LSTM(4, 4), (torch.randn(4, 4, 4),), kwargs={"lengths": torch.tensor([4, 4, 4, 1])})
    assert [sizes_of(each) for each in graph.input] == [["input_0", "input_1", 4], ["input_1"]]


def test_files_and_the_model_afterwards(tmp_path):
    model = Tagger().train()
    model.out.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    proto = tinyrnn.interop.onnx.export(model, (ids(2, 3),), tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx") == proto
    assert (proto.ir_version, proto.opset_import[0].version, proto.producer_name) == (8, 17, "tinyrnn")
    assert model.training and model.lstm.training and not model.out.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    loss = model(ids(2, 3)).sum()
    loss.backward()
    assert model.lstm.weight_ih_l0.grad is not None and type(loss) is tinyrnn.Tensor


def test_example_inputs_stay_as_they_are():
    x = torch.tensor([-1.0, 2.0])
    exported(nn.ReLU(inplace=True), x)
    assert x.tolist() == [-1, 2]


def test_everything_is_put_back_after_an_error():
    functions = (tinyrnn.cat, F.relu, nn.Module.__call__)

    class Model(nn.Module):
        def forward(self, x):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        exported(Model(), torch.zeros(2), dynamic_axes={})
    assert functions == (tinyrnn.cat, F.relu, nn.Module.__call__)


# ---- what cannot be exported -----------------------------------------------------------------------------------------


def _loop(self, x):
    h = torch.zeros(x.size(1), 4)
    for t in range(x.size(0)):
        h = self.cell(x[t], h)
    return h


class Own(nn.Attention):
    def score(self, query, keys):
        return query @ keys.mT


class Doubled(nn.GeneralAttention):
    def score(self, query, keys):
        return super().score(query, keys) * 2


class OwnCell(nn.CustomCell):
    def forward(self, x, h):
        return x + h


_HIDDEN = {"relu": torch.relu}

REFUSED = {
    "a loop over time": (_loop, r"cannot express; is there a loop over a size\?"),
    "a branch on numbers": (lambda self, x: x * 2 if x.sum() > 0 else x, r"__bool__, called at .*:\d+: it reads numbers"),
    "a number read": (lambda self, x: x * x.max().item(), "item, called at"),
    "an array": (lambda self, x: x * torch.tensor(x.numpy()), "numpy, called at"),
    "a size in Python": (lambda self, x: x * float(x.shape[0]), r"is given the number \d\.0 that depends on the inputs"),
    "a size as an int": (lambda self, x: x.reshape(int(x.shape[0]), -1), r"is given the number \d that depends"),
    "a write": (lambda self, x: x.add_(1), "add_, called at"),
    "a write to a part": (lambda self, x: x.__setitem__(0, 0.0), "__setitem__, called at"),
    "a mask as an index": (lambda self, x: x[x > 0], "what a mask selects has no fixed shape"),
    "an operation hidden": (lambda self, x: _HIDDEN["relu"](x) + 1, "but by nothing that was seen"),
    "a hidden result": (lambda self, x: _HIDDEN["relu"](x), "the result, called at .* is given a tensor"),
    "dropout that stays": (lambda self, x: F.dropout(x, 0.5), "dropout of training cannot be exported"),
    "pieces of time": (lambda self, x: x.chunk(2), "pieces of dimension 0, whose size is open"),
    "any number of pieces": (lambda self, x: list(x), "how many there are, and their dimensions, may not depend on sizes"),
    "an attention of one's own": (lambda self, x: self.own(x, x)[0], "the layer Own, called at .*: it derives from no layer"),
    "a score of one's own": (lambda self, x: self.doubled(x, x)[0], "Doubled has a score of its own"),
    "a custom step": (lambda self, x: self.custom.step(x[0])[0], "step of the layer CustomRNN, called at .*: its cell runs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, model_of):
    function, answer = REFUSED[name]
    model = model_of(function, cell=nn.RNNCell(3, 4), own=Own(), doubled=Doubled(3, 3), custom=nn.CustomRNN(OwnCell, 3, 3))
    with pytest.raises(NotImplementedError, match=answer) as caught:
        exported(model, torch.randn(5, 2, 3))
    if "the result" not in answer:
        assert "test_onnx_models.py:" in str(caught.value), "the user's line"


def test_loops_over_a_fixed_size(same_in_onnx_runtime, model_of):
    model = model_of(_loop, cell=nn.RNNCell(3, 4))
    same_in_onnx_runtime(model, (torch.randn(5, 2, 3),), (torch.randn(5, 7, 3),), dynamic_axes={"x": [1]})


@pytest.mark.parametrize(
    "options, answer",
    [
        ({"input_names": ["a", "b"]}, "got 2 input_names, expected 1"),
        ({"output_names": ["a", "b"]}, "got 2 output_names, expected 1"),
        ({"dynamic_axes": {"y": [0]}}, "dynamic_axes names 'y', expected one of the inputs input"),
        ({"dynamic_axes": {"input": [2]}}, "dynamic_axes names axis 2 of 'input', expected one of its 2 dimensions"),
        ({"dynamic_axes": {"input": {-3: "batch"}}}, "dynamic_axes names axis -3 of 'input'"),
        ({"input_names": ["x"], "output_names": ["x"]}, r"'x' names several inputs or outputs, .* got \['x', 'x'\]"),
    ],
)
def test_wrong_names(options, answer):
    with pytest.raises(ValueError, match=answer):
        exported(nn.Linear(3, 2), torch.randn(2, 3), **options)


def test_names_that_clash(same_in_onnx_runtime):
    """Given twice they are refused; those of parameters and those that nobody chose make way."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3))

        def forward(self, weight, output):
            return weight * self.weight, output + 1

    pair = torch.randn(2, 3), torch.randn(2, 3)
    for names in ({"input_names": ["x", "x"]}, {"output_names": ["y", "y"]}, {"output_names": ["y", "weight"]}):
        with pytest.raises(ValueError, match="names several inputs or outputs, expected names that differ"):
            exported(Two(), pair, **names)
    proto = same_in_onnx_runtime(Two(), pair, (torch.randn(4, 3), torch.randn(4, 3)))
    assert [each.name for each in proto.graph.input] == ["weight", "output"]


def test_axes_counted_from_the_end(same_in_onnx_runtime):
    calls = [(torch.randn(5, 2, 3),), (torch.randn(7, 4, 3),)]
    proto = same_in_onnx_runtime(nn.GRU(3, 4), *calls, dynamic_axes={"input": {-2: "batch", -3: "time"}})
    assert sizes_of(proto.graph.input[0]) == ["time", "batch", 3]
    proto = same_in_onnx_runtime(nn.GRU(3, 4), *calls, dynamic_axes={"input": [-2, 0, 1]})
    assert sizes_of(proto.graph.input[0]) == ["input_0", "input_1", 3]


def test_wrong_arguments(model_of):
    with pytest.raises(TypeError, match="no tensor among the arguments"):
        exported(nn.Linear(3, 2), ([1.0],))
    with pytest.raises(TypeError, match="the model returns no tensor"):
        exported(model_of(lambda self, x: None), torch.zeros(2))


def test_without_onnx(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'pip install "tinyrnn\[onnx\]"'):
        exported(nn.Linear(3, 2), torch.zeros(2, 3))


def test_constants_of_the_model(same_in_onnx_runtime):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.tensor(np.float32([1, 2, 3])))
            self.shift = nn.Parameter(torch.randn(3))

        def forward(self, x, times: int = 2):
            return x * self.scale + self.shift, self.shift, times * x

    proto = same_in_onnx_runtime(Model(), (torch.randn(2, 3), 3), (torch.randn(5, 3), 3))
    assert {"scale", "shift"} <= {each.name for each in proto.graph.initializer}


# ---- packed sequences ------------------------------------------------------------------------------------------------


class PackedTagger(nn.Module):
    def __init__(self, enforce_sorted, layer=None, batch_first=True):
        super().__init__()
        self.options = {"batch_first": batch_first, "enforce_sorted": enforce_sorted}
        self.layer = layer or nn.GRU(3, 4, bidirectional=True, batch_first=batch_first)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, **self.options)
        packed, h_n = self.layer(packed)
        states, counts = nn.utils.rnn.pad_packed_sequence(packed, self.options["batch_first"], padding_value=-1.0)
        return states, h_n, counts, states.sum(1)


@pytest.mark.parametrize("enforce_sorted", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_packed_sequences(enforce_sorted, batch_first, same_in_onnx_runtime):
    lengths = ([5, 3], [7, 4, 4, 1]) if enforce_sorted else ([3, 5], [4, 1, 7, 4])
    calls = [(torch.randn(2, 5, 3), torch.tensor(lengths[0])), (torch.randn(4, 7, 3), torch.tensor(lengths[1]))]
    if not batch_first:
        calls = [(x.transpose(0, 1), counts) for x, counts in calls]
    same_in_onnx_runtime(PackedTagger(enforce_sorted, batch_first=batch_first), *calls)
    if not batch_first:
        stack = nn.Bidirectional(nn.LSTM(3, 4, 2, layer_norm=True))
        same_in_onnx_runtime(PackedTagger(enforce_sorted, stack, batch_first), *calls)


def test_packing_gives_as_many_steps_as_the_longest_sequence(same_in_onnx_runtime):
    """What follows may look at the end or at all of them."""

    class Pooled(nn.Module):
        def forward(self, x, lengths):
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            y, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
            return y.mean(1), y[:, -1], y.max(1).values, y.reshape(y.size(0), -1, 1) * 2

    calls = [(torch.randn(2, 5, 3), torch.tensor([3, 4])), (torch.randn(3, 6, 3), torch.tensor([2, 5, 1]))]
    same_in_onnx_runtime(Pooled(), *calls)


def test_clones_parameters_and_sizes(same_in_onnx_runtime):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.start = nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(1, 1, 3))

        def forward(self, x):
            y = x.clone()
            nn.functional.relu(y, inplace=True)
            half = x[:, : x.size(1) // 2] * 2 + x[:, (1 - x.size(1)) // 2 :]
            start = self.start.expand(-1, x.size(1), -1) + self.weight.new_zeros(1, x.size(1), 3)
            return x + y, half, self.weight * x + self.weight, start

    same_in_onnx_runtime(Model(), (torch.randn(2, 5, 3),), (torch.randn(3, 7, 3),))


def test_what_would_be_silently_wrong_is_refused(model_of):
    def written_through_a_view(self, x):
        h = x * 2
        nn.functional.relu(h.view(-1), inplace=True)
        return h

    def numpy_number(self, x):
        return x * np.float32(int(x.shape[1]))

    for forward, sentence in (
        (written_through_a_view, "writes over memory that a view sees too"),
        (numpy_number, "depends on the inputs"),
    ):
        with pytest.raises(NotImplementedError, match=sentence):
            exported(model_of(forward), torch.randn(2, 5, 3))


def test_a_forward_that_changes_its_module_is_refused_and_undone():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))
            self.last = None

        def forward(self, x):
            self.calls += 1
            self.last = x
            return x * 2

    model = Counting()
    with pytest.raises(NotImplementedError, match=r"forward changes the (buffer calls|attribute last)"):
        exported(model, torch.randn(2, 3))
    assert model.calls.item() == 0 and model.last is None


def test_packed_rows_are_refused(model_of):
    def rows(self, x):
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.full((x.size(1),), 4))
        return packed.data * 2

    with pytest.raises(NotImplementedError, match=r"__mul__, called at .*: the rows of a PackedSequence"):
        exported(model_of(rows), torch.randn(5, 2, 3))
