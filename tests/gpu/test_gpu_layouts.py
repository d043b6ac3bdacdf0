"""Arrays that lie otherwise than kernels take them: transposed, with gaps, or from an odd element of a larger one."""

from __future__ import annotations

import numpy as np
import pytest
from on_gpu import assert_close, back, mapped, there
from sweep_cases import OPTIONS, Call

from tinyrnn.kernels import reference
from tinyrnn.kernels.gpu import loader, tf32
from tinyrnn.kernels.sweeps import MODES


@pytest.fixture
def kernels(cuda):
    from tinyrnn.kernels.gpu import kernels

    return kernels


def transposed(x):
    return np.asfortranarray(x) if x.ndim == 2 else x


NUMBERS = {"sgd_step": (0.1, 0.9, 0.0, 0.1, True, False), "adam_step": (3, 0.1, 0.9, 0.99, 1e-8, 0.1, False, False)}


@pytest.mark.parametrize("layout", ["transposed", "every second column"])
@pytest.mark.parametrize("name, count", [("scale_inplace", 1), ("sgd_step", 3), ("adam_step", 5)])
def test_optimizer_steps_in_any_layout(kernels, rng, name, count, layout):
    """Of one kind of array at a time: parameters, gradients, or what the optimizer keeps."""
    numbers = NUMBERS.get(name, (0.25,))
    for odd in range(count):
        lists = [[abs(rng.normal(size=(4, 6))), abs(rng.normal(size=3))] for _ in range(count)]
        ours = there(lists)
        x = lists[odd][0]
        ours[odd][0] = there(transposed(x)) if layout == "transposed" else there(np.repeat(x, 2, axis=1))[:, ::2]
        assert not ours[odd][0].flags.c_contiguous
        getattr(kernels, name)(*ours, *numbers)
        getattr(reference, name)(*lists, *numbers)
        assert_close(back(ours), lists, 1e-12, str(odd))


@pytest.mark.parametrize("mode", MODES)
def test_one_step_with_arrays_that_are_transposed(kernels, mode):
    call = Call(mode, (1,) * 5, I=4, H=6)
    names = ("h_0", "c_0") if mode == "LSTM" else ("h_0",)
    states = tuple(getattr(call.sweeps[0], name)[None] for name in names)
    weights = [tuple(transposed(each) for each in call.sweeps[0][:4])]
    ours = kernels.recurrent_step(mode, *there((transposed(call.x), states, weights)))
    assert_close(back(ours), reference.recurrent_step(mode, call.x, states, weights), 1e-12)


def from_the_second_element(x):
    """An array on the GPU that lies there within another, from its second element on: not at a multiple of 16 bytes."""
    if not isinstance(x, np.ndarray):
        return x
    flat = x.reshape(-1)
    return loader.cupy().asarray(np.concatenate([flat[:1], flat, flat[:1]]))[1:-1].reshape(x.shape)


@pytest.fixture(params=["float16", "bfloat16", "tf32"])
def dtype(request, monkeypatch):
    """Of numbers that are multiplied on tensor cores."""
    monkeypatch.setitem(tf32.allowed, "recurrent", request.param == "tf32")
    return {"float16": np.float16, "tf32": np.float32}.get(request.param) or pytest.importorskip("ml_dtypes").bfloat16


def test_arrays_that_are_parts_of_others(kernels, dtype):
    """Rows of whole shares of 16 bytes, which may be read as such only where they begin at a multiple of 16 bytes.

    The input is projected before the sweep: that is cuBLAS's, which may add up in another order where it finds them.
    """
    call = Call("GRU", (3, 3, 2), I=8, H=16, options=OPTIONS[1:], without=("weight_ih",), dtype=dtype)
    weight_ih, bias_ih = call.draw(48, 8, scale=0.3), call.draw(48)
    stack = (
        call.draw(3, 8),
        (call.sweeps[0].h_0[None],),
        [(weight_ih, call.sweeps[0].weight_hh, bias_ih, call.sweeps[0].bias_hh)],
    )

    def run(place):
        x, sweeps = mapped((call.x, call.sweeps), place)
        gradients = mapped(call.gradients(), place)
        output, finals, saved = kernels.recurrent_forward("GRU", x, call.batch_sizes, sweeps, True)
        back_through = kernels.recurrent_backward("GRU", *gradients, x, call.batch_sizes, sweeps, output, saved, True)
        return back((output, finals, back_through, kernels.recurrent_step("GRU", *mapped(stack, place))))

    assert_close(run(from_the_second_element), run(there), 0)


def in_float64(value):
    return mapped(value, lambda x: x.astype(np.float64) if isinstance(x, np.ndarray) else x)


def test_rows_that_are_whole_shares_apart_by_what_is_not(kernels, dtype):
    """A product over the gates r and z, two of three: 16 bytes of every 24."""
    call = Call("GRU_RESET_BEFORE", (2, 2, 1), I=3, H=8 // np.dtype(dtype).itemsize, dtype=dtype)
    gradients = call.gradients()
    x, sweeps = there((call.x, call.sweeps))
    output, _, saved = kernels.recurrent_forward(call.mode, x, call.batch_sizes, sweeps, True)
    got = kernels.recurrent_backward(call.mode, *there(gradients), x, call.batch_sizes, sweeps, output, saved, True)

    call.x, call.sweeps = in_float64((call.x, call.sweeps))
    output, _, saved = call.forward()
    assert_close(in_float64(back(got)), call.backward(output, saved, in_float64(gradients)), 5e-2)
