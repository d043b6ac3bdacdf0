"""What is launched, where and when: the order on streams, the GPU, and the code that is compiled."""

from __future__ import annotations

import shutil
import types

import fake_cuda
import numpy as np
import pytest
from on_gpu import there
from sweep_cases import Call

from tinyrnn.kernels.gpu import launch, loader, recurrent
from tinyrnn.kernels.sweeps import MODES


def test_a_sweep_waits_for_the_last_use_of_its_structs(cuda, monkeypatch):
    """Two sweeps of one size on two streams: the second must not write to the structs before the first has read them."""
    cupy = loader.cupy()
    if cupy.__name__ != "fake_cupy":
        pytest.skip("there is a GPU")
    recurrent._replays.cache_clear()  # so that graphs are captured here, of kernels that nobody has launched
    launch._kernels.cache_clear()
    call = Call("LSTM", (9, 9), I=3, H=5)
    x, sweeps = there((call.x, call.sweeps))
    told = []
    monkeypatch.setattr(fake_cuda, "note", lambda what, stream, more=None: told.append((what, stream, more)))
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(2)]
    for stream in streams:
        with stream:
            recurrent.recurrent_forward("LSTM", x, call.batch_sizes, sweeps, False)

    step = [("launch", "step_fused<double, 2>"), ("launch", "advance<double>")]
    nine_steps = [("set", None), ("graph", None), ("graph", None), *step, ("record", None)]
    events = [more for what, _, more in told if what == "record"]
    shown = [(what, None if what == "record" else more) for what, _, more in told]
    begin = [*step, ("record", None)]  # of no steps, so that the kernels are loaded
    assert shown == [*begin, ("wait", events[0]), *nine_steps, ("wait", events[1]), *nine_steps]
    second = told.index(("wait", streams[1], events[1]))
    assert [stream for _, stream, _ in told] == [streams[0]] * second + [streams[1]] * (len(told) - second)


@pytest.mark.parametrize("mode", MODES)
def test_graphs_are_captured_of_kernels_that_are_loaded(cuda, mode):
    recurrent._replays.cache_clear()
    launch._kernels.cache_clear()
    call = Call(mode, (4, 4), I=3, H=5, options=("norm_h", "weight_hr", "norm_c") if mode == "LSTM" else ("norm_h",))
    x, sweeps = there((call.x, call.sweeps))
    output, _, saved = recurrent.recurrent_forward(mode, x, call.batch_sizes, sweeps, True)
    recurrent.recurrent_backward(mode, *there(call.gradients()), x, call.batch_sizes, sweeps, output, saved, True)


def adam(kernels, array):
    kernels.adam_step(*[[array()] for _ in range(4)], None, 1, 0.1, 0.9, 0.99, 1e-8, 0.0, False, False)


def lstm(kernels, array):
    call = Call("LSTM", (2, 2), I=3, H=5)
    x, sweeps = there((call.x, call.sweeps))
    sweeps[0] = sweeps[0]._replace(bias_ih=array())
    kernels.recurrent_forward("LSTM", x, call.batch_sizes, sweeps, False)


ELSEWHERE = {
    "softmax": lambda kernels, array: kernels.softmax_forward(array(), 0),
    "embedding": lambda kernels, array: kernels.sum_segments(array().reshape(4, 5), there(np.arange(2))),
    "dropout": lambda kernels, array: kernels.dropout_forward(array(), 0.5, 1, 1),
    "norm": lambda kernels, array: kernels.global_norm([array()]),
    "scale": lambda kernels, array: kernels.scale_inplace([array()], 2.0),
    "adam": adam,
    "lstm": lstm,
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_arrays_of_another_gpu_are_refused(cuda, name):
    from tinyrnn.kernels.gpu import kernels

    if loader.cupy().cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is one GPU")
    ELSEWHERE[name](kernels, lambda: loader.moved(np.ones(20), 0))
    with pytest.raises(
        RuntimeError, match=r"a tensor lies on cuda:1, but the current GPU is cuda:0; call tinyrnn.cuda.set_dev"
    ):
        ELSEWHERE[name](kernels, lambda: loader.moved(np.ones(20), 1))


def test_code_that_is_compiled_changes_with_the_headers(cuda, monkeypatch, tmp_path):
    """CuPy keeps what it compiled by the code it is given, which does not change with what that includes."""
    folder = tmp_path / "gpu"
    shutil.copytree(launch.FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(launch.FOLDER.parent / "cells.h", tmp_path)
    codes = []

    def module(code, options, name_expressions):
        codes.append(code)
        return types.SimpleNamespace(get_function=lambda name: None)

    monkeypatch.setattr(launch, "FOLDER", folder)
    monkeypatch.setattr(loader.cupy(), "RawModule", module)
    monkeypatch.setattr(launch, "_headers", launch._headers.__wrapped__)
    headers = [*sorted(folder.glob("*.cuh")), tmp_path / "cells.h"]
    for changed in (None, *headers, folder / "softmax.cu", None):
        if changed:
            changed.write_text(f"{changed.read_text()}\n")
        launch._kernels.__wrapped__("softmax.cu", ("softmax_forward<float>",), 0)
    assert len(headers) > 3 and len(set(codes)) == len(codes) - 1 and codes[-1] == codes[-2]
