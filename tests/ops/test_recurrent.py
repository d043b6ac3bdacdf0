"""The rungs of the recurrent layers (composed ops, one node per step) equal each other and PyTorch, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrnn.autograd import grad, gradcheck, gradgradcheck
from tinyrnn.autograd.wengert import tape
from tinyrnn.creation import tensor
from tinyrnn.ops.recurrent import recurrent
from tinyrnn.ops.recurrent_cells import CELLS

MODES = list(CELLS)


class Case:
    """A random layer with input, non-zero initial states, and weights of a loss over all that comes out."""

    def __init__(self, mode, T=5, B=4, I=3, H=5, L=1, D=1, bias=True, lengths=None, seed=0):  # noqa: E741
        draw = np.random.default_rng(seed).standard_normal
        self.mode, self.L, self.D, self.bias = mode, L, D, bias
        self.lengths = None if lengths is None else np.array(lengths)
        gates, self.names = CELLS[mode].gates * H, CELLS[mode].states
        self.x = draw((T, B, I))
        self.states = [draw((L * D, B, H)) for _ in self.names]
        self.weights = []
        for number in range(L * D):
            features = I if number < D else D * H
            biases = (draw(gates), draw(gates)) if bias else (None, None)
            self.weights.append((0.5 * draw((gates, features)), 0.5 * draw((gates, H)), *biases))
        self.output_weight = draw((T, B, D * H))
        self.final_weights = [draw((L * D, B, H)) for _ in self.names]
        self.H = H

    def leaves(self, make):
        """input, states and weights through `make`; and all of them that are there as one list."""
        x, states = make(self.x), [make(s) for s in self.states]
        weights = [tuple(None if w is None else make(w) for w in ws) for ws in self.weights]
        return x, states, weights, [x, *states, *[w for ws in weights for w in ws if w is not None]]


def leaf(array):
    return tensor(array, requires_grad=True)


def run(case, composed=False, outputs=True):
    """Output, final states, and the list of leaves of one run; and the loss."""
    x, states, weights, leaves = case.leaves(leaf)
    out, final = recurrent(case.mode, x, tuple(states), weights, case.lengths, case.D == 2, composed=composed)
    loss = sum((f * tensor(w)).sum() for f, w in zip(final, case.final_weights))
    if outputs:
        loss = loss + (out * tensor(case.output_weight)).sum()
    return out, final, leaves, loss


def numbers(case, composed=False, outputs=True):
    """Output, final states and every gradient, as arrays."""
    out, final, leaves, loss = run(case, composed, outputs)
    loss.backward()
    return [out.array, *[f.array for f in final], *[each.grad.array for each in leaves]]


def torch_run(case, torch):
    kind = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}.get(case.mode, torch.nn.RNN)
    options = {"nonlinearity": case.mode[4:].lower()} if case.mode.startswith("RNN") else {}
    T, _, features = case.x.shape
    layer = kind(features, case.H, case.L, bias=case.bias, bidirectional=case.D == 2, dtype=torch.float64, **options)
    parameters = list(layer.parameters())
    for parameter, value in zip(parameters, [w for ws in case.weights for w in ws if w is not None]):
        parameter.data.copy_(torch.from_numpy(value))
    x = torch.tensor(case.x, requires_grad=True)
    states = [torch.tensor(s, requires_grad=True) for s in case.states]
    hx = tuple(states) if case.mode == "LSTM" else states[0]
    if case.lengths is None:
        out, final = layer(x, hx)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.from_numpy(case.lengths), enforce_sorted=False)
        out, final = layer(packed, hx)
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, total_length=T)
    final = final if isinstance(final, tuple) else (final,)
    loss = sum((f * torch.from_numpy(w)).sum() for f, w in zip(final, case.final_weights))
    return out, final, [x, *states, *parameters], loss + (out * torch.from_numpy(case.output_weight)).sum()


def torch_numbers(case, torch):
    out, final, leaves, loss = torch_run(case, torch)
    loss.backward()
    arrays = [out.detach(), *[f.detach() for f in final], *[each.grad for each in leaves]]
    return [a.numpy() for a in arrays]


def assert_all_close(got, expected, tolerance=1e-10):
    assert len(got) == len(expected)
    for number, (a, b) in enumerate(zip(got, expected)):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=f"item {number}")


@st.composite
def cases(draw, shortest):
    T, B = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    ragged = draw(st.booleans())
    return Case(
        draw(st.sampled_from(MODES)),
        T,
        B,
        I=draw(st.integers(1, 4)),
        H=draw(st.integers(1, 9)),
        L=draw(st.integers(1, 3)),
        D=draw(st.integers(1, 2)),
        bias=draw(st.booleans()),
        lengths=draw(st.lists(st.integers(shortest, T), min_size=B, max_size=B)) if ragged else None,
        seed=draw(st.integers(0, 2**16)),
    )


RAGGED = [3, 5, 1, 3]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lengths", [None, RAGGED, [1, 1, 1, 1], [5, 4, 3, 1], [2, 2, 1, 2]])
@pytest.mark.parametrize("D", [1, 2])
def test_rungs_equal_pytorch(mode, lengths, D):
    torch = pytest.importorskip("torch")
    case = Case(mode, L=2, D=D, lengths=lengths, seed=len(mode) + D)
    expected = torch_numbers(case, torch)
    assert_all_close(numbers(case), expected)
    assert_all_close(numbers(case, composed=True), expected)


@settings(max_examples=25, deadline=None)
@given(cases(shortest=1))
def test_any_configuration_equals_pytorch(case):
    torch = pytest.importorskip("torch")
    assert_all_close(numbers(case), torch_numbers(case, torch))


@settings(max_examples=25, deadline=None)
@given(cases(shortest=0), st.booleans())
def test_rungs_are_equal_with_empty_sequences_too(case, outputs):
    out = run(case, outputs=outputs)[0]
    if case.lengths is not None and not case.lengths.any():
        assert not np.asarray(getattr(out, "array", out)).any()
        return
    assert_all_close(numbers(case, outputs=outputs), numbers(case, True, outputs))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("D", [1, 2])
def test_a_ragged_batch_equals_every_sequence_run_alone(mode, D):
    lengths = [0, 4, 1, 5, 0, 3]
    case = Case(mode, B=6, L=2, D=D, lengths=lengths, seed=7)
    out, final, leaves, loss = run(case)
    loss.backward()
    total = None
    for row, length in enumerate(lengths):
        assert (out.array[length:, row] == 0).all()
        for state, start in zip(final, case.states):
            if length == 0:
                np.testing.assert_array_equal(state.array[:, row], start[:, row])
        alone = Case(mode, L=2, D=D, seed=7)
        keep = slice(row, row + 1)
        alone.x, alone.states = case.x[:length, keep], [s[:, keep] for s in case.states]
        alone.weights, alone.lengths = case.weights, None
        alone.output_weight = case.output_weight[:length, keep]
        alone.final_weights = [w[:, keep] for w in case.final_weights]
        if length == 0:
            for leaf_, weight in zip(leaves[1:], case.final_weights[: len(case.states)]):
                np.testing.assert_array_equal(leaf_.grad.array[:, row], weight[:, row])
            continue
        got = numbers(alone, composed=True)
        count = 1 + len(case.states)
        assert_all_close([out.array[:length, keep], *[f.array[:, keep] for f in final]], got[:count])
        grads = [leaves[0].grad.array[:length, keep], *[s.grad.array[:, keep] for s in leaves[1:count]]]
        assert_all_close(grads, got[count : 2 * count])
        assert (leaves[0].grad.array[length:, row] == 0).all()
        weight_grads = got[2 * count :]
        total = weight_grads if total is None else [a + b for a, b in zip(total, weight_grads)]
    assert_all_close([w.grad.array for w in leaves[1 + len(case.states) :]], total)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_from_the_final_state_only(mode):
    case = Case(mode, L=2, D=2, lengths=RAGGED, seed=3)
    assert_all_close(numbers(case, outputs=False), numbers(case, True, outputs=False))
    padding = np.arange(5)[:, None] >= np.array(RAGGED)
    grad_x = numbers(case, outputs=False)[2 + (mode == "LSTM")]
    assert (grad_x[padding] == 0).all() and (grad_x[~padding] != 0).any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("composed", [False, True])
def test_poisoned_padding_does_not_leak(mode, composed):
    clean, poisoned = (Case(mode, L=2, D=2, lengths=[3, 5, 0, 2], seed=5) for _ in range(2))
    poisoned.x[np.arange(5)[:, None] >= poisoned.lengths] = np.nan
    for a, b in zip(numbers(clean, composed), numbers(poisoned, composed)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mode", MODES)
def test_no_sequence_has_a_step(mode):
    case = Case(mode, D=2, lengths=[0, 0, 0, 0])
    x, states, weights, _ = case.leaves(leaf)
    out, final = recurrent(mode, x, tuple(states), weights, case.lengths, True)
    assert np.asarray(getattr(out, "array", out)).shape == (5, 4, 10)
    assert not np.asarray(getattr(out, "array", out)).any()
    for got, start in zip(final, states):
        np.testing.assert_array_equal(got.array, start.array)


def penalty_gradients(case, composed):
    """Gradients of ``|d loss / d (x, states, W)|^2 + loss`` for every leaf: a second walk over the first."""
    _, _, leaves, loss = run(case, composed)
    first = grad(loss, leaves, create_graph=True)
    (loss + sum((g * g).sum() for g in first)).backward()
    return [each.grad.array for each in leaves]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lengths", [None, [3, 4, 1]])
def test_double_backward_equals_the_composed_rung_and_pytorch(mode, lengths):
    torch = pytest.importorskip("torch")
    case = Case(mode, T=4, B=3, L=2, D=2, lengths=lengths, seed=11)
    one_node = penalty_gradients(case, composed=False)
    assert_all_close(one_node, penalty_gradients(case, composed=True), 1e-8)
    _, _, leaves, loss = torch_run(case, torch)
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    (loss + sum((g * g).sum() for g in first)).backward()
    assert_all_close(one_node, [each.grad.numpy() for each in leaves], 1e-8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("composed", [False, True])
def test_one_step_by_finite_differences(mode, bias, composed):
    cell = CELLS[mode]
    draw = np.random.default_rng(2).standard_normal
    B, H, count = 2, 3, len(cell.states)
    shapes = [(B, cell.gates * H), *[(B, H)] * count, (cell.gates * H, H), *[(cell.gates * H,)] * bias]
    step = cell.step_composed if composed else cell.step

    def call(gates_x, *rest):
        return step(gates_x, rest[:count], rest[count], rest[count + 1] if bias else None)

    inputs = [leaf(draw(shape)) for shape in shapes]
    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


@pytest.mark.parametrize("mode", MODES)
def test_a_step_is_one_node(mode):
    short, long = (len(tape(run(Case(mode, T=T))[3])) for T in (4, 9))
    assert long - short == 5


@pytest.mark.parametrize("mode", MODES)
def test_chunks_with_the_state_carried_over_equal_the_whole(mode):
    case = Case(mode, T=7, L=2)
    whole = numbers(case)
    x, states, weights, leaves = case.leaves(leaf)
    first, state = recurrent(mode, x[:3], tuple(states), weights)
    second, state = recurrent(mode, x[3:], state, weights)
    loss = sum((f * tensor(w)).sum() for f, w in zip(state, case.final_weights))
    loss = loss + (first * tensor(case.output_weight[:3])).sum() + (second * tensor(case.output_weight[3:])).sum()
    loss.backward()
    joined = np.concatenate([first.array, second.array])
    assert_all_close([joined, *[s.array for s in state], *[each.grad.array for each in leaves]], whole)


def test_the_batch_keeps_its_order_and_its_numbers_when_shuffled():
    case = Case("LSTM", B=6, D=2, lengths=[2, 5, 2, 1, 5, 3])
    out, final, _, _ = run(case)
    order = np.random.default_rng(0).permutation(6)
    case.x, case.states = case.x[:, order], [s[:, order] for s in case.states]
    case.lengths = case.lengths[order]
    shuffled, shuffled_final, _, _ = run(case)
    assert_all_close([shuffled.array, shuffled_final[1].array], [out.array[:, order], final[1].array[:, order]])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_stays(mode, dtype):
    case = Case(mode, lengths=RAGGED)
    x, _, weights, _ = case.leaves(lambda a: leaf(a.astype(dtype)))
    out, final = recurrent(mode, x, None, weights, case.lengths)
    (out.sum() + final[0].sum()).backward()
    assert out.array.dtype == final[0].array.dtype == x.grad.array.dtype == weights[0][0].grad.array.dtype == dtype
