"""The stand-in for CUDA finds in a kernel what would go wrong on a GPU, and says so as an error of the launch."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tinyrnn.kernels.gpu import loader


@pytest.fixture
def cupy(cuda):
    if loader.cupy().__name__ != "fake_cupy":
        pytest.skip("there is a GPU")
    return loader.cupy()


def launched(cupy, body, *arrays, parameters, grid=(2,), block=(128,)):
    """Launches a kernel, of its body and parameters, on arrays."""
    code = f"__global__ void kernel({parameters}) {{ const int t = threadIdx.x; {body} }}"
    cupy.RawModule(code=code, name_expressions=("kernel",)).get_function("kernel")(grid, block, arrays)


@pytest.mark.parametrize("missing", ["", "first", "last"])
def test_a_missing_barrier_gives_wrong_numbers(cupy, missing):
    """Every thread reads what one of another warp has written, twice."""
    barriers = ["" if missing == name else "__syncthreads();" for name in ("first", "last")]
    once = f"shared[t] = x[t] + k; {barriers[0]} sum += shared[(t + 40) % 128]; {barriers[1]}"
    body = (
        f"__shared__ float shared[128]; float sum = 0; for (int k = 0; k < 2; k++) {{ {once} }} y[blockIdx.x * 128 + t] = sum;"
    )
    x, right = np.arange(128, dtype=np.float32), []
    for _ in range(4):
        y = cupy.empty((2, 128), np.float32)
        launched(cupy, body, cupy.asarray(x), y, parameters="const float *x, float *y")
        right.append(np.array_equal(y.get(), np.tile(2 * np.roll(x, -40) + 1, (2, 1))))
    assert all(right) if not missing else not all(right)


@pytest.mark.parametrize("body", ["x[t + 1] = 1;", "y[t] = x[t + 1];", "y[t] = x[t + 5000];"], ids=["write", "read", "far"])
def test_an_address_beyond_an_array(cupy, body):
    x, y = cupy.zeros(128, np.float32), cupy.zeros(128, np.float32)
    with pytest.raises(RuntimeError, match=r"^kernel: thread \(\d+, 0, 0\) reads or writes where no array lies, in block \(\d"):
        launched(cupy, body, x, y, parameters="float *x, float *y")
    launched(cupy, "y[t] = 1;", x, y, parameters="float *x, float *y")  # the next one is none the worse for it
    assert (y.get() == 1).all()


def test_an_address_that_is_not_aligned(cupy):
    x, y = cupy.zeros(132, np.float32), cupy.zeros(128, np.float32)
    body = "struct alignas(16) Four { float at[4]; }; if (t < 32) *(Four *)(y + 4 * t) = *(const Four *)(x + 4 * t);"
    launched(cupy, body, x, y, parameters="const float *x, float *y")
    with pytest.raises(RuntimeError, match=r"reads or writes what is not aligned"):
        launched(cupy, body, x[1:129], y, parameters="const float *x, float *y")


def test_a_barrier_that_some_threads_never_reach(cupy):
    x = cupy.zeros(128, np.float32)
    with pytest.raises(RuntimeError, match=r"kernel: threads wait at a barrier that others never reach, in block"):
        launched(
            cupy, "if (t < 40) __syncthreads(); else __syncwarp();" * 2 + "x[t] = 1;", x, parameters="float *x", block=(64,)
        )
        launched(cupy, "while (t == 3) __syncthreads(); __syncwarp();", x, parameters="float *x")
    with pytest.raises(RuntimeError, match=r"more than 1024 threads"):
        launched(cupy, "", x, parameters="float *x", block=(32, 33))


def test_what_nobody_wrote_is_nan(cupy):
    for dtype in (np.float64, np.float32, np.float16):
        assert np.isnan(cupy.empty((3, 2), dtype).get()).all()


def test_memory_is_shared_by_views_and_copied_from_outside(cupy):
    host = np.arange(6.0).reshape(2, 3)
    x = cupy.asarray(host)
    view = x.T[1:]
    view[...] = -1
    assert (x.get() == [[0, -1, -1], [3, -1, -1]]).all() and host[0, 1] == 1
    assert (x.T + 1).strides == (x.get().T + 1).strides
    pair = np.linalg.qr(x)  # a named tuple, which goes in as it comes out
    assert type(cupy._inside(pair)) is type(pair) and isinstance(cupy._inside(pair).R, np.ndarray)


def test_copies_lie_on_the_current_gpu(cupy):
    x = cupy.ones(3)
    with cupy.cuda.Device(1):
        copy = cupy.array(x)
        assert copy[1:].device.id == cupy.empty(2).device.id == 1
    copy[0] = 5
    assert x.device.id == cupy.empty(2).device.id == 0 and x[0] == 1


def test_a_graph_takes_no_memory_and_loads_no_kernel(cupy):
    module = cupy.RawModule(code="__global__ void one(float *x) { *x = 1; }", name_expressions=("one",))
    x, one = cupy.zeros(1, np.float32), module.get_function("one")
    for refused, message in [
        (lambda: cupy.empty(3), "memory is taken while a graph is captured"),
        (lambda: x + 1, "memory is taken while a graph is captured"),
        (lambda: x.set(np.ones(1)), "written to from outside while a graph is captured"),
        (lambda: one((1,), (1,), (x,)), "one: loaded while a graph is captured"),
    ]:
        with cupy.cuda.Stream(non_blocking=True) as stream:
            stream.begin_capture()
            with pytest.raises(RuntimeError, match=re.escape(message)):
                refused()
            stream.end_capture()
    with cupy.cuda.Stream() as stream, pytest.raises(RuntimeError, match="a stream that others wait for"):
        stream.begin_capture()
    one((1,), (1,), (x,))
    x.set(np.zeros(1))
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        one((1,), (1,), (x,))
        graph = stream.end_capture()
    assert x.item() == 0
    graph.launch(stream)
    assert x.item() == 1


def test_views_know_their_base(cuda):
    """By which the engine tells gradients that it may write to."""
    cupy = loader.cupy()
    x = cupy.zeros((3, 4))
    assert x.base is None and (x + 1).base is None and x.copy().base is None
    assert all(view.base is not None for view in (x[1:], x.T, x.reshape(12), np.broadcast_to(x, (2, 3, 4))))
