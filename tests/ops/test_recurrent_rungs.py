"""The three rungs of the recurrent layers equal each other in float64, with every option and for every gradient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrent_cases import EVERYTHING, MODES, RAGGED, Case, assert_all_close, cases, leaf, numbers, options_of, recurrent, run

from tinyrnn.autograd import grad, gradcheck, gradgradcheck
from tinyrnn.autograd.wengert import tape
from tinyrnn.creation import tensor
from tinyrnn.grad_modes import no_grad
from tinyrnn.kernels import reference
from tinyrnn.ops.recurrent_cells import CELLS

WANTED = [("output",), ("finals",), ("cells",), ("output", "finals"), EVERYTHING]
RUNGS = ["L0", "L1", "L2"]


def with_results(case, wanted):
    """`wanted`, or the output where a cell has none of it."""
    return ("output",) if wanted == ("cells",) and case.mode != "LSTM" else wanted


@settings(max_examples=60, deadline=None)
@given(cases(shortest=0, with_options=True), st.sampled_from(WANTED))
def test_any_configuration_is_equal_on_all_rungs(case, wanted):
    wanted = with_results(case, wanted)
    fused = numbers(case, "L2", wanted)
    for rung in ("L0", "L1"):
        stepped = numbers(case, rung, wanted)
        # what no gradient reaches has none step by step, and zeros in one node
        assert all(b is not None for b in fused)
        assert_all_close([np.zeros_like(b) if a is None else a for a, b in zip(stepped, fused)], fused)


def option_cases():
    for mode in MODES:
        for name in (None, *options_of(mode), "zoneout_h=0.3"):
            yield pytest.param(mode, [] if name is None else [name], id=f"{mode}-{name}")
        yield pytest.param(mode, list(options_of(mode)), id=f"{mode}-all")


each_option = pytest.mark.parametrize(("mode", "options"), list(option_cases()))


@each_option
@pytest.mark.parametrize("D", [1, 2])
def test_every_option_matters_and_is_equal_on_all_rungs(mode, options, D):
    case = Case(mode, T=4, L=2, D=D, lengths=[3, 4, 0, 2], options=options, seed=D)
    fused = numbers(case, "L2", EVERYTHING)
    assert all(each is not None and np.isfinite(each).all() and each.any() for each in fused)
    for rung in ("L0", "L1"):
        assert_all_close(numbers(case, rung, EVERYTHING), fused)
    for name in case.options[0]:
        without = Case(mode, T=4, L=2, D=D, lengths=[3, 4, 0, 2], options=options, seed=D)
        if name == "weight_hr":
            continue  # the shapes would be others
        for own in without.options:
            del own[name]
        assert not np.allclose(numbers(without, "L2")[0], fused[0])


def results_of(case):
    """The leaves, and a function of them that gives everything that has a gradient."""
    *arguments, leaves = case.leaves()

    def call(*_):
        out, final, (inside,) = case.call(*arguments)
        return (out, *final, *inside.states)

    return call, leaves


@each_option
def test_gradients_by_finite_differences(mode, options):
    case = Case(mode, T=3, B=2, I=2, H=4, D=2, lengths=[2, 3], options=options, seed=4)
    assert gradcheck(*results_of(case), fast_mode=True)


@pytest.mark.parametrize(("mode", "options"), [(mode, []) for mode in MODES] + [("GRU", ["norm_h"]), ("LSTM", ["peephole"])])
def test_second_derivatives_by_finite_differences(mode, options):
    case = Case(mode, T=2, B=2, I=2, H=2, options=options, lengths=[1, 2], seed=4)
    assert gradgradcheck(*results_of(case), fast_mode=True)


def penalty_gradients(case, rung, wanted=EVERYTHING):
    """Gradients of ``|d loss / d leaves|^2 + loss`` for every leaf: a second walk over the first."""
    _, _, leaves, loss = run(case, rung, wanted)
    first = grad(loss, leaves, create_graph=True, allow_unused=True)
    (loss + sum((g * g).sum() for g in first if g is not None)).backward()
    return [each.grad.array for each in leaves]


@each_option
def test_double_backward_equals_the_composed_rung(mode, options):
    case = Case(mode, T=4, B=3, L=2, D=2, lengths=[3, 4, 1], options=options, seed=11)
    composed = penalty_gradients(case, "L0")
    for rung in ("L1", "L2"):
        assert_all_close(penalty_gradients(case, rung), composed, 1e-8)


@pytest.mark.parametrize("wanted", [w for w in WANTED if w != ("cells",)])
def test_double_backward_of_a_part_of_the_results(wanted):
    case = Case("LSTM", T=3, B=2, L=2, D=2, options=["peephole"])
    assert_all_close(penalty_gradients(case, "L2", wanted), penalty_gradients(case, "L0", wanted), 1e-8)


@pytest.mark.parametrize("mode", MODES)
def test_double_backward_where_the_input_comes_from_the_weights(mode):
    """The second walk differentiates this layer alone, though its input hangs on its own weights."""

    def penalty(rung):
        case = Case(mode, T=3, B=5, I=5, H=5)
        x, states, weights, _, _ = case.leaves()
        mixed = x @ weights[0][1][:5]
        state = tuple([s * weights[0][1][:5].sum() for s in states])
        out, final, _ = recurrent(mode, mixed, state, weights, rung=rung)
        loss = (out * out * out).sum() + sum((f * f).sum() for f in final)
        (first,) = grad(loss, [weights[0][1]], create_graph=True)
        second = grad((first * first).sum(), [weights[0][1], x, *states])
        return [first.array, *[each.array for each in second]]

    assert_all_close(penalty("L2"), penalty("L0"), 1e-8)


@pytest.mark.parametrize("mode", ["LSTM", "GRU"])
def test_third_derivatives(mode):
    def third(rung):
        case = Case(mode, T=3, B=2)
        _, _, leaves, loss = run(case, rung)
        for _ in range(2):
            loss = sum((g * g).sum() for g in grad(loss, leaves, create_graph=True))
        return [g.array for g in grad(loss, leaves)]

    assert_all_close(third("L2"), third("L0"), 1e-7)


@pytest.mark.parametrize("mode", MODES)
def test_a_layer_is_one_node_and_a_step_is_one(mode):
    def nodes(rung, T):
        case = Case(mode, T=T)
        x, states, weights, _, _ = case.leaves()
        out, final, _ = recurrent(mode, x, states, weights, rung=rung)
        return [node.name for node in tape(out.sum() + final[0].sum())]

    assert len(nodes("L2", 4)) == 4  # the layer, two sums and their sum
    assert nodes("L2", 4) == nodes("L2", 9)
    if CELLS[mode].step is not None:
        assert len(nodes("L1", 9)) - len(nodes("L1", 4)) == 5
    assert len(nodes("L0", 9)) - len(nodes("L0", 4)) >= 15


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_saved_where_nothing_is_recorded(mode, monkeypatch):
    saves = []
    forward = reference.recurrent_forward

    class Spy:
        recurrent_forward = staticmethod(lambda *arguments: saves.append(arguments[-1]) or forward(*arguments))

    monkeypatch.setattr("tinyrnn.ops.recurrent_fused.backend", lambda _: Spy)
    case = Case(mode)
    x, states, weights, _, _ = case.leaves()
    recurrent(mode, x, states, weights)
    with no_grad():
        recurrent(mode, x, states, weights)
    x, states, weights, _, _ = case.leaves(tensor)
    recurrent(mode, x, states, weights)
    weights[0][1].requires_grad_()
    recurrent(mode, x, states, weights)
    assert saves == [True, False, False, True]


def test_what_went_on_inside():
    case = Case("LSTM", L=2, D=2, lengths=RAGGED)
    *arguments, _ = case.leaves()
    out, (_, c), (first, second) = case.call(*arguments)
    assert second.output is out or (second.output.array == out.array).all()
    assert first.output.shape == (5, 4, 10)
    for layer, seen in enumerate((first, second)):
        for d in range(2):
            cells, gates = seen.states[d].array, np.asarray(getattr(seen.gates[d], "array", seen.gates[d]))
            assert cells.shape == (5, 4, 5) and gates.shape == (5, 4, 20)
            for b, length in enumerate(RAGGED):
                assert not cells[length:, b].any() and not gates[length:, b].any()
                np.testing.assert_array_equal(c.array[2 * layer + d, b], cells[length - 1 if d == 0 else 0, b])
                i, f, g, o = np.split(gates[:length, b], 4, axis=1)
                h = seen.output.array[:length, b, 5 * d : 5 * d + 5]
                np.testing.assert_allclose(h, o * np.tanh(cells[:length, b]), rtol=1e-12)
                assert all((each > 0).all() and (each < 1).all() for each in (i, f, o)) and (abs(g) < 1).all()


@pytest.mark.parametrize("mode", MODES)
def test_looking_inside_changes_nothing(mode):
    for lengths in (None, RAGGED):
        case = Case(mode, L=2, D=2, lengths=lengths)
        x, states, weights, _, _ = case.leaves()
        out, final, _ = recurrent(mode, x, states, weights, case.lengths, True)
        seen_out, seen_final, _ = recurrent(mode, x, states, weights, case.lengths, True, inside=True)
        assert_all_close([out.array, *[f.array for f in final]], [seen_out.array, *[f.array for f in seen_final]], 0)


def test_writing_to_saved_tensors_is_noticed():
    case = Case("LSTM")
    for which in ("output", "cells", "weight", "input", "state"):
        (x, states, weights, _, _) = case.leaves(tensor)
        weights[0][1].requires_grad_()
        out, final, (inside,) = case.call(x, states, weights, None)
        written = {"output": out, "cells": inside.states[0], "weight": weights[0][1], "input": x, "state": states[0]}[which]
        with no_grad():
            written.add_(1.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            final[0].sum().backward()


def test_gates_handed_out_are_a_copy():
    case = Case("GRU", lengths=None)
    expected = numbers(case)
    x, states, weights, _, leaves = case.leaves()
    out, final, (inside,) = case.call(x, states, weights, None)
    gates = inside.gates[0]
    getattr(gates, "array", gates)[...] = np.nan
    loss = (out * tensor(case.output_weight)).sum() + (final[0] * tensor(case.final_weights[0])).sum()
    loss.backward()
    assert_all_close([each.grad.array for each in leaves], expected[2:])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rung", RUNGS)
def test_poisoned_padding_does_not_leak(mode, rung):
    for options in ([], list(options_of(mode))):
        clean, poisoned = (Case(mode, L=2, D=2, lengths=[3, 5, 0, 2], seed=5, options=options) for _ in range(2))
        behind = np.arange(5)[:, None] >= poisoned.lengths
        poisoned.x[behind] = np.nan
        for own in poisoned.options:
            for name in own.keys() & {"zoneout_h", "zoneout_c"}:
                own[name][behind] = np.nan
        for a, b in zip(numbers(clean, rung, EVERYTHING), numbers(poisoned, rung, EVERYTHING)):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mode", MODES)
def test_input_in_any_layout(mode):
    case = Case(mode, L=2)
    expected = numbers(case)
    x, states, weights, _, leaves = case.leaves()
    x = leaves[0] = leaf(np.ascontiguousarray(case.x.transpose(1, 0, 2)))  # (B, T, I), as with batch_first
    out, final, _ = recurrent(mode, x.transpose(0, 1), states, weights)
    loss = (out * tensor(case.output_weight)).sum() + sum((f * tensor(w)).sum() for f, w in zip(final, case.final_weights))
    loss.backward()
    grads = [each.grad.array for each in leaves]
    grads[0] = grads[0].transpose(1, 0, 2)
    assert_all_close([out.array, *[f.array for f in final], *grads], expected)
