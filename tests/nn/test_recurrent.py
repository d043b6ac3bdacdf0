"""RNN, LSTM, GRU and their cells as modules: PyTorch's names, shapes and numbers, lengths, and wrong calls."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn
from tinyrnn import dtypes, nn
from tinyrnn.creation import tensor
from tinyrnn.nn.module import Module
from tinyrnn.nn.recurrent import GRU, LSTM, RNN
from tinyrnn.nn.recurrent_cells import GRUCell, LSTMCell, RNNCell

LAYERS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
CELLS = {"RNNCell": RNNCell, "LSTMCell": LSTMCell, "GRUCell": GRUCell}
F64 = dtypes.float64


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def twin(torch, name, *args, **options):
    """Our layer and PyTorch's with the same weights, in float64."""
    theirs = getattr(torch.nn, name)(*args, **options, dtype=torch.float64)
    ours = (LAYERS | CELLS)[name](*args, **options, dtype=F64)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    return ours, theirs


def flat(result):
    """Output and states of either library as a list of arrays."""
    if isinstance(result, (tuple, list)):
        return [each for item in result for each in flat(item)]
    return [result.array if hasattr(result, "array") else result.detach().numpy()]


def assert_same(ours, theirs):
    assert len(flat(ours)) == len(flat(theirs))
    for a, b in zip(flat(ours), flat(theirs)):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def assert_same_gradients(ours, theirs):
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.array, q.grad.numpy(), rtol=1e-9, atol=1e-11, err_msg=name)


def state_of(name, make, *shape):
    h, c = make(draw(*shape, seed=5)), make(draw(*shape, seed=6))
    return (h, c) if name.startswith("LSTM") else h


# ---- layout --------------------------------------------------------------------------------------------------------

OPTIONS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "batch_first": True},
    {"num_layers": 3, "dropout": 0.25},
]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("options", OPTIONS)
def test_parameters_repr_and_init_as_in_pytorch(name, options):
    torch = pytest.importorskip("torch")
    ours, theirs = LAYERS[name](3, 16, **options), getattr(torch.nn, name)(3, 16, **options)
    assert [(n, tuple(p.shape)) for n, p in ours.named_parameters()] == [
        (n, tuple(p.shape)) for n, p in theirs.named_parameters()
    ]
    assert repr(ours) == repr(theirs)
    assert [len(ws) for ws in ours.all_weights] == [len(ws) for ws in theirs.all_weights]
    assert ours.all_weights[-1][0] is list(ours.parameters())[-len(ours.all_weights[-1])]
    values = np.concatenate([p.array.ravel() for p in ours.parameters()])
    assert abs(values).max() <= 0.25 and abs(values).max() > 0.23 and abs(values.mean()) < 0.05
    assert values.dtype == np.float32


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_cells_as_in_pytorch(name, bias):
    torch = pytest.importorskip("torch")
    ours, theirs = twin(torch, name, 3, 5, bias)
    assert repr(ours) == repr(theirs)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert bias or ours.bias_ih is None
    for shape, state_shape in (((4, 3), (4, 5)), ((1, 3), (1, 5)), ((3,), (5,))):
        x, mine, other = draw(*shape), state_of(name, tensor, *state_shape), state_of(name, torch.tensor, *state_shape)
        assert_same(ours(tensor(x), mine), theirs(torch.tensor(x), other))
        result, expected = ours(tensor(x)), theirs(torch.tensor(x))
        assert_same(result, expected)
        for layer in (ours, theirs):
            layer.zero_grad()
        sum(each.sum() for each in (result if isinstance(result, tuple) else [result])).backward()
        sum(each.sum() for each in (expected if isinstance(expected, tuple) else [expected])).backward()
        if all(q.grad is not None for q in theirs.parameters()):
            assert_same_gradients(ours, theirs)


def test_relu_and_its_repr():
    torch = pytest.importorskip("torch")
    for name in ("RNN", "RNNCell"):
        ours, theirs = twin(torch, name, 3, 5, nonlinearity="relu")
        assert repr(ours) == repr(theirs)
        x = draw(4, 3) if name == "RNNCell" else draw(6, 4, 3)
        assert_same(ours(tensor(x)), theirs(torch.tensor(x)))
    positional = RNN(3, 5, 2, "relu", False, True)
    assert (positional.num_layers, positional.mode, positional.bias, positional.batch_first) == (
        2,
        "RNN_RELU",
        False,
        True,
    )


# ---- numbers -------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(list(LAYERS)),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_layers_equal_pytorch(name, T, B, num_layers, batch_first, bidirectional, with_state, data):
    torch = pytest.importorskip("torch")
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))
    options = {"num_layers": num_layers, "batch_first": batch_first, "bidirectional": bidirectional}
    ours, theirs = twin(torch, name, 3, 5, **options)
    x = draw(*((B, T, 3) if batch_first else (T, B, 3)))
    shape = (num_layers * (1 + bidirectional), B, 5)
    mine, other = (state_of(name, make, *shape) if with_state else None for make in (tensor, torch.tensor))
    got = ours(tensor(x), mine, lengths)
    if lengths is None:
        expected = theirs(torch.tensor(x), other)
    else:
        rnn = torch.nn.utils.rnn
        packed = rnn.pack_padded_sequence(torch.tensor(x), lengths, batch_first, enforce_sorted=False)
        out, state = theirs(packed, other)
        expected = (rnn.pad_packed_sequence(out, batch_first, total_length=T)[0], state)
    assert_same(got, expected)
    weight = draw(*got[0].shape, seed=9)
    (got[0] * tensor(weight)).sum().backward()
    (expected[0] * torch.tensor(weight)).sum().backward()
    assert_same_gradients(ours, theirs)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_without_batch(name, batch_first):
    torch = pytest.importorskip("torch")
    ours, theirs = twin(torch, name, 3, 5, num_layers=2, bidirectional=True, batch_first=batch_first)
    x = draw(6, 3)
    mine, other = (state_of(name, make, 4, 5) for make in (tensor, torch.tensor))
    assert_same(ours(tensor(x), mine), theirs(torch.tensor(x), other))
    assert_same(ours(tensor(x)), theirs(torch.tensor(x)))


@pytest.mark.parametrize("name", LAYERS)
def test_a_cell_stepped_by_hand_is_the_layer(name):
    layer = LAYERS[name](3, 5, dtype=F64)
    cell = CELLS[name + "Cell"](3, 5, dtype=F64)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    x, state = tensor(draw(4, 2, 3)), state_of(name, tensor, 1, 2, 5)
    out, _ = layer(x, state)
    state = tuple(each[0] for each in state) if name == "LSTM" else state[0]
    for t in range(4):
        state = cell(x[t], state)
        np.testing.assert_allclose(flat(state)[0], out.array[t], rtol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_lengths_in_every_form(name):
    layer = LAYERS[name](3, 5, bidirectional=True, dtype=F64)
    x = tensor(draw(4, 3, 3))
    expected = layer(x, lengths=[4, 0, 2])
    for lengths in ((4, 0, 2), np.array([4, 0, 2], np.int32), np.array([4, 0, 2], np.uint8), tensor([4, 0, 2])):
        assert_same(layer(x, lengths=lengths), expected)
    assert_same(layer(x, lengths=[4, 4, 4]), layer(x))
    assert (expected[0].array[2:, 2] == 0).all() and (expected[0].array[:, 1] == 0).all()


@pytest.mark.parametrize("name", LAYERS)
def test_all_sequences_empty(name):
    layer = LAYERS[name](3, 5, batch_first=True, dtype=F64)
    state = state_of(name, tensor, 1, 2, 5)
    out, final = layer(tensor(draw(2, 4, 3)), state, lengths=[0, 0])
    assert out.shape == (2, 4, 5) and not out.array.any()
    assert_same(final, state)
    out, final = layer(tensor(draw(2, 4, 3)), lengths=[0, 0])
    assert not any(each.any() for each in flat((out, final)))


def test_negating_z_gives_the_textbook_gru():
    """h = z n + (1 - z) h, as in Chung et al. 2014 and most textbooks."""
    layer = GRU(3, 5, dtype=F64)
    x, h = draw(6, 2, 3), draw(1, 2, 5, seed=1)
    w_ih, w_hh, b_ih, b_hh = (p.array.copy() for p in layer.parameters())

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    textbook, expected = h[0], []
    for x_t in x:
        gx, gh = x_t @ w_ih.T + b_ih, textbook @ w_hh.T + b_hh
        r, z = sigmoid(gx[:, :5] + gh[:, :5]), sigmoid(gx[:, 5:10] + gh[:, 5:10])
        n = np.tanh(gx[:, 10:] + r * gh[:, 10:])
        textbook = z * n + (1 - z) * textbook
        expected.append(textbook)
    assert not np.allclose(layer(tensor(x), tensor(h))[0].array, expected)
    for parameter in layer.parameters():
        parameter.array[5:10] *= -1
    np.testing.assert_allclose(layer(tensor(x), tensor(h))[0].array, expected, rtol=1e-12)


# ---- dropout and the rest of the module ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_acts_between_layers_and_only_in_training(name):
    x = tensor(draw(4, 2, 3))
    layer = LAYERS[name](3, 5, num_layers=2, dropout=1.0, dtype=F64)
    second = LAYERS[name](5, 5, dtype=F64)
    second.load_state_dict({k.replace("_l1", "_l0"): v for k, v in layer.state_dict().items() if "_l1" in k})
    out, _ = layer(x)
    assert_same(out, second(tensor(np.zeros((4, 2, 5))))[0])
    plain = LAYERS[name](3, 5, num_layers=2, dtype=F64)
    plain.load_state_dict(layer.state_dict())
    assert_same(layer.eval()(x), plain(x))
    layer.dropout = 0.5
    assert not np.array_equal(layer.train()(x)[0].array, layer(x)[0].array)


def test_dropout_of_one_layer_warns():
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        LSTM(3, 4, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LSTM(3, 4, num_layers=2, dropout=0.5)


def test_flatten_parameters_changes_nothing_and_copies_are_independent():
    layer = LSTM(3, 4)
    before = layer.weight_ih_l0
    layer.flatten_parameters()
    assert layer.weight_ih_l0 is before
    other = copy.deepcopy(layer)
    other.weight_ih_l0.array[...] = 0
    assert layer.weight_ih_l0.array.any() and other.all_weights[0][0] is other.weight_ih_l0


# ---- wrong calls ---------------------------------------------------------------------------------------------------


def test_wrong_construction():
    for kind in (RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell):
        with pytest.raises(ValueError, match="hidden_size must be greater than zero"):
            kind(3, 0)
        with pytest.raises(TypeError, match="input_size should be of type int, got: float"):
            kind(3.0, 4)
        with pytest.raises(TypeError, match="bias should be of type bool"):
            kind(3, 4, bias=1)
        if kind is not LSTM:
            with pytest.raises(TypeError):
                kind(3, 4, proj_size=2)
    with pytest.raises(ValueError, match="num_layers must be greater than zero"):
        GRU(3, 4, 0)
    with pytest.raises(ValueError, match=r"dropout should be a number in range \[0, 1\]"):
        GRU(3, 4, 2, dropout=1.5)
    with pytest.raises(TypeError, match="batch_first should be of type bool"):
        GRU(3, 4, batch_first="yes")
    for kind in (RNN, RNNCell):
        with pytest.raises(ValueError, match="Unknown nonlinearity 'gelu'"):
            kind(3, 4, nonlinearity="gelu")


def zeros(*shape, dtype=np.float32):
    return tensor(np.zeros(shape, dtype))


WRONG_CALLS = [
    ((zeros(5, 2, 8),), {}, "input has 8 features, expected input_size=3; .* pass batch_first=True"),
    ((zeros(3, 2, 8),), {}, "input has 8 features, expected input_size=3; the last dimension must be the features"),
    ((zeros(3),), {}, r"input has 1 dimensions \(shape \(3,\)\), expected 3, \(time, batch, feature\), or 2 without"),
    ((zeros(1, 5, 2, 3),), {}, "input has 4 dimensions"),
    ((zeros(0, 2, 3),), {}, r"input of shape \(0, 2, 3\) is empty"),
    ((zeros(5, 0, 3),), {}, r"input of shape \(5, 0, 3\) is empty"),
    ((np.zeros((5, 2, 3), np.float32),), {}, r"input is a ndarray, expected a tensor; convert it with tinyrnn.tensor"),
    ((zeros(5, 2, 3, dtype=np.float64),), {}, "input is tinyrnn.float64, expected tinyrnn.float32 like the weights"),
    ((zeros(5, 2, 3, dtype=np.int64),), {}, "input is tinyrnn.int64, expected tinyrnn.float32"),
    ((zeros(5, 2, 3), zeros(2, 1, 4)), {}, r"h_0 has shape \(2, 1, 4\), expected \(1, 2, 4\).*never batch-first"),
    ((zeros(5, 2, 3), zeros(2, 4)), {}, r"h_0 has shape \(2, 4\), expected \(1, 2, 4\)"),
    ((zeros(5, 3), zeros(1, 1, 4)), {}, r"expected \(1, 4\): states of an unbatched input"),
    ((zeros(5, 2, 3), zeros(1, 2, 4, dtype=np.float64)), {}, "h_0 is tinyrnn.float64, expected tinyrnn.float32"),
    ((zeros(5, 2, 3), (zeros(1, 2, 4),) * 2), {}, "h_0 is a tuple, expected a tensor"),
    ((zeros(5, 2, 3),), {"lengths": [5]}, r"lengths have shape \(1,\), expected \(2,\)"),
    ((zeros(5, 2, 3),), {"lengths": [5, -1]}, r"lengths\[1\] is -1, expected 0 to 5, the number of time steps"),
    ((zeros(5, 2, 3),), {"lengths": [6, 5]}, r"lengths\[0\] is 6, expected 0 to 5"),
    ((zeros(5, 2, 3),), {"lengths": [5.0, 2.0]}, "lengths are float64, expected integers"),
    ((zeros(5, 2, 3),), {"lengths": []}, r"lengths have shape \(0,\), expected \(2,\)"),
    ((zeros(5, 2, 3),), {"lengths": [True, False]}, "lengths are bool, expected integers"),
    ((zeros(5, 2, 3),), {"lengths": 5}, r"lengths have shape \(\), expected \(2,\)"),
    ((zeros(5, 2, 3),), {"lengths": ["a", "b"]}, "expected integers"),
    ((zeros(5, 2, 3),), {"lengths": [[5], [2, 1]]}, "lengths are a nested list, expected 2 integers"),
]


@pytest.mark.parametrize(("args", "options", "message"), WRONG_CALLS)
def test_wrong_calls_name_the_layer_and_the_fix(args, options, message):
    with pytest.raises((ValueError, TypeError, RuntimeError), match="^GRU: .*" + message):
        GRU(3, 4)(*args, **options)


def test_wrong_states_of_an_lstm():
    h = zeros(1, 2, 4)
    for state, message in [
        (h, "the initial state is one Tensor, expected the pair"),
        ((h,), "the initial state is 1 values, expected the pair"),
        ((h, zeros(2, 1, 4)), r"c_0 has shape \(2, 1, 4\), expected \(1, 2, 4\)"),
        ((h, None), "c_0 is a NoneType, expected a tensor"),
    ]:
        with pytest.raises((TypeError, RuntimeError), match=message):
            LSTM(3, 4)(zeros(5, 2, 3), state)


def test_wrong_calls_of_cells():
    for args, message in [
        ((zeros(2, 8),), "GRUCell: input has 8 features, expected input_size=3"),
        ((zeros(1, 2, 3),), r"GRUCell: input has 3 dimensions .* expected 2, \(batch, feature\), or 1 without batch"),
        ((zeros(2, 3), zeros(1, 4)), r"GRUCell: h has shape \(1, 4\), expected \(2, 4\)"),
        ((zeros(3), zeros(1, 4)), r"GRUCell: h has shape \(1, 4\), expected \(4,\)"),
        (([0.0, 0.0, 0.0],), "GRUCell: input is a list, expected a tensor"),
    ]:
        with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
            GRUCell(3, 4)(*args)


def test_errors_carry_the_path_of_the_layer():
    class Model(Module):
        def __init__(self):
            super().__init__()
            self.lstm = LSTM(3, 4)

        def forward(self, x):
            return self.lstm(x)

    with pytest.raises(RuntimeError, match=r"^lstm: input has 8 features, expected input_size=3"):
        Model()(zeros(5, 2, 8))


def test_bases_are_public_as_in_pytorch():
    layers = [nn.RNN(2, 3), nn.LSTM(2, 3), nn.GRU(2, 3)]
    cells = [nn.RNNCell(2, 3), nn.LSTMCell(2, 3), nn.GRUCell(2, 3)]
    assert [isinstance(each, nn.RNNBase) for each in layers + cells] == [True] * 3 + [False] * 3
    assert [isinstance(each, nn.RNNCellBase) for each in layers + cells] == [False] * 3 + [True] * 3
    layer, x = nn.RNNBase("LSTM", 2, 3, 2, True, True, 0.0, True, 1), tinyrnn.randn(4, 5, 2)
    same = nn.LSTM(2, 3, 2, batch_first=True, bidirectional=True, proj_size=1)
    same.load_state_dict(layer.state_dict())
    assert tinyrnn.equal(layer(x)[0], same(x)[0])
    with pytest.raises(ValueError, match="Unrecognized RNN mode: LTSM; expected one of RNN_TANH"):
        nn.RNNBase("LTSM", 2, 3)
    with pytest.raises(ValueError, match="options of an LSTM, got them with mode='GRU'"):
        nn.RNNBase("GRU", 2, 3, proj_size=1)


def test_a_cell_of_ones_own_on_the_base():
    class Gated(nn.RNNCellBase):
        def __init__(self):
            super().__init__(2, 3, bias=True, num_chunks=2)

        def forward(self, input, h):
            gates = nn.functional.linear(input, self.weight_ih, self.bias_ih) + h @ self.weight_hh.t() + self.bias_hh
            z, n = gates.chunk(2, 1)
            return h + z.sigmoid() * (n.tanh() - h)

    cell = Gated()
    assert cell.weight_ih.shape == (6, 2) and cell(tinyrnn.randn(4, 2), tinyrnn.zeros(4, 3)).shape == (4, 3)
    with pytest.raises(NotImplementedError, match="RNNCellBase, which has no forward; define it"):
        nn.RNNCellBase(2, 3, True, 2)(tinyrnn.randn(4, 2))
