"""Bidirectional: a layer and one that reads backward, with every way of merging."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.autograd import gradcheck, gradgradcheck

F64 = tinyrnn.float64


def draw(*shape, seed=0):
    return tinyrnn.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def assert_close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-12)


def twin(both, kind, *sizes, **options):
    """The library's own bidirectional layer with the weights of a Bidirectional of one layer."""
    layer = kind(*sizes, bidirectional=True, **options, dtype=F64)
    backward = {f"{name}_reverse": value for name, value in both.backward_layer.state_dict().items()}
    layer.load_state_dict({**both.forward_layer.state_dict(), **backward})
    return layer


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [None, [2, 0, 4]])
def test_of_one_layer_is_the_bidirectional_layer(kind, batch_first, lengths):
    both = nn.Bidirectional(kind(3, 5, batch_first=batch_first, dtype=F64))
    layer = twin(both, kind, 3, 5, batch_first=batch_first)
    x = draw(3, 4, 3) if batch_first else draw(4, 3, 3)
    states = draw(2, 3, 5, seed=1), draw(2, 3, 5, seed=2)
    hx = states if kind is nn.LSTM else states[0]
    for given in (hx, None):
        wanted = {"return_all_states": True, "gates": kind is not nn.RNN}
        ours, theirs = both(x, given, lengths, **wanted), layer(x, given, lengths, **wanted)
        assert_close(ours[0], theirs[0])
        for a, b in zip(ours[1] if kind is nn.LSTM else [ours[1]], theirs[1] if kind is nn.LSTM else [theirs[1]]):
            assert_close(a, b)
        assert list(ours[2][0]) == list(theirs[2][0])
        for name, each in theirs[2][0].items():
            assert_close(ours[2][0][name], each)


def test_packed_and_unbatched():
    both = nn.Bidirectional(nn.GRU(3, 5, batch_first=True, dtype=F64))
    layer = twin(both, nn.GRU, 3, 5, batch_first=True)
    x = draw(3, 4, 3)
    for lengths, enforce_sorted in (([4, 4, 1], True), ([1, 4, 2], False)):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted)
        (ours, h, inside), (theirs, h_twin, inside_twin) = [
            each(packed, return_all_states=True, gates=True) for each in (both, layer)
        ]
        assert list(inside[0]) == list(inside_twin[0]) == ["h", "r", "z", "n"]
        for name, each in inside_twin[0].items():
            assert_close(inside[0][name].data, each.data)
        assert_close(ours.data, theirs.data)
        assert (ours.sorted_indices is None) == (theirs.sorted_indices is None)
        assert_close(h, h_twin)
    assert_close(both(x[0])[0], layer(x[0])[0])
    assert_close(both(x[0], lengths=[2])[0], layer(x[0], lengths=[2])[0])


def test_stacks_meet_only_at_the_end():
    both = nn.Bidirectional(nn.LSTM(3, 5, 2, dtype=F64))
    x, hx = draw(4, 2, 3), (draw(4, 2, 5, seed=1), draw(4, 2, 5, seed=2))
    output, (h, c), inside = both(x, hx, return_all_states=True)
    ahead, (h_ahead, _), inside_ahead = both.forward_layer(x, tuple(each[0::2] for each in hx), return_all_states=True)
    back, (_, c_back) = both.backward_layer(x.flip(0), tuple(each[1::2] for each in hx))
    assert_close(output, tinyrnn.cat([ahead, back.flip(0)], -1))
    for seen, seen_ahead in zip(inside, inside_ahead, strict=True):
        assert_close(seen["c"][..., :5], seen_ahead["c"])
    assert_close(h[0::2], h_ahead)
    assert_close(c[1::2], c_back)


@pytest.mark.parametrize(
    ("mode", "merge"),
    [("sum", lambda a, b: a + b), ("mul", lambda a, b: a * b), ("ave", lambda a, b: (a + b) / 2)],
)
def test_merging(mode, merge):
    both = nn.Bidirectional(nn.GRU(3, 5, dtype=F64), merge_mode=mode)
    x = draw(4, 2, 3)
    assert_close(both(x)[0], merge(both.forward_layer(x)[0], both.backward_layer(x.flip(0))[0].flip(0)))


def test_the_copy_has_parameters_of_its_own():
    layer = nn.GRU(3, 5)
    both = nn.Bidirectional(layer)
    assert both.forward_layer is layer
    for a, b in zip(both.forward_layer.parameters(), both.backward_layer.parameters()):
        assert a.shape == b.shape and not (a == b).any()


class Leaky(nn.CustomCell):
    state_names = ("y",)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size, hidden_size, dtype=F64)

    def forward(self, x, y):
        return 0.5 * y + self.read(x).tanh()


def test_forward_hooks_see_and_replace_arguments_and_results():
    both = nn.Bidirectional(nn.GRU(3, 5, dtype=F64))
    x, lengths = draw(4, 2, 3), [4, 1]
    output, state = both(x, lengths=lengths)
    seen = []
    handles = [
        both.register_forward_pre_hook(lambda module, args: seen.append((module, args))),
        both.register_forward_pre_hook(
            lambda module, args, kwargs: ((-args[0],), {**kwargs, "lengths": None}), with_kwargs=True
        ),
        both.register_forward_hook(lambda module, args, result: (result[0] * 2, result[1])),
        both.backward_layer.register_forward_hook(lambda module, args, result: seen.append((module, args))),
    ]
    hooked, hooked_state = both(x, lengths=lengths)
    assert [module for module, _ in seen] == [both, both.backward_layer]
    assert seen[0][1] == (x,)
    assert_close(seen[1][1][0], -x.flip(0))
    for handle in handles:
        handle.remove()
    plain, plain_state = both(-x)
    assert_close(hooked, plain * 2)
    assert_close(hooked_state, plain_state)
    assert_close(both(x, lengths=lengths)[0], output)
    assert len(seen) == 2 and not (hooked_state == state).all()


def test_of_a_custom_layer_poisoned_and_differentiated_twice():
    both = nn.Bidirectional(nn.CustomRNN(Leaky, 2, 3))
    x = draw(3, 2, 2)
    x[1:, 0] = float("nan")
    x.requires_grad_()
    output, _ = both(x, lengths=[1, 3])
    output.sum().backward()
    assert np.isfinite(output.detach().numpy()).all() and not x.grad[1:, 0].any()
    clean = draw(3, 2, 2).requires_grad_()
    assert gradcheck(lambda x: both(x, lengths=[1, 3]), (clean,))
    assert gradgradcheck(lambda x: both(x, lengths=[1, 3]), (clean,))


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda: nn.Bidirectional(nn.Linear(2, 3)), TypeError, "layer is a Linear, expected a recurrent layer"),
        (lambda: nn.Bidirectional(None), TypeError, "layer is a NoneType, expected a recurrent layer"),
        (lambda: nn.Bidirectional(nn.GRU(2, 3), "GRU"), TypeError, "backward_layer is a str, expected a recurrent layer"),
        (
            lambda: nn.Bidirectional(nn.GRU(2, 3))(tinyrnn.ones(4, 1, 2), tinyrnn.tensor(1.0)),
            RuntimeError,
            r"has shape \(\), e",
        ),
        (lambda: nn.Bidirectional(nn.GRU(2, 3, bidirectional=True)), ValueError, "reads in both directions already"),
        (lambda: nn.Bidirectional(nn.GRU(2, 3), merge_mode="max"), ValueError, "merge_mode='max', expected 'concat'"),
        (lambda: nn.Bidirectional(nn.GRU(2, 3), merge_mode=["sum"]), ValueError, r"merge_mode=\['sum'\], expected 'concat'"),
        (lambda: nn.Bidirectional(nn.GRU(2, 3), nn.GRU(2, 4)), ValueError, r"state_sizes=\(4,\), expected \(3,\)"),
        (lambda: nn.Bidirectional(nn.GRU(2, 3), nn.GRU(4, 3)), ValueError, "backward_layer has input_size=4, expected 2 like"),
        (lambda: nn.Bidirectional(nn.GRU(2, 3), nn.CustomRNN(Leaky, 2, 3)), ValueError, r"has state_names=\('y',\), expected"),
        (lambda: nn.Bidirectional(nn.GRU(2, 3))(tinyrnn.ones(4, 1, 2), tinyrnn.ones(1, 1, 3)), RuntimeError, "layers=2"),
        (lambda: nn.Bidirectional(nn.GRU(2, 3))(tinyrnn.ones(4, 1, 2), lengths=[5]), ValueError, r"lengths\[0\] is 5"),
        (lambda: nn.Bidirectional(nn.GRU(2, 3))(tinyrnn.ones(4, 1, 3)), RuntimeError, "forward_layer: input has 3 features"),
    ],
)
def test_wrong_calls(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call()
