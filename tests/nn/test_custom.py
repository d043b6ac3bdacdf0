"""Cells of one's own as layers: an LSTM written in tensor operations is nn.LSTM, in every form of call."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.autograd import gradcheck, gradgradcheck

F64 = tinyrnn.float64


def draw(*shape, seed=0):
    return tinyrnn.from_numpy(np.random.default_rng(seed).standard_normal(shape))


class HandWrittenLSTM(nn.CustomCell):
    state_names = ("h", "c")

    def __init__(self, input_size, hidden_size, dtype=F64):
        super().__init__(input_size, hidden_size)
        self.ih = nn.Linear(input_size, 4 * hidden_size, dtype=dtype)
        self.hh = nn.Linear(hidden_size, 4 * hidden_size, dtype=dtype)

    def forward(self, x, h, c):
        i, f, g, o = (self.ih(x) + self.hh(h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class Accumulator(nn.CustomCell):
    """No parameters, and as many features as the state has."""

    def forward(self, x, h):
        return h + x


class InPlace(nn.CustomCell):
    def forward(self, x, h):
        h += x
        return h


class Stateless(nn.CustomCell):
    state_names = ()


def twins(*sizes, **options):
    """nn.LSTM and the hand-written one with the same weights."""
    ours = nn.CustomRNN(HandWrittenLSTM, *sizes, **options)
    lstm = nn.LSTM(*sizes, **options, dtype=F64)
    names = {"ih.weight": "weight_ih", "ih.bias": "bias_ih", "hh.weight": "weight_hh", "hh.bias": "bias_hh"}
    moved = {}
    for name, value in ours.state_dict().items():
        cell, _, own = name.partition(".")
        moved[names[own] + cell.removeprefix("cell")] = value
    lstm.load_state_dict(moved)
    return ours, lstm


def assert_same(ours, theirs):
    if isinstance(ours, (tuple, list)):
        assert len(ours) == len(theirs)
        for each in zip(ours, theirs):
            assert_same(*each)
    elif isinstance(ours, dict):
        assert list(ours) == list(theirs)
        assert_same(list(ours.values()), list(theirs.values()))
    else:
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-12, rtol=1e-11)


FORMS = [
    {},
    {"num_layers": 3},
    {"bidirectional": True, "batch_first": True},
    {"num_layers": 2, "bidirectional": True, "residual": True},
]


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("lengths", [None, [2, 4, 0], [0, 0, 0]])
@pytest.mark.parametrize("with_states", [True, False])
def test_a_hand_written_lstm_is_the_lstm(options, lengths, with_states):
    ours, lstm = twins(5, 6, **options)
    rows = lstm.num_layers * (1 + lstm.bidirectional)
    x = draw(3, 4, 5) if lstm.batch_first else draw(4, 3, 5)
    hx = (draw(rows, 3, 6, seed=1), draw(rows, 3, 6, seed=2)) if with_states else None
    results = [layer(x.clone(), hx, lengths, return_all_states=True) for layer in (ours, lstm)]
    assert_same(*results)
    for output, state, _ in results:
        ((output**2).sum() + (state[0] * 3).sum() + state[1].sum()).backward()
    cells = list(ours.parameters())
    for number, of_lstm in enumerate(lstm.all_weights):
        cell = cells[4 * number : 4 * number + 4]  # weight and bias of ih, then of hh
        assert_same([cell[k].grad for k in (0, 2, 1, 3)], [parameter.grad for parameter in of_lstm])


@pytest.mark.parametrize("options", FORMS)
def test_where_all_sequences_are_empty_initial_states_pass_through(options):
    ours, _ = twins(5, 6, **options)
    rows = ours.num_layers * (1 + ours.bidirectional)
    hx = tuple([draw(rows, 3, 6, seed=n).requires_grad_() for n in (1, 2)])
    output, state, inside = ours(draw(3, 3, 5).requires_grad_(), hx, [0] * 3, return_all_states=True)
    assert output.requires_grad and all(each.requires_grad for layer in inside for each in layer.values())
    assert_same(state, hx)
    (output.sum() + state[0].sum() + 2 * state[1].sum()).backward()
    assert (hx[0].grad == 1).all() and (hx[1].grad == 2).all()
    assert all((parameter.grad == 0).all() for parameter in ours.parameters())


def test_a_cell_may_return_a_list():
    class Listed(HandWrittenLSTM):
        def forward(self, x, h, c):
            return list(super().forward(x, h, c))

    ours, _ = twins(5, 6)
    listed = nn.CustomRNN(Listed, 5, 6)
    listed.load_state_dict(ours.state_dict())
    assert_same(listed(draw(4, 3, 5)), ours(draw(4, 3, 5)))


@pytest.mark.parametrize("make", [lambda: nn.CustomRNN(Accumulator, 3, 3, dropout=0.5), lambda: nn.GRU(3, 3, dropout=0.5)])
def test_the_warning_of_dropout_without_effect_points_at_the_line_that_asked_for_it(make):
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last") as caught:
        make()
    assert caught[0].filename == __file__ and caught[0].lineno == make.__code__.co_firstlineno


def test_packed_unbatched_and_stepped_calls():
    ours, lstm = twins(5, 6, num_layers=2)
    x = draw(4, 3, 5)
    packed = nn.utils.rnn.pack_padded_sequence(x, [2, 4, 1], enforce_sorted=False)
    (a, state_a), (b, state_b) = ours(packed), lstm(packed)
    assert_same([a.data, *state_a], [b.data, *state_b])
    assert_same(ours(x[:, 0]), lstm(x[:, 0]))
    state = None
    for t in range(4):
        y, state = ours.step(x[t], state)
    assert_same((y, state), (lstm(x)[0][-1], lstm(x)[1]))


def test_poisoned_padding_does_not_leak():
    ours, _ = twins(5, 6, bidirectional=True)
    x = draw(4, 2, 5)
    x[2:, 0] = float("nan")
    output, state = ours(x, lengths=[2, 4])
    assert np.isfinite(output.detach().numpy()).all() and np.isfinite(state[1].detach().numpy()).all()
    output.sum().backward()
    assert all(np.isfinite(parameter.grad.numpy()).all() for parameter in ours.parameters())


def test_once_and_twice_differentiable():
    ours, _ = twins(2, 3, bidirectional=True)
    x = draw(3, 2, 2).requires_grad_()
    assert gradcheck(lambda x: ours(x, lengths=[3, 1])[0], (x,))
    assert gradgradcheck(lambda x: ours(x, lengths=[3, 1])[0], (x,))


def test_a_cell_without_parameters():
    layer = nn.CustomRNN(Accumulator, 3, 3, bidirectional=True)
    x = draw(4, 2, 3)
    output, state = layer(x, draw(2, 2, 3) * 0)
    np.testing.assert_allclose(output[..., :3].numpy(), np.cumsum(x.numpy(), 0))
    np.testing.assert_allclose(output[..., 3:].numpy(), np.cumsum(x.numpy()[::-1], 0)[::-1])
    assert state.shape == (2, 2, 3)


def test_states_may_have_sizes_of_their_own_and_cells_their_options():
    class Projected(nn.CustomCell):
        state_names = ("y", "memory")

        def __init__(self, input_size, hidden_size, width):
            super().__init__(input_size, hidden_size)
            self.state_sizes = (width, hidden_size)
            self.read = nn.Linear(input_size + width, hidden_size)
            self.write = nn.Linear(hidden_size, width)

        def forward(self, x, y, memory):
            memory = memory + self.read(tinyrnn.cat([x, y], 1)).tanh()
            return self.write(memory), memory

    layer = nn.CustomRNN(Projected, 3, 5, num_layers=2, bidirectional=True, width=2)
    assert layer.cell_l1_reverse.read.in_features == 4 + 2
    output, (y, memory) = layer(tinyrnn.randn(4, 2, 3))
    assert output.shape == (4, 2, 4) and y.shape == (4, 2, 2) and memory.shape == (4, 2, 5)


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda: nn.CustomRNN(nn.Linear, 3, 4), TypeError, "cell made a Linear, expected a CustomCell"),
        (lambda: nn.CustomRNN(Accumulator, 3, 4)(tinyrnn.ones(2, 1, 3)), RuntimeError, "cannot be broadcast"),
        (
            lambda: nn.CustomRNN(HandWrittenLSTM, 3, 4)(draw(2, 1, 3), draw(1, 1, 4)),
            TypeError,
            r"expected the pair \(h_0, c_0\)",
        ),
        (lambda: nn.CustomRNN(HandWrittenLSTM, 3, 4)(draw(2, 1, 3).float()), ValueError, "input is tinyrnn.float32"),
        (lambda: nn.CustomRNN(HandWrittenLSTM, 3, 4)(draw(2, 1, 3), gates=True), ValueError, "this cell has no gates"),
        (
            lambda: nn.CustomRNN(InPlace, 3, 3)(tinyrnn.ones(2, 1, 3)),
            RuntimeError,
            "cell_l0: forward wrote into x or a state",
        ),
        (lambda: nn.CustomRNN(Stateless, 3, 3), ValueError, r"cell has states \(\) of sizes \(\), expected at least one"),
        (lambda: nn.CustomRNN(HandWrittenLSTM, 3, 4, dropout=2), ValueError, "dropout should be a number"),
    ],
)
def test_wrong_calls(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call()


def test_a_cell_that_returns_the_wrong_states_is_named():
    class Wrong(nn.CustomCell):
        def forward(self, x, h):
            return h[:, :2], h

    with pytest.raises(ValueError, match=r"cell_l0: forward returned states \[\(1, 2\), \(1, 4\)\], expected \[\(1, 4\)\]: h"):
        nn.CustomRNN(Wrong, 3, 4)(tinyrnn.ones(2, 1, 3))
