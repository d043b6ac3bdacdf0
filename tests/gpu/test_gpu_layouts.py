"""Arrays that lie otherwise than kernels take them: transposed, or from an odd element of a larger one."""

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


@pytest.mark.parametrize("name, count", [("scale_inplace", 1), ("sgd_step", 3), ("adam_step", 5)])
def test_what_is_written_to_may_be_transposed(kernels, rng, name, count):
    """One kind of array at a time: parameters, gradients, or what the optimizer keeps."""
    for odd in range(count):
        lists = [[abs(rng.normal(size=(4, 6))), abs(rng.normal(size=3))] for _ in range(count)]
        lists[odd] = [transposed(x) for x in lists[odd]]
        ours = there(lists)
        assert not ours[odd][0].flags.c_contiguous
        numbers = NUMBERS.get(name, (0.25,))
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
    """An array on the GPU that begins there in the memory of another: not at a multiple of 16 bytes."""
    if not isinstance(x, np.ndarray):
        return x
    return loader.cupy().asarray(np.concatenate([x.reshape(-1)[:1], x.reshape(-1)]))[1:].reshape(x.shape)


@pytest.mark.parametrize("numbers", ["float16", "bfloat16", "tf32"])
def test_arrays_that_are_parts_of_others(kernels, monkeypatch, numbers):
    """Rows of whole shares of 16 bytes, which may be read as such only where they begin at a multiple of 16 bytes."""
    monkeypatch.setitem(tf32.allowed, "recurrent", numbers == "tf32")
    dtype = {"float16": np.float16, "tf32": np.float32}.get(numbers) or pytest.importorskip("ml_dtypes").bfloat16
    call = Call("GRU", (3, 3, 2), I=8, H=16, options=OPTIONS[1:], dtype=dtype)
    stack = call.x, (call.sweeps[0].h_0[None],), [call.sweeps[0][:4]]
    stack = (call.draw(3, 8), *stack[1:])

    def run(place):
        x, sweeps = mapped((call.x, call.sweeps), place)
        gradients = mapped(call.gradients(), place)
        output, finals, saved = kernels.recurrent_forward("GRU", x, call.batch_sizes, sweeps, True)
        back_through = kernels.recurrent_backward("GRU", *gradients, x, call.batch_sizes, sweeps, output, saved, True)
        return back((output, finals, back_through, kernels.recurrent_step("GRU", *mapped(stack, place))))

    assert_close(run(from_the_second_element), run(there), 0)
