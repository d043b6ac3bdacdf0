"""The sweep of the GPU equals the reference, with every option and every gradient: on a GPU, or in cuda_on_cpu.h."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from on_gpu import ROUNDING, assert_close, assert_close_but_for_rounding, back, in_float64, leaves, there
from sweep_cases import LSTM_OPTIONS, OPTIONS, Call, arrays_of, calls

from tinyrnn.kernels import reference
from tinyrnn.kernels.gpu import tf32
from tinyrnn.kernels.sweeps import MODES

NUMBERS = ("zoneout_h=0.3", "zoneout_c=0.2")


@pytest.fixture
def sweeps(cuda):
    from tinyrnn.kernels.gpu import recurrent

    return recurrent


def check(sweeps, call, tolerance=1e-9):
    expected = call.forward()
    moved = there((call.x, call.sweeps))
    got = sweeps.recurrent_forward(call.mode, moved[0], call.batch_sizes, moved[1], True)
    visible = [saved._replace(extra=None) for saved in expected[2]]
    assert_close(back((got[0], got[1], [saved._replace(extra=None) for saved in got[2]])), (*expected[:2], visible), tolerance)
    without = sweeps.recurrent_forward(call.mode, moved[0], call.batch_sizes, moved[1], False)
    assert_close(back(without), (*expected[:2], [None] * len(call.sweeps)), tolerance)

    gradients = call.gradients()
    arguments = call.batch_sizes, call.sweeps, expected[0], expected[2], True
    theirs = reference.recurrent_backward(call.mode, *gradients, call.x, *arguments)
    ours = sweeps.recurrent_backward(call.mode, *there(gradients), moved[0], call.batch_sizes, moved[1], got[0], got[2], True)
    assert_close(back(ours), theirs, tolerance)
    assert_close(back(moved), (call.x, call.sweeps), 0, "arguments")


@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_plain(sweeps, mode, D):
    check(sweeps, Call(mode, (7, 5, 5, 2, 0), I=3, H=11, D=D))


@pytest.mark.parametrize("option", [*OPTIONS, *LSTM_OPTIONS, *NUMBERS])
@pytest.mark.parametrize("mode", MODES)
def test_one_option(sweeps, mode, option):
    if option.partition("=")[0] in LSTM_OPTIONS and mode != "LSTM":
        pytest.skip("an option of the LSTM")
    check(sweeps, Call(mode, (4, 4, 3, 1), I=3, H=9, options=(option,)))


@pytest.mark.parametrize("mode", MODES)
def test_all_options_together(sweeps, mode):
    options = (*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else ()))
    check(sweeps, Call(mode, (5, 3, 3, 1, 0), I=3, H=10, D=2, options=options))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=calls())
def test_random_calls(sweeps, call):
    check(sweeps, call)


@pytest.mark.parametrize("mode", MODES)
def test_more_steps_than_one_graph_and_more_rows_and_units_than_one_block(sweeps, mode):
    """64 + 16 + 4 + 4 + 1 steps; a second call finds the graphs and the struct of the first."""
    lengths = [89] * 3 + list(range(88, 70, -1))
    for seed in (0, 1):
        check(sweeps, Call(mode, lengths, I=2, H=19, seed=seed), tolerance=1e-8)


def narrow_type(numbers):
    if numbers == "bfloat16":
        return pytest.importorskip("ml_dtypes").bfloat16
    return np.float16 if numbers == "float16" else np.float32


@pytest.mark.parametrize("with_options", [False, True], ids=["plain", "options"])
@pytest.mark.parametrize("H", [7, 40], ids=lambda H: f"H{H}")  # in shares of 16 bytes, which are whole or not
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("numbers", ROUNDING)
def test_narrower_numbers(sweeps, monkeypatch, numbers, mode, H, with_options):
    """They are stored, and computed with in float32: the results are nearly those of float64 on the same numbers."""
    monkeypatch.setitem(tf32.allowed, "recurrent", numbers == "tf32")
    options = (*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else ())) if with_options else ()
    narrow = Call(mode, (4,) * 17 + (3, 2), I=5, H=H, options=options, dtype=narrow_type(numbers))
    given = narrow.x, narrow.sweeps, narrow.gradients()

    def run(kernels, x, own, gradients):
        output, finals, saved = kernels.recurrent_forward(mode, x, narrow.batch_sizes, own, True)
        if mode == "RNN_RELU":  # whose gradients are others where a unit rounds to 0
            return output, finals
        return output, finals, *kernels.recurrent_backward(mode, *gradients, x, narrow.batch_sizes, own, output, saved, True)

    results = back(run(sweeps, *there(given)))
    assert {each.dtype for each in leaves(results)} == {narrow.x.dtype}
    assert_close_but_for_rounding(results, lambda *given: run(reference, *given), given, ROUNDING[numbers])


def test_products_of_float32_are_rounded_only_where_that_is_allowed(sweeps, monkeypatch):
    call = Call("LSTM", (6, 6, 4), I=20, H=20, dtype=np.float32)
    moved = there((call.x, call.sweeps))
    exact = Call("LSTM", (6, 6, 4), I=20, H=20, dtype=np.float32)
    exact.x, exact.sweeps = in_float64(call.x), in_float64(call.sweeps)
    errors = {}
    for allowed in (True, False):
        monkeypatch.setitem(tf32.allowed, "recurrent", allowed)
        output = back(sweeps.recurrent_forward("LSTM", moved[0], call.batch_sizes, moved[1], False)[0])
        errors[allowed] = np.abs(output - exact.forward()[0]).max()
    assert errors[False] < 1e-6 < 1e-5 < errors[True] < 1e-2


@pytest.mark.parametrize("mode", MODES)
def test_no_two_gradients_are_one_array(sweeps, mode):
    """Each becomes somebody's, who may clip it in place."""
    call = Call(mode, (4, 3, 2), I=3, H=5, options=(*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else ())))
    moved = there((call.x, call.sweeps))
    output, _, saved = sweeps.recurrent_forward(mode, moved[0], call.batch_sizes, moved[1], True)
    gradients = there(call.gradients())
    grad_x, grads = sweeps.recurrent_backward(mode, *gradients, moved[0], call.batch_sizes, moved[1], output, saved, True)
    places = [each.data.ptr for each in (grad_x, *arrays_of(grads[0]).values())]
    assert len(set(places)) == len(places) > 6


@pytest.mark.parametrize("mode", MODES)
def test_missing_gradients_are_zeros(sweeps, mode):
    call = Call(mode, (4, 3, 2), I=3, H=5)
    moved = there((call.x, call.sweeps))
    expected, got = call.forward(), sweeps.recurrent_forward(mode, moved[0], call.batch_sizes, moved[1], True)
    finals = call.gradients()[1]
    for gradients in ((None, finals, [None]), (None, [(None,) * len(finals[0])], [None])):
        theirs = reference.recurrent_backward(
            mode, *gradients, call.x, call.batch_sizes, call.sweeps, expected[0], expected[2], False
        )
        ours = sweeps.recurrent_backward(mode, *there(gradients), moved[0], call.batch_sizes, moved[1], got[0], got[2], False)
        assert_close(back(ours), theirs, 1e-9)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "layout", [lambda x: np.broadcast_to(x[:1], x.shape), lambda x: np.asfortranarray(x)], ids=["row", "F"]
)
def test_states_and_gradients_in_any_layout(sweeps, mode, layout):
    call = Call(mode, (4, 3, 2), I=3, H=5)
    names = ("h_0", "c_0") if mode == "LSTM" else ("h_0",)
    call.sweeps = [sweep._replace(**{name: layout(getattr(sweep, name)) for name in names}) for sweep in call.sweeps]
    finals = [tuple(layout(each) for each in own) for own in call.gradients()[1]]
    call.gradients = lambda: (None, finals, [None])
    check(sweeps, call)


@pytest.mark.parametrize("absent", [(), (2, 3), (3,)], ids=["", "no bias", "single bias"])
@pytest.mark.parametrize("numbers", ["float64", *ROUNDING])
@pytest.mark.parametrize("mode", MODES)
def test_one_step_of_a_stack(cuda, monkeypatch, mode, numbers, absent):
    from tinyrnn.kernels.gpu.recurrent_step import recurrent_step

    monkeypatch.setitem(tf32.allowed, "recurrent", numbers == "tf32")
    dtype = np.float64 if numbers == "float64" else narrow_type(numbers)
    layers = [Call(mode, (1,) * 18, I=12 if layer == 0 else 9, H=9, dtype=dtype, seed=layer) for layer in range(3)]
    names = ("h_0", "c_0") if mode == "LSTM" else ("h_0",)
    states = tuple(np.stack([getattr(call.sweeps[0], name) for call in layers]) for name in names)
    weights = [tuple(None if i in absent else each for i, each in enumerate(call.sweeps[0][:4])) for call in layers]
    given = layers[0].x, states, weights
    ours = back(recurrent_step(mode, *there(given)))
    assert {each.dtype for each in leaves(ours)} == {np.dtype(dtype)}
    rounding = ROUNDING.get(numbers, 2**-53)
    assert_close_but_for_rounding(ours, lambda *given: reference.recurrent_step(mode, *given), given, rounding)
