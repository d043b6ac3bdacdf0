"""The fused sweep: the reference against finite differences, every backend equal to the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_cases import LSTM_OPTIONS, OPTIONS, Call, calls, gradients_by_key

import tinyrnn
from tinyrnn.kernels import cpu, reference
from tinyrnn.kernels.dispatch import backend
from tinyrnn.kernels.sweeps import MODES

WANTED = [("output",), ("finals",), ("cells",), ("output", "finals"), ("output", "finals", "cells")]
TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}


def assert_close(got, expected, key=None, room=1):
    """Equal to rounding, relative to the largest number of the array: each is a sum of many."""
    assert type(got) is np.ndarray, key
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), key
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    tolerance = TOLERANCE[expected.dtype] * room
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=scale * tolerance, err_msg=str(key))


# ---- the reference -------------------------------------------------------------------------------------------------


def loss(call, gradients):
    """The sum of all results, each weighted with its gradient."""
    output, finals, saved = call.forward()
    grad_output, grad_finals, grad_cells = gradients
    pairs = [(output, grad_output)]
    for d in range(len(call.sweeps)):
        pairs += [*zip(finals[d], grad_finals[d]), (saved[d].cells, grad_cells[d])]
    return sum((value * grad).sum() for value, grad in pairs if grad is not None)


def check_by_finite_differences(call, wanted, epsilon=1e-6):
    """Each gradient along a random direction of its array, without the error of second order in epsilon.

    That error is large where ReLUs explode, or where a layer norm has hardly any variance to divide by.
    """
    gradients = call.gradients(wanted)
    output, _, saved = call.forward()
    got = gradients_by_key(*call.backward(output, saved, gradients))
    assert got.keys() == call.arrays().keys()
    for number, (key, array) in enumerate(call.arrays().items()):
        direction = np.random.default_rng(number).standard_normal(array.shape)

        def slope(step, key=key, array=array, direction=direction):
            above, below = (loss(call.replaced(key, array + sign * step * direction), gradients) for sign in (1, -1))
            return (above - below) / (2 * step)

        expected = (4 * slope(epsilon / 2) - slope(epsilon)) / 3
        found = (got[key] * direction).sum()
        assert abs(found - expected) <= 1e-6 * max(1, abs(expected)), (key, found, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("option", [None, *OPTIONS, *LSTM_OPTIONS, "zoneout_h=0.3", "zoneout_c=0.3"])
@pytest.mark.parametrize("D", [1, 2])
def test_reference_by_finite_differences(mode, option, D):
    if option in (*LSTM_OPTIONS, "zoneout_c=0.3") and mode != "LSTM":
        pytest.skip("an option of the LSTM")
    check_by_finite_differences(Call(mode, [4, 3, 1, 0], D=D, options=[option] if option else []), WANTED[-1])


@settings(max_examples=60, deadline=None)
@given(calls(), st.sampled_from(WANTED))
def test_reference_by_finite_differences_with_any_options(call, wanted):
    if wanted == ("cells",) and call.mode != "LSTM":
        wanted = ("output",)
    check_by_finite_differences(call, wanted)


@pytest.mark.parametrize(("mode", "cell"), [("RNN_TANH", "rnn"), ("RNN_RELU", "rnn"), ("LSTM", "lstm"), ("GRU", "gru")])
def test_reference_is_the_one_step_kernel_again_and_again(mode, cell):
    """What is saved for all to see included: every cell state and gate."""
    call = Call(mode, [3, 3])
    (sweep,) = call.sweeps
    output, (final,), (saved,) = call.forward()
    state = [sweep.h_0, *([sweep.c_0] if mode == "LSTM" else [])]
    for t in range(3):
        rows = slice(2 * t, 2 * t + 2)
        gates_x = call.x[rows] @ sweep.weight_ih.T + sweep.bias_ih
        gates_h = state[0] @ sweep.weight_hh.T + sweep.bias_hh
        if cell == "rnn":
            state = [reference.rnn_cell_forward(gates_x, gates_h, mode[4:].lower())]
            assert saved.gates is None and saved.cells is None
        elif cell == "lstm":
            *state, gates = reference.lstm_cell_forward(gates_x, gates_h, state[1])
            assert_close(saved.cells[rows], state[1])
            assert_close(saved.gates[rows], gates)
        else:
            *state, gates = reference.gru_cell_forward(gates_x, gates_h, state[0])
            assert_close(saved.gates[rows], gates)
            assert saved.cells is None
        assert_close(output[rows], state[0])
    for got, expected in zip(final, state, strict=True):
        assert_close(got, expected)


def test_zoneout_of_one_keeps_the_old_state_and_of_zero_changes_nothing():
    plain = Call("LSTM", [4, 2])
    for z, kept in ((0.0, False), (1.0, True)):
        call = Call("LSTM", [4, 2], options=[f"zoneout_h={z}", f"zoneout_c={z}"])
        _, ((h, c),), _ = call.forward()
        expected = (plain.sweeps[0].h_0, plain.sweeps[0].c_0) if kept else plain.forward()[1][0]
        assert_close(h, expected[0])
        assert_close(c, expected[1])


@pytest.mark.parametrize("mode", MODES)
def test_reversed_is_forward_over_reversed_sequences(mode):
    call = Call(mode, [4, 4, 4], D=2)
    forward, backward = call.sweeps
    call.sweeps = [backward]
    output, final, _ = call.forward()
    call.sweeps, call.x = [backward._replace(reverse=False)], call.x.reshape(4, 3, -1)[::-1].reshape(12, -1)
    flipped, final_flipped, _ = call.forward()
    assert_close(output, flipped.reshape(4, 3, -1)[::-1].reshape(12, -1))
    assert_close(final[0][0], final_flipped[0][0])
    assert forward.reverse is False


# ---- every backend -------------------------------------------------------------------------------------------------


def check_equal(call, wanted, kernels=cpu, needs_x=True):
    """Forward and backward of the backend equal the reference's."""
    got, expected = call.forward(kernels), call.forward(reference)
    # layer normalization of a few numbers that are nearly equal divides by next to nothing
    room = 30 if any(sweep.norm_h or sweep.norm_c for sweep in call.sweeps) else 1
    assert_close(got[0], expected[0], "output", room)
    for d, sweep in enumerate(call.sweeps):
        for number, (a, b) in enumerate(zip(got[1][d], expected[1][d], strict=True)):
            assert_close(a, b, ("final", d, number), room)
        for name in ("cells", "gates"):
            a, b = getattr(got[2][d], name), getattr(expected[2][d], name)
            assert (a is None) == (b is None), name
            if b is not None:
                assert_close(a, b, (name, d), room)
        assert sweep.reverse == (d == 1)
    gradients = call.gradients(wanted)
    found = call.backward(got[0], got[2], gradients, kernels, needs_x)
    right = call.backward(expected[0], expected[2], gradients, reference, needs_x)
    assert (found[0] is None) == (not needs_x)
    found, right = gradients_by_key(*found), gradients_by_key(*right)
    assert found.keys() == right.keys()
    for key, array in right.items():
        assert_close(found[key], array, key, room)


BOTH = (np.float32, np.float64)
LONG = [240, 235, 235, 190, 170, 170, 150, 150, 150, 90, 40, 3, 0]


@settings(max_examples=150, deadline=None)
@given(calls(BOTH, st.integers(1, 40)), st.sampled_from(WANTED), st.booleans())
def test_backend_equals_the_reference(call, wanted, needs_x):
    check_equal(call, wanted, needs_x=needs_x)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize(
    ("T", "B", "H", "D"),
    [
        (1, 1, 1, 1), (1, 1, 16, 2), (1, 3, 17, 2), (7, 1, 64, 1), (3, 33, 31, 2), (2, 5, 130, 1), (20, 7, 48, 1),
        (20, 1, 115, 1), (20, 3, 115, 2),
    ],
)  # fmt: skip
def test_backend_equals_the_reference_at_sizes_of_its_own(instruction_set, mode, dtype, T, B, H, D):
    check_equal(Call(mode, [T] * B, I=H + 3, H=H, D=D, dtype=dtype, seed=H), WANTED[-1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("option", [*OPTIONS, *LSTM_OPTIONS, "zoneout_h=0.3", "zoneout_c=0.3"])
def test_backend_equals_the_reference_with_one_option(mode, option):
    """At sizes with whole panels, which plain cells would take if the option were overlooked."""
    if option in (*LSTM_OPTIONS, "zoneout_c=0.3") and mode != "LSTM":
        pytest.skip("an option of the LSTM")
    check_equal(Call(mode, [4, 4, 2], H=70, D=2, dtype=np.float32, options=[option]), WANTED[-1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("with_options", [False, True])
@pytest.mark.parametrize("D", [1, 2])
def test_backward_over_several_chunks_of_steps(instruction_set, mode, with_options, D):
    """So many rows that gradients of weights are found chunk by chunk; chunks of unequal steps, in either direction."""
    lengths = LONG * (2 if mode.startswith("RNN") else 1)  # whose rows are shorter
    lengths.sort(reverse=True)
    options = [*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else [])] if with_options else []
    without = ("weight_ih", "bias_hh") if with_options else ()
    check_equal(Call(mode, lengths, H=130, D=D, options=options, without=without), WANTED[-1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", BOTH)
def test_a_forward_that_saves_nothing_gives_the_same(mode, dtype):
    for lengths in ([6] * 4, [6, 5, 2, 2, 0]):
        call = Call(mode, lengths, H=21, D=2, dtype=dtype)
        output, finals, saved = call.forward(cpu, save=False)
        expected, expected_finals, _ = call.forward(cpu)
        assert saved == [None, None]
        assert_close(output, expected)
        for a, b in zip(finals, expected_finals):
            for one, other in zip(a, b, strict=True):
                assert_close(one, other)


@pytest.mark.parametrize("mode", MODES)
def test_no_row_at_all(mode):
    for wanted in WANTED:
        check_equal(Call(mode, [0, 0], D=2), wanted)


def laid_out(a, layout):
    """The same numbers in another place: what else lies there is NaN."""
    if layout == "Fortran":
        return np.asfortranarray(a)
    if layout == "read-only":
        a = a.copy()
        a.flags.writeable = False
        return a
    if layout == "rows backwards":
        return a[::-1].copy()[::-1]
    wide = np.full([2 * n + 1 for n in a.shape], np.nan, a.dtype)
    view = wide[tuple([slice(1, None, 2)] * a.ndim)] if layout == "every other" else wide[tuple([slice(n) for n in a.shape])]
    view[...] = a
    return view


LAYOUTS = ["Fortran", "read-only", "rows backwards", "every other", "part of a wider array"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(mode, dtype, layout):
    options = [*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else [])]
    for names in ([], options):
        call = Call(mode, [4, 4, 2, 0], H=19, D=2, options=names, dtype=dtype)
        for key, array in call.arrays().items():
            check_equal(call.replaced(key, laid_out(array, layout)), WANTED[-1])
        for field in ("recurrent_mask", "zoneout_h", "zoneout_c"):
            if (mask := getattr(call.sweeps[1], field)) is not None:
                check_equal(call.replaced((1, field), laid_out(mask, layout)), WANTED[-1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_in_any_layout(mode, layout):
    call = Call(mode, [4, 4, 2, 0], H=19, D=2)
    output, _, saved = call.forward(cpu)
    grad_output, grad_finals, grad_cells = call.gradients()
    laid = (
        laid_out(grad_output, layout),
        [tuple(laid_out(g, layout) for g in each) for each in grad_finals],
        [None if g is None else laid_out(g, layout) for g in grad_cells],
    )
    expected = gradients_by_key(*call.backward(output, saved, (grad_output, grad_finals, grad_cells), cpu))
    for key, array in gradients_by_key(*call.backward(output, saved, laid, cpu)).items():
        assert_close(array, expected[key], key)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", BOTH)
def test_arguments_are_kept_and_results_share_no_memory(mode, dtype):
    options = [*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else [])]
    for names in ([], options):
        call = Call(mode, [4, 3, 0], H=18, D=2, options=names, dtype=dtype)
        before = {key: array.copy() for key, array in call.arrays().items()}
        output, finals, saved = call.forward(cpu)
        kept = [np.copy(output), *[np.copy(s.gates) for s in saved if s.gates is not None]]
        gradients = call.gradients()
        results = gradients_by_key(*call.backward(output, saved, gradients, cpu))
        again = gradients_by_key(*call.backward(output, saved, gradients, cpu))  # retain_graph: a second time the same
        for key, array in results.items():
            np.testing.assert_array_equal(array, again[key])
        for key, array in call.arrays().items():
            np.testing.assert_array_equal(array, before[key])
        for a, b in zip([output, *[s.gates for s in saved if s.gates is not None]], kept):
            np.testing.assert_array_equal(a, b)
        given = [*call.arrays().values(), gradients[0], *[g for each in gradients[1] for g in each]]
        public = [output, *[f for each in finals for f in each]]
        public += [each for s in saved for each in (s.cells, s.gates) if each is not None]
        for results_of_one in (public, list(results.values())):
            for number, array in enumerate(results_of_one):
                assert array.flags.writeable
                assert not any(np.shares_memory(array, other) for other in [*given, *results_of_one[:number]])


@pytest.mark.parametrize("mode", MODES)
def test_a_sequence_does_not_see_the_others(mode):
    """NaN in one row of the batch stays in its row."""
    call = Call(mode, [3, 3, 3], H=20, D=2)
    clean = call.forward(cpu)[0].reshape(3, 3, -1)
    x = call.x.copy().reshape(3, 3, -1)
    x[1, 1] = np.nan
    call.x = x.reshape(9, -1)
    output = call.forward(cpu)[0].reshape(3, 3, -1)
    np.testing.assert_array_equal(output[:, [0, 2]], clean[:, [0, 2]])
    assert np.isnan(output[1, 1]).any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [30.0, 1e3, 1e30])
def test_saturated_gates_give_the_limits(mode, size):
    for dtype in BOTH:
        call = Call(mode, [3, 3], H=18, dtype=dtype)
        call.x *= dtype(size)
        assert_close(call.forward(cpu)[0], call.forward(reference)[0])


@pytest.mark.parametrize("mode", MODES)
def test_half_precision_and_subclasses_are_the_reference_s(mode):
    call = Call(mode, [3, 2], dtype=np.float16)
    output, finals, saved = call.forward(backend(call.x))
    expected, expected_finals, _ = call.forward(reference)
    assert output.dtype == np.float16
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(finals[0][0], expected_finals[0][0])
    grad_x, _ = call.backward(output, saved, call.gradients(), backend(call.x))
    assert grad_x.dtype == np.float16 and np.isfinite(grad_x).all()


# ---- bits, shapes and types ----------------------------------------------------------------------------------------


def results_of(call):
    """All that forward and backward give."""
    output, finals, saved = call.forward(cpu)
    grads = gradients_by_key(*call.backward(output, saved, call.gradients(), cpu))
    return [output, *[state for each in finals for state in each], *grads.values()]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(10))
def test_the_same_bits_for_any_number_of_threads(instruction_set, mode, seed):
    """Large enough for a team: groups of rows, units shared out, directions apart, ragged and dense, down to a row each."""
    rng = np.random.default_rng(seed)
    before = tinyrnn.get_num_threads()
    B, T = int(rng.integers(1, 40)) if seed < 6 else seed - 5, int(rng.integers(10, 25))
    ragged = seed in (1, 3, 5)
    lengths = sorted(rng.integers(0, T + 1, B).tolist(), reverse=True) if ragged else [T] * B
    lengths[0] = T
    options = [name for name in (*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else ())) if seed and rng.random() < 0.3]
    H, D = int(rng.integers(20, 81)), 1 + seed % 3 // 2
    call = Call(mode, lengths, I=48, H=H, D=D, options=options, dtype=np.float32, seed=seed)
    try:
        tinyrnn.set_num_threads(1)
        expected = results_of(call)
        for threads in (2, 3, 4):
            tinyrnn.set_num_threads(threads)
            for got, right in zip(results_of(call), expected, strict=True):
                np.testing.assert_array_equal(got, right)
    finally:
        tinyrnn.set_num_threads(before)


@pytest.mark.parametrize(
    "call",
    [
        Call("LSTM", [9] * 22, H=70, options=["norm_h", "norm_c"], dtype=np.float32),
        Call("LSTM", LONG, H=130, D=2),
        Call("GRU_RESET_BEFORE", LONG, H=130, options=["norm_h"]),
    ],
)
def test_norms_and_chunks_have_the_same_bits_for_any_number_of_threads(call):
    before = tinyrnn.get_num_threads()
    try:
        tinyrnn.set_num_threads(1)
        expected = results_of(call)
        tinyrnn.set_num_threads(3)
        for got, right in zip(results_of(call), expected, strict=True):
            np.testing.assert_array_equal(got, right)
    finally:
        tinyrnn.set_num_threads(before)


@pytest.mark.parametrize("field", ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "h_0"])
def test_arrays_of_wrong_shapes_are_refused_or_broadcast_as_in_the_reference(field):
    for shape in ((1,), (2, 3), (30, 1)):
        call = Call("GRU", [3, 2], H=10)
        call.sweeps = [call.sweeps[0]._replace(**{field: np.ones(shape)})]
        try:
            expected = call.forward(reference)[0]
        except (ValueError, IndexError) as error:
            with pytest.raises(type(error)):
                call.forward(cpu)
        else:
            assert_close(call.forward(cpu)[0], expected)


@pytest.mark.parametrize("which", [0, 1])
def test_a_gradient_of_another_type_is_refused(which):
    layer = tinyrnn.nn.LSTM(3, 5)
    output, (_, c) = layer(tinyrnn.randn(4, 2, 3))
    (output, c)[which].register_hook(lambda grad: grad.double())
    with pytest.raises(TypeError, match="expected float32"):
        (output.sum() + c.sum()).backward()


def test_nan_comes_back_the_same_way():
    call = Call("RNN_RELU", [3, 3], H=4, dtype=np.float64)
    call.x[2] = np.nan
    got, expected = call.forward(cpu), call.forward(reference)
    gradients = call.gradients()
    found = gradients_by_key(*call.backward(got[0], got[2], gradients, cpu))
    right = gradients_by_key(*call.backward(expected[0], expected[2], gradients, reference))
    for key, array in right.items():
        np.testing.assert_allclose(found[key], array, atol=1e-9)


def test_a_member_whose_sequences_ended_early_goes_over_the_others_steps():
    """One long sequence and seven short ones, on a team: the steps without rows of its own are skipped, none is run twice."""
    call = Call("LSTM", [3000, *[20] * 7], I=2, H=48, D=2, dtype=np.float32)
    before = tinyrnn.get_num_threads()
    try:
        for threads in (1, 2, 4):
            tinyrnn.set_num_threads(threads)
            check_equal(call, WANTED[-1])
    finally:
        tinyrnn.set_num_threads(before)
