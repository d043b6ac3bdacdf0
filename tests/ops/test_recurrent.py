"""The recurrent layers equal PyTorch, and a ragged batch equals its sequences run alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from recurrent_cases import (
    IN_PYTORCH,
    MODES,
    RAGGED,
    Case,
    assert_all_close,
    cases,
    leaf,
    numbers,
    recurrent,
    run,
    torch_numbers,
    torch_run,
)

from tinyrnn.autograd import grad
from tinyrnn.creation import tensor


@pytest.mark.parametrize("mode", IN_PYTORCH)
@pytest.mark.parametrize("lengths", [None, RAGGED, [1, 1, 1, 1], [5, 4, 3, 1], [2, 2, 1, 2]])
@pytest.mark.parametrize("D", [1, 2])
def test_rungs_equal_pytorch(mode, lengths, D):
    torch = pytest.importorskip("torch")
    case = Case(mode, L=2, D=D, lengths=lengths, seed=len(mode) + D)
    expected = torch_numbers(case, torch)
    for rung in ("L0", "L1", "L2"):
        assert_all_close(numbers(case, rung), expected)


@pytest.mark.parametrize("lengths", [None, RAGGED])
@pytest.mark.parametrize("D", [1, 2])
def test_projection_equals_pytorch(lengths, D):
    torch = pytest.importorskip("torch")
    case = Case("LSTM", L=2, D=D, lengths=lengths, options=["weight_hr"])
    assert_all_close(numbers(case), torch_numbers(case, torch))


@settings(max_examples=25, deadline=None)
@given(cases(shortest=1, modes=IN_PYTORCH))
def test_any_configuration_equals_pytorch(case):
    torch = pytest.importorskip("torch")
    assert_all_close(numbers(case), torch_numbers(case, torch))


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
        got = numbers(alone, "L0")
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
    assert_all_close(numbers(case, wanted=("finals",)), numbers(case, "L0", ("finals",)))
    padding = np.arange(5)[:, None] >= np.array(RAGGED)
    grad_x = numbers(case, wanted=("finals",))[2 + (mode == "LSTM")]
    assert (grad_x[padding] == 0).all() and (grad_x[~padding] != 0).any()


@pytest.mark.parametrize("mode", MODES)
def test_no_sequence_has_a_step(mode):
    case = Case(mode, D=2, lengths=[0, 0, 0, 0])
    x, states, weights, _, _ = case.leaves()
    out, final, _ = recurrent(mode, x, tuple(states), weights, case.lengths, True)
    assert out.array.shape == (5, 4, 10)
    assert not out.array.any()
    for got, start in zip(final, states):
        np.testing.assert_array_equal(got.array, start.array)


@pytest.mark.parametrize("mode", IN_PYTORCH)
@pytest.mark.parametrize("lengths", [None, [3, 4, 1]])
def test_double_backward_equals_pytorch(mode, lengths):
    """Gradients of ``|d loss / d (x, states, W)|^2 + loss``: a second walk over the first."""
    torch = pytest.importorskip("torch")
    case = Case(mode, T=4, B=3, L=2, D=2, lengths=lengths, seed=11)
    results = []
    for (_, _, leaves, loss), gradients in ((run(case), grad), (torch_run(case, torch), torch.autograd.grad)):
        first = gradients(loss, leaves, create_graph=True)
        (loss + sum((g * g).sum() for g in first)).backward()
        results.append([np.asarray(each.grad.detach().numpy()) for each in leaves])
    assert_all_close(*results, 1e-8)


@pytest.mark.parametrize("mode", MODES)
def test_chunks_with_the_state_carried_over_equal_the_whole(mode):
    case = Case(mode, T=7, L=2)
    whole = numbers(case)
    x, states, weights, _, leaves = case.leaves()
    first, state, _ = recurrent(mode, x[:3], tuple(states), weights)
    second, state, _ = recurrent(mode, x[3:], state, weights)
    loss = sum((f * tensor(w)).sum() for f, w in zip(state, case.final_weights))
    loss = loss + (first * tensor(case.output_weight[:3])).sum() + (second * tensor(case.output_weight[3:])).sum()
    loss.backward()
    joined = np.concatenate([first.array, second.array])
    assert_all_close([joined, *[s.array for s in state], *[each.grad.array for each in leaves]], whole)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [[], ["recurrent_mask", "zoneout_h"]])
def test_a_shuffled_batch_gives_the_same_numbers(mode, options):
    """Its masks are shuffled with it."""
    case = Case(mode, B=6, L=2, D=2, lengths=[2, 5, 2, 1, 5, 3], options=options)
    expected = numbers(case)
    order = np.random.default_rng(0).permutation(6)
    batches = 2 * (1 + len(case.states))  # output, finals, and the gradients of input and states
    expected = [a[:, order] for a in expected[:batches]] + expected[batches:]
    case.x, case.states, case.lengths = case.x[:, order], [s[:, order] for s in case.states], case.lengths[order]
    case.output_weight, case.final_weights = case.output_weight[:, order], [w[:, order] for w in case.final_weights]
    for own in case.options:
        for name, axis in (("recurrent_mask", 0), ("zoneout_h", 1)):
            if name in own:
                own[name] = own[name].take(order, axis)
    assert_all_close(numbers(case), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_stays(mode, dtype):
    case = Case(mode, lengths=RAGGED)
    x, _, weights, _, _ = case.leaves(lambda a: leaf(a.astype(dtype)))
    out, final, _ = recurrent(mode, x, None, weights, case.lengths)
    (out.sum() + final[0].sum()).backward()
    assert out.array.dtype == final[0].array.dtype == x.grad.array.dtype == weights[0][0].grad.array.dtype == dtype
