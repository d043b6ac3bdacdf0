"""Layers in ONNX Runtime: recurrent ones with every option, states and lengths; attention with masks; dense ones."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn

I, H, B, T = 3, 4, 2, 5  # noqa: E741
LENGTHS, OTHER_LENGTHS = [5, 3], [0, 7, 1, 4, 7]  # sequences of no step, too


def randomly(module):
    """Biases, norms and all with other numbers than at first."""
    for parameter in module.parameters():
        parameter.data.normal_(0, 0.5)
    return module


def batch_of(layer, B, T, with_states, lengths):
    first = getattr(layer, "forward_layer", layer)
    x = tinyrnn.randn(*((B, T, I) if first.batch_first else (T, B, I)))
    named = {} if lengths is None else {"lengths": tinyrnn.tensor(lengths)}
    if not with_states:
        return x, named
    rows = first.num_layers * (1 if layer is first and not layer.bidirectional else 2)
    states = tuple(tinyrnn.randn(rows, B, size) for size in first._state_sizes)
    return x, states if len(states) > 1 else states[0], named


def check_layer(layer, check, with_states=True, ragged=True):
    randomly(layer)
    lengths = (LENGTHS, OTHER_LENGTHS) if ragged else (None, None)
    return check(layer, batch_of(layer, B, T, with_states, lengths[0]), batch_of(layer, 5, 7, with_states, lengths[1]))


@pytest.mark.parametrize("cls", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("layers, bidirectional", [(1, False), (1, True), (2, True)])
@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_plain(cls, layers, bidirectional, with_states, ragged, same_in_onnx_runtime):
    layer = cls(I, H, layers, bidirectional=bidirectional, batch_first=ragged)
    proto = check_layer(layer, same_in_onnx_runtime, with_states, ragged)
    operators = [node.op_type for node in proto.graph.node]
    assert operators.count(cls.__name__) == layers and "Scan" not in operators


@pytest.mark.parametrize(
    "cls, options",
    [
        (nn.LSTM, {"bias": False}),
        (nn.LSTM, {"single_bias": True}),
        (nn.LSTM, {"peephole": True}),
        (nn.LSTM, {"num_layers": 3, "residual": True, "dropout": 0.3}),
        (nn.GRU, {"reset_after": False}),
        (nn.RNN, {"nonlinearity": "relu"}),
        (nn.LSTM, {"recurrent_dropout": 0.5, "input_dropout": 0.5, "forget_bias": 1.0}),
    ],
    ids=str,
)
def test_options_of_the_operators(cls, options, same_in_onnx_runtime):
    proto = check_layer(cls(I, H, bidirectional=True, **options), same_in_onnx_runtime)
    assert "Scan" not in [node.op_type for node in proto.graph.node]


@pytest.mark.parametrize(
    "cls, options",
    [
        (nn.LSTM, {"proj_size": 2}),
        (nn.LSTM, {"layer_norm": True}),
        (nn.LSTM, {"zoneout": (0.1, 0.3), "peephole": True, "proj_size": 3, "layer_norm": True, "single_bias": True}),
        (nn.GRU, {"layer_norm": True}),
        (nn.GRU, {"layer_norm": True, "reset_after": False}),
        (nn.GRU, {"zoneout": 0.2, "reset_after": False, "bias": False}),
        (nn.RNN, {"zoneout": 0.2, "nonlinearity": "relu"}),
        (nn.RNN, {"layer_norm": True}),
    ],
    ids=str,
)
@pytest.mark.parametrize("bidirectional, ragged", [(False, True), (True, True), (True, False)])
def test_options_that_become_loops(cls, options, bidirectional, ragged, same_in_onnx_runtime):
    layer = cls(I, H, 2, bidirectional=bidirectional, **options)
    proto = check_layer(layer, same_in_onnx_runtime, with_states=ragged, ragged=ragged)
    assert [node.op_type for node in proto.graph.node].count("Scan") == 2 * (1 + bidirectional)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("inner", [lambda: nn.LSTM(I, H, 2), lambda: nn.GRU(I, H, batch_first=True, layer_norm=True)])
def test_bidirectional_module(merge_mode, inner, same_in_onnx_runtime):
    check_layer(nn.Bidirectional(inner(), merge_mode=merge_mode), same_in_onnx_runtime)


def test_padding_is_not_looked_at(same_in_onnx_runtime):
    for layer in (nn.LSTM(I, H, bidirectional=True), nn.LSTM(I, H, bidirectional=True, layer_norm=True)):
        x, lengths = tinyrnn.randn(4, 3, I), [4, 2, 0]
        for b, length in enumerate(lengths):
            x[length:, b] = np.nan
        same_in_onnx_runtime(layer, (x, {"lengths": tinyrnn.tensor(lengths)}))


def test_without_batch(same_in_onnx_runtime):
    for layer in (nn.LSTM(I, H, 2, batch_first=True), nn.GRU(I, H, zoneout=0.1)):
        states = tuple(tinyrnn.randn(layer.num_layers, H) for _ in layer._state_sizes)
        hx = states if len(states) > 1 else states[0]
        same_in_onnx_runtime(layer, (tinyrnn.randn(T, I), hx), (tinyrnn.randn(8, I), hx))
        same_in_onnx_runtime(layer, (tinyrnn.randn(T, I),))


@pytest.mark.parametrize("cls", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells(cls, same_in_onnx_runtime):
    cell = cls(I, H)

    def batch(*rows):
        states = tuple(tinyrnn.randn(*rows, H) for _ in range(2 if cls is nn.LSTMCell else 1))
        return tinyrnn.randn(*rows, I), states if len(states) > 1 else states[0]

    same_in_onnx_runtime(cell, batch(2), batch(5))
    same_in_onnx_runtime(cell, batch())
    same_in_onnx_runtime(cell, batch(2)[:1])


@pytest.mark.parametrize(
    "attention",
    [nn.DotAttention, nn.ScaledDotAttention, lambda: nn.GeneralAttention(4, 4), lambda: nn.AdditiveAttention(4, 4, 6)],
)
@pytest.mark.parametrize("masks", ["none", "lengths", "mask", "mask of queries", "both"])
@pytest.mark.parametrize("single", [False, True])
def test_attention(attention, masks, single, same_in_onnx_runtime):
    attention = randomly(attention())

    def call(B, Tq, S, lengths):
        query = tinyrnn.randn(B, 4) if single else tinyrnn.randn(B, Tq, 4)
        keys, named = tinyrnn.randn(B, S, 4), {}
        Tq = 1 if single else Tq
        if masks in ("mask", "both"):
            named["mask"] = tinyrnn.rand(B, S) > 0.3
        if masks == "mask of queries":
            named["mask"] = tinyrnn.rand(B, Tq, S) > 0.5
        if "mask" in named:
            named["mask"][0] = False  # a query for which nothing is kept
        if masks in ("lengths", "both"):
            named["lengths"] = tinyrnn.tensor(lengths)
            keys[1, lengths[1] :] = np.nan
        return (query, keys, tinyrnn.randn(B, S, 3), named) if masks != "lengths" else (query, keys, named)

    same_in_onnx_runtime(attention, call(2, 3, 5, [5, 2]), call(4, 6, 7, [0, 7, 3, 1]))


DENSE = {
    "Linear": lambda: nn.Linear(4, 3),
    "without bias": lambda: nn.Linear(4, 3, bias=False),
    "LayerNorm": lambda: randomly(nn.LayerNorm(4)),
    "LayerNorm without weights": lambda: nn.LayerNorm(4, eps=0.1, elementwise_affine=False),
    "LayerNorm over two": lambda: randomly(nn.LayerNorm((7, 4))),
    "Dropout": lambda: nn.Dropout(0.5),
    "Flatten": nn.Flatten,
    "activations": lambda: nn.Sequential(
        nn.Tanh(), nn.Sigmoid(), nn.ReLU(inplace=True), nn.SiLU(), nn.LeakyReLU(0.2), nn.ELU(), nn.GELU(), nn.GELU("tanh"),
        nn.Softplus(), nn.Hardtanh(), nn.LogSigmoid(), nn.Softmax(-1), nn.LogSoftmax(1), nn.Identity(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"kdim": 3, "vdim": 5, "bias": False}, {"add_bias_kv": True, "add_zero_attn": True}])
@pytest.mark.parametrize("masks", ["none", "padding", "queries", "heads", "numbers"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_multihead_attention(options, masks, batch_first, same_in_onnx_runtime):
    layer = nn.MultiheadAttention(4, 2, batch_first=batch_first, **options)
    with tinyrnn.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(0, 0.5)

    def call(B, T, S, **more):
        sizes = zip((T, S, S), (4, layer.kdim, layer.vdim))
        x = [tinyrnn.randn(*((B, time) if batch_first else (time, B)), features) for time, features in sizes]
        padding = tinyrnn.rand(B, S) < 0.4
        padding[0] = masks == "padding"  # everything, in one sequence
        given = {
            "none": {},
            "padding": {"key_padding_mask": padding},
            "queries": {"attn_mask": tinyrnn.rand(T, S) < 0.4, "key_padding_mask": padding},
            "heads": {"attn_mask": tinyrnn.rand(2 * B, T, S) < 0.4},
            "numbers": {"attn_mask": tinyrnn.randn(T, S), "key_padding_mask": padding},
        }[masks]
        return (*x, given | more)

    # a mask for every head has batch * heads rows, which no other size follows
    same_in_onnx_runtime(layer, call(3, 5, 6), call(3 if masks == "heads" else 2, 7, 8))
    if masks == "none":
        same_in_onnx_runtime(layer, call(3, 5, 6, need_weights=False), call(2, 7, 8, need_weights=False))
        apart = {"average_attn_weights": False}
        same_in_onnx_runtime(layer, call(3, 5, 6, **apart), call(2, 7, 8, **apart))
        same_in_onnx_runtime(layer, (tinyrnn.randn(5, 4), tinyrnn.randn(6, layer.kdim), tinyrnn.randn(6, layer.vdim)))


@pytest.mark.parametrize("name", DENSE)
def test_dense_layers(name, same_in_onnx_runtime):
    same_in_onnx_runtime(DENSE[name](), (tinyrnn.randn(2, 7, 4),), (tinyrnn.randn(5, 7, 4),))


def test_embedding(same_in_onnx_runtime):
    layer = nn.Embedding(9, 4, padding_idx=0)
    same_in_onnx_runtime(layer, (tinyrnn.tensor([[1, 0], [8, 2]]),), (tinyrnn.tensor([[3, 4, 5]]),))


@pytest.mark.parametrize(
    "layer, answer",
    [
        (nn.LocationAwareAttention(4, 4, 5), "the layer LocationAwareAttention, called at .*: its queries follow each other"),
        (nn.CoverageAttention(4, 4, 5), "the layer CoverageAttention"),
    ],
)
def test_what_runs_in_python(layer, answer, same_in_onnx_runtime):
    with pytest.raises(NotImplementedError, match=answer):
        same_in_onnx_runtime(layer, (tinyrnn.randn(2, 3, 4), tinyrnn.randn(2, 5, 4)))


def test_custom_cells_and_insides_are_refused(same_in_onnx_runtime):
    class Cell(nn.CustomCell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.linear = nn.Linear(input_size + hidden_size, hidden_size)

        def forward(self, x, h):
            return self.linear(tinyrnn.cat([x, h], 1)).tanh()

    with pytest.raises(NotImplementedError, match=r"the layer CustomRNN, called at .*: its cell runs step by step in Python"):
        same_in_onnx_runtime(nn.CustomRNN(Cell, I, H), (tinyrnn.randn(T, B, I),))
    with pytest.raises(NotImplementedError, match=r"the layer LSTM, called at .*: states of all steps and gates"):
        same_in_onnx_runtime(nn.LSTM(I, H), (tinyrnn.randn(T, B, I), {"gates": True}))


@pytest.mark.parametrize("way", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_weights_that_are_computed(way, same_in_onnx_runtime):
    layer = way(way(nn.LSTM(I, H, bidirectional=True), "weight_hh_l0"), "weight_ih_l0_reverse")
    proto = check_layer(layer, same_in_onnx_runtime)
    assert [node.op_type for node in proto.graph.node].count("LSTM") == 1
