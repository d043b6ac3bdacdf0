"""What recurrent layers have beyond PyTorch's: every option is its equation, at every step, in every direction."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.autograd import grad, gradcheck, gradgradcheck

F64 = tinyrnn.float64
KINDS = [nn.RNN, nn.LSTM, nn.GRU]
T, B, I, H = 5, 3, 4, 7  # noqa: E741
LENGTHS = [3, 5, 0]


def draw(*shape, seed=0):
    return tinyrnn.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def made(kind, *args, seed=0, **options):
    """A layer in float64 whose parameters are all random, those of norms too."""
    layer = kind(*args, **options, dtype=F64)
    rng = np.random.default_rng(seed)
    with tinyrnn.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(tinyrnn.from_numpy(rng.normal(0, 0.6, tuple(parameter.shape))))
    return layer


def states_of(state):
    return state if isinstance(state, tuple) else (state,)


def random_states(layer, B):
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    sizes = [layer.proj_size or layer.hidden_size, layer.hidden_size][: 2 if isinstance(layer, nn.LSTM) else 1]
    return [draw(rows, B, size, seed=9 + k) for k, size in enumerate(sizes)]


def assert_close(a, b, tolerance=1e-11):
    a, b = (each.detach().numpy() if hasattr(each, "detach") else each for each in (a, b))
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# ---- the equations, step by step in NumPy -----------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalized(x, weight, bias):
    return weight * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) + bias


class Equations:
    """One direction of one layer as its docstring has it; `xs` are its inputs (T, B, I)."""

    def __init__(self, layer, suffix="_l0"):
        self.layer, self.p = layer, {
            name.removesuffix(suffix): p.detach().numpy()
            for name, p in layer.named_parameters()
            if name.endswith(suffix)
        }  # fmt: skip

    def run(self, xs, states):
        everything = []
        for x in xs:
            new, gates = self.step(x, states)
            share = self.layer.zoneout if isinstance(self.layer.zoneout, tuple) else (self.layer.zoneout,) * 2
            states = [z * old + (1 - z) * now for z, old, now in zip(share, states, new)]
            everything.append((*states, gates))
        return everything, states

    def product(self, name, x, rows=slice(None)):
        y = x @ self.p[f"weight_{name}"][rows].T
        norm = {"ih": "norm_x", "hh": "norm_h"}[name]
        if f"{norm}_weight" in self.p:
            y = normalized(y, self.p[f"{norm}_weight"][rows], self.p[f"{norm}_bias"][rows])
        return y + self.p.get(f"bias_{name}", np.zeros(10**3))[: len(self.p[f"weight_{name}"])][rows]

    def step(self, x, states):
        H = self.layer.hidden_size
        if isinstance(self.layer, nn.RNN):
            return [np.tanh(self.product("ih", x) + self.product("hh", states[0]))], {}
        return (self.lstm if isinstance(self.layer, nn.LSTM) else self.gru)(x, states, H)

    def lstm(self, x, states, H):
        h, c = states
        i, f, g, o = np.split(self.product("ih", x) + self.product("hh", h), 4, -1)
        peep = self.p.get("peephole", np.zeros((3, H)))
        i, f, g = sigmoid(i + peep[0] * c), sigmoid(f + peep[1] * c), np.tanh(g)
        c = f * c + i * g
        o = sigmoid(o + peep[2] * c)
        seen = normalized(c, self.p["norm_c_weight"], self.p["norm_c_bias"]) if "norm_c_weight" in self.p else c
        h = o * np.tanh(seen)
        return [h @ self.p["weight_hr"].T if "weight_hr" in self.p else h, c], {"i": i, "f": f, "g": g, "o": o}

    def gru(self, x, states, H):
        (h,) = states
        xr, xz, xn = np.split(self.product("ih", x), 3, -1)
        if self.layer.reset_after:
            hr, hz, hn = np.split(self.product("hh", h), 3, -1)
            r, z = sigmoid(xr + hr), sigmoid(xz + hz)
            n = np.tanh(xn + r * hn)
        else:
            hr, hz = np.split(self.product("hh", h, slice(2 * H)), 2, -1)
            r, z = sigmoid(xr + hr), sigmoid(xz + hz)
            n = np.tanh(xn + self.product("hh", r * h, slice(2 * H, None)))
        return [(1 - z) * n + z * h], {"r": r, "z": z, "n": n}


CASES = [
    *[(kind, options) for kind in KINDS for options in (
        {}, {"bias": False}, {"single_bias": True}, {"layer_norm": True}, {"layer_norm": True, "bias": False}, {"zoneout": 0.3}
    )],
    (nn.LSTM, {"proj_size": 3}),
    (nn.LSTM, {"peephole": True}),
    (nn.LSTM, {"zoneout": (0.1, 0.4)}),
    (nn.LSTM, {"proj_size": 3, "peephole": True, "layer_norm": True, "zoneout": (0.2, 0.3), "single_bias": True}),
    (nn.GRU, {"reset_after": False}),
    (nn.GRU, {"reset_after": False, "layer_norm": True, "zoneout": 0.2}),
]  # fmt: skip
IDS = [f"{kind.__name__}-{'-'.join(options) or 'plain'}" for kind, options in CASES]


@pytest.mark.parametrize(("kind", "options"), CASES, ids=IDS)
def test_options_are_their_equations(kind, options):
    layer = made(kind, I, H, **options).eval()
    x, states = draw(T, B, I, seed=1), random_states(layer, B)
    wanted, finals = Equations(layer).run(x.numpy(), [state.numpy()[0] for state in states])
    hx = tuple(states) if kind is nn.LSTM else states[0]
    has_gates = kind is not nn.RNN
    output, state, (inside,) = layer(x, hx, return_all_states=True, gates=has_gates)
    assert_close(output, np.stack([step[0] for step in wanted]))
    for got, final in zip(states_of(state), finals, strict=True):
        assert_close(got[0], final)
    names = layer._state_names
    assert list(inside) == [*names, *layer._gate_names]
    for k, name in enumerate(names):
        assert_close(inside[name], np.stack([step[k] for step in wanted]))
    for name in layer._gate_names:
        assert_close(inside[name], np.stack([step[-1][name] for step in wanted]))


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), Fraction(1, 2), np.int64(1), 1])
def test_a_probability_is_any_real_number(number):
    layer = nn.LSTM(I, H, 2, dropout=number, input_dropout=number, recurrent_dropout=number, zoneout=(number, 0))
    kept = (
        layer.dropout,
        layer.input_dropout,
        layer.recurrent_dropout,
        *layer.zoneout,
        nn.MultiheadAttention(4, 2, number).dropout,
    )
    assert kept == (number, number, number, number, 0, number) and all(type(each) is float for each in kept)


@pytest.mark.parametrize("number", [np.float32(1.5), np.float64("nan"), np.bool_(True), 0.5j, np.ones(1), -1])
def test_what_is_no_probability(number):
    with pytest.raises(ValueError, match=r"dropout should be a number in range \[0, 1\]"):
        nn.GRU(I, H, 2, dropout=number)


@pytest.mark.parametrize(("kind", "options"), CASES, ids=IDS)
def test_ragged_packed_bidirectional_and_stepped_calls_agree(kind, options):
    layer = made(kind, I, H, 2, bidirectional=True, batch_first=True, **options).eval()
    x, states = draw(B, T, I, seed=1), random_states(layer, B)
    hx = tuple(states) if kind is nn.LSTM else states[0]
    poisoned = x.clone()
    for row, length in enumerate(LENGTHS):
        poisoned[row, length:] = float("nan")
    wanted = {"return_all_states": True, "gates": kind is not nn.RNN}
    output, state, inside = layer(poisoned, hx, LENGTHS, **wanted)
    assert not output.isnan().any()
    for row, length in enumerate(LENGTHS):
        alone = [each[:, row] for each in states]
        if length == 0:
            assert all((got[:, row] == each).all() for got, each in zip(states_of(state), alone))
            continue
        own, final, own_inside = layer(x[row, :length], tuple(alone) if kind is nn.LSTM else alone[0], **wanted)
        assert_close(output[row, :length], own)
        assert not output[row, length:].any()
        for got, right in zip(states_of(state), states_of(final)):
            assert_close(got[:, row], right)
        for seen, right in zip(inside, own_inside, strict=True):
            for name in right:
                assert_close(seen[name][row, :length], right[name])
                assert not seen[name][row, length:].any()
    packed = nn.utils.rnn.pack_padded_sequence(x[:2], LENGTHS[:2], True, enforce_sorted=False)
    two = tuple([each[:, :2] for each in states])
    packed_output, packed_state, packed_inside = layer(packed, two if kind is nn.LSTM else two[0], **wanted)
    assert_close(nn.utils.rnn.pad_packed_sequence(packed_output, True)[0], output[:2])
    for got, right in zip(states_of(packed_state), states_of(state)):
        assert_close(got, right[:, :2])
    for seen, right in zip(packed_inside, inside, strict=True):
        assert list(seen) == list(right) == [*layer._state_names, *layer._gate_names]
        for name in right:
            assert_close(nn.utils.rnn.pad_packed_sequence(seen[name], True)[0], right[name][:2])


@pytest.mark.parametrize(("kind", "options"), [*CASES, (nn.LSTM, {"residual": True}), (nn.RNN, {"residual": True})])
def test_steps_are_the_sequence(kind, options):
    layer = made(kind, I, H, 2, **options).eval()
    x, states = draw(T, B, I, seed=1), random_states(layer, B)
    state = tuple(states) if kind is nn.LSTM else states[0]
    output, final = layer(x, state)
    for t in range(T):
        y, state = layer.step(x[t], state)
        assert_close(y, output[t])
    for got, right in zip(states_of(state), states_of(final)):
        assert_close(got, right)
    lone = tuple(each[:, 0] for each in states)
    y, _ = layer.step(x[0, 0], lone if kind is nn.LSTM else lone[0])
    assert_close(y, output[0, 0])


@pytest.mark.parametrize(("kind", "options"), CASES, ids=IDS)
def test_gradients_of_every_parameter_once_and_twice(kind, options):
    layer = made(kind, 2, 3, **{**options, **({"proj_size": 2} if "proj_size" in options else {})}).eval()
    names = [name for name, _ in layer.named_parameters()]
    x, states = draw(3, 2, 2, seed=1).requires_grad_(), [each.requires_grad_() for each in random_states(layer, 2)]

    def run(x, *rest):
        values = dict(zip(names, rest[len(states) :]))
        for name, value in values.items():
            layer._parameters[name] = value
        hx = tuple(rest[: len(states)])
        output, state, (inside,) = layer(x, hx if kind is nn.LSTM else hx[0], [3, 2], return_all_states=True)
        return (output, *states_of(state), *inside.values())

    inputs = (x, *states, *layer.parameters())
    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)


def test_options_meet_in_a_stack_in_both_directions():
    """Two layers by hand: each direction on its own, their outputs side by side into the next layer, residual added."""
    options = {"proj_size": 3, "peephole": True, "layer_norm": True, "zoneout": (0.2, 0.1)}
    layer = made(nn.LSTM, I, H, 2, bidirectional=True, residual=True, **options).eval()
    x, (h, c) = draw(T, B, I, seed=1), random_states(layer, B)
    below = x.numpy()
    for number in range(2):
        sides = []
        for d, ending in enumerate(("", "_reverse")):
            given = below[::-1] if d else below
            states = [each.numpy()[2 * number + d] for each in (h, c)]
            steps, _ = Equations(layer, f"_l{number}{ending}").run(given, states)
            outputs = np.stack([step[0] for step in steps])
            sides.append(outputs[::-1] if d else outputs)
        above = np.concatenate(sides, -1)
        below = above + below if number else above
    assert_close(layer(x, (h, c))[0], below)


def test_a_gru_with_negated_z_is_the_textbook_one():
    layer = made(nn.GRU, I, H)
    x, h = draw(T, B, I, seed=1), draw(1, B, H, seed=2)
    p = {name: value.detach().clone().numpy() for name, value in layer.named_parameters()}
    with tinyrnn.no_grad():
        for parameter in layer.parameters():
            parameter[H : 2 * H] *= -1
    state = h.numpy()[0]
    for x_t in x.numpy():
        xr, xz, xn = np.split(x_t @ p["weight_ih_l0"].T + p["bias_ih_l0"], 3, -1)
        hr, hz, hn = np.split(state @ p["weight_hh_l0"].T + p["bias_hh_l0"], 3, -1)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        state = z * np.tanh(xn + r * hn) + (1 - z) * state  # z = 1 takes the new one
    assert_close(layer(x, h)[1][0], state)


# ---- what is drawn ----------------------------------------------------------------------------------------------------


def test_recurrent_dropout_has_one_mask_for_all_steps_and_scales():
    """h_t = relu(1 + m * h_{t-1}): a unit grows by a factor 1/(1-p) where its mask keeps it, and stays 1 elsewhere."""
    layer = nn.RNN(1, 500, nonlinearity="relu", bias=False, recurrent_dropout=0.25, dtype=F64)
    with tinyrnn.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.copy_(tinyrnn.eye(500))
    x = tinyrnn.ones(4, 6, 1, dtype=F64)
    output = layer(x)[0].detach().numpy()
    kept = output[1] > 1.5
    grown = np.cumsum((4 / 3) ** np.arange(4))
    for t in range(4):
        assert_close(output[t], np.where(kept, grown[t], 1.0))
    assert 0.7 < kept.mean() < 0.8 and (kept[0] != kept[1]).any()
    assert (layer(x)[0].detach().numpy()[1] > 1.5).tolist() != kept.tolist(), "a new mask at every call"
    assert_close(layer.eval()(x)[0][3], np.full((6, 500), 4.0))


@pytest.mark.parametrize("lengths", [None, [4, 1, 3, 0, 2, 4]])
def test_input_dropout_has_one_mask_for_all_steps_and_scales(lengths):
    layer = nn.RNN(300, 300, nonlinearity="relu", bias=False, input_dropout=0.25, dtype=F64)
    with tinyrnn.no_grad():
        layer.weight_ih_l0.copy_(tinyrnn.eye(300))
        layer.weight_hh_l0.zero_()
    x = draw(4, 6, 300).abs() + 0.1
    output = layer(x, lengths=lengths)[0].detach().numpy()
    kept = (output[0] > 0)[None]
    alive = np.arange(4)[:, None] < np.array([4] * 6 if lengths is None else lengths)
    assert_close(output, np.where(kept & alive[:, :, None], x.numpy() * 4 / 3, 0.0))
    assert 0.7 < kept[:, alive[0]].mean() < 0.8
    assert_close(layer.eval()(x)[0], x)


def test_input_dropout_reaches_every_layer():
    layer = nn.RNN(50, 50, 2, nonlinearity="relu", bias=False, input_dropout=0.5, dtype=F64)
    with tinyrnn.no_grad():
        for number in range(2):
            getattr(layer, f"weight_ih_l{number}").copy_(tinyrnn.eye(50))
            getattr(layer, f"weight_hh_l{number}").zero_()
    output = layer(tinyrnn.ones(1, 200, 50, dtype=F64))[0]
    assert set(np.unique(output.detach().numpy())) == {0.0, 4.0}
    assert 0.2 < (output > 0).double().mean().item() < 0.3


@pytest.mark.parametrize("form", ["dense", "ragged", "packed"])
def test_zoneout_keeps_units_of_the_step_before(form):
    layer = nn.RNN(200, 200, bias=False, zoneout=0.3, dtype=F64)
    with tinyrnn.no_grad():
        layer.weight_ih_l0.copy_(tinyrnn.eye(200))
        layer.weight_hh_l0.zero_()
    x, h = draw(4, 3, 200), draw(1, 3, 200, seed=1)
    lengths = [4, 2, 3] if form != "dense" else [4, 4, 4]
    if form == "packed":
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        output = nn.utils.rnn.pad_packed_sequence(layer(packed, h)[0])[0]
    else:
        output = layer(x, h, lengths if form == "ragged" else None)[0]
    output, before, shares = output.detach().numpy(), h.numpy()[0], []
    for t in range(4):
        for row, length in enumerate(lengths):
            if t < length:
                kept = np.abs(output[t, row] - before[row]) < 1e-12
                assert_close(output[t, row], np.where(kept, before[row], np.tanh(x.numpy()[t, row])))
                shares.append(kept.mean())
        before = output[t]
    assert 0.25 < np.mean(shares) < 0.35 and np.std(shares) > 0


def test_zoneout_of_an_lstm_is_drawn_for_h_and_c_apart():
    layer = made(nn.LSTM, I, 200, zoneout=(0.0, 0.5))
    h, c = random_states(layer, B)
    _, (h_n, c_n) = layer(draw(1, B, I), (h, c))
    assert ((h_n - h).abs() > 1e-12).all()
    assert 0.4 < ((c_n - c).abs() < 1e-12).double().mean().item() < 0.6


def test_gradients_under_masks_are_those_of_the_masks_drawn():
    """Numerical derivatives with the generator set back before every call."""
    options = {"recurrent_dropout": 0.4, "input_dropout": 0.3, "zoneout": (0.3, 0.2), "dropout": 0.2, "layer_norm": True}
    layer = made(nn.LSTM, 2, 3, 2, bidirectional=True, **options)
    x = draw(3, 2, 2).requires_grad_()

    def run(x):
        tinyrnn.manual_seed(3)
        output, (h_n, c_n) = layer(x, lengths=[2, 3])
        return output, h_n, c_n

    assert gradcheck(run, (x,)) and gradgradcheck(run, (x,))


def test_forget_bias_is_added_to_one_bias():
    layers = []
    for forget_bias in (0.0, 1.5):
        tinyrnn.manual_seed(0)
        layers.append(nn.LSTM(I, H, 2, forget_bias=forget_bias, dtype=F64))
    for (name, plain), (_, other) in zip(layers[0].named_parameters(), layers[1].named_parameters()):
        added = np.zeros(tuple(plain.shape))
        if name.startswith("bias_ih"):
            added[H : 2 * H] = 1.5
        assert_close(other, plain.detach().numpy() + added)


def test_layer_norms_start_as_ones_and_zeros():
    for name, parameter in nn.LSTM(I, H, 2, layer_norm=True, bidirectional=True).named_parameters():
        if name.startswith("norm"):
            assert (parameter == (1 if "weight" in name else 0)).all(), name


def test_states_inside_have_gradients():
    layer = made(nn.LSTM, I, H)
    x = draw(T, B, I).requires_grad_()
    _, _, (inside,) = layer(x, return_all_states=True)
    (through_cells,) = grad(inside["c"][1].sum(), x)
    assert through_cells[:2].any() and not through_cells[2:].any()


# ---- wrong calls ------------------------------------------------------------------------------------------------------

WRONG = [
    (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size has to be smaller than hidden_size=4, got 4"),
    (lambda: nn.LSTM(3, 4, proj_size=-1), ValueError, "proj_size should be a positive integer or zero"),
    (lambda: nn.LSTM(3, 4, proj_size=True), TypeError, "proj_size should be of type int, got: bool"),
    (lambda: nn.LSTM(3, 4, forget_bias=1.0, bias=False), ValueError, "forget_bias is a matter of the biases"),
    (lambda: nn.LSTM(3, 4, single_bias=True, bias=False), ValueError, "single_bias is a matter of the biases"),
    (lambda: nn.LSTM(3, 4, peephole=1), TypeError, "peephole should be of type bool, got: int"),
    (lambda: nn.LSTM(3, 4, layer_norm="yes"), TypeError, "layer_norm should be of type bool, got: str"),
    (lambda: nn.GRU(3, 4, reset_after=0), TypeError, "reset_after should be of type bool, got: int"),
    (lambda: nn.GRU(3, 4, residual=True), ValueError, "expected num_layers > 1"),
    (lambda: nn.GRU(3, 4, recurrent_dropout=2), ValueError, r"recurrent_dropout should be a number in range \[0, 1\]"),
    (lambda: nn.GRU(3, 4, input_dropout=-0.1), ValueError, r"input_dropout should be a number in range \[0, 1\]"),
    (lambda: nn.GRU(3, 4, zoneout="0.1"), ValueError, r"zoneout should be a number in range \[0, 1\]"),
    (lambda: nn.GRU(3, 4, zoneout=(0.1, 0.2)), ValueError, "zoneout should be a number, or of an LSTM a pair for h and c"),
    (lambda: nn.RNN(3, 4)(tinyrnn.ones(2, 1, 3), gates=True), ValueError, "this cell has no gates"),
    (lambda: nn.LSTM(3, 4, proj_size=2)(tinyrnn.ones(2, 1, 3), (tinyrnn.ones(1, 1, 4),) * 2), RuntimeError,
     r"h_0 has shape \(1, 1, 4\), expected \(1, 1, 2\)"),
    (lambda: nn.GRU(3, 4, recurrent_dropout=0.1).step(tinyrnn.ones(1, 3)), ValueError, "call eval"),
    (lambda: nn.GRU(3, 4, input_dropout=0.1).step(tinyrnn.ones(1, 3)), ValueError, "call eval"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "sentence"), WRONG)
def test_wrong_options_say_so(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call()


def test_repr_names_what_is_not_usual():
    layer = nn.LSTM(3, 4, 2, proj_size=2, zoneout=(0.1, 0.2), peephole=True, residual=True)
    assert repr(layer) == "LSTM(3, 4, proj_size=2, num_layers=2, zoneout=(0.1, 0.2), peephole=True, residual=True)"
    assert repr(nn.GRU(3, 4, reset_after=False)) == "GRU(3, 4, reset_after=False)"


# ---- what programs do to layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "LSTMCell"])
def test_weights_may_be_plain_attributes_as_in_pytorch(kind):
    """Weight drop and weight normalization put tensors of their own in the place of parameters."""
    torch = pytest.importorskip("torch")
    outputs = []
    for library in (tinyrnn, torch):
        layer = getattr(library.nn, kind)(3, 4)
        values = np.random.default_rng(0)
        for name in [name for name, _ in layer.named_parameters()]:
            value = values.standard_normal(tuple(getattr(layer, name).shape)).astype(np.float32)
            del layer._parameters[name]
            setattr(layer, name, library.from_numpy(value))
        x = library.from_numpy(values.standard_normal((3, 3)).astype(np.float32))
        result = layer(x)
        outputs.append(result[0].detach().numpy())
    np.testing.assert_allclose(*outputs, atol=1e-6)


def test_a_missing_weight_is_named():
    layer = nn.GRU(3, 4)
    del layer._parameters["weight_hh_l0"]
    with pytest.raises(TypeError, match="GRU: weight_hh_l0 is missing, expected a tensor"):
        layer(tinyrnn.ones(2, 1, 3))


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_batch_without_any_step_has_gradients_of_zero(create_graph):
    layer = nn.LSTM(3, 4)
    output, _ = layer(tinyrnn.ones(5, 2, 3), lengths=[0, 0])
    gradients = grad(output.sum(), list(layer.parameters()), create_graph=create_graph)
    assert all(not gradient.any() for gradient in gradients)


def test_reset_leaves_what_a_subclass_adds():
    class Model(nn.LSTM):
        def __init__(self):
            super().__init__(3, 4, layer_norm=True)
            self.norm = nn.LayerNorm(4)

    model = Model()
    model.reset_parameters()
    assert (model.norm_h_weight_l0 == 1).all() and not model.norm_c_bias_l0.any()
    assert model._all_weights[0][:4] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
