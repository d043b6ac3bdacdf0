"""The kernels that the other parts of gpu.py need, compiled in threads into CuPy's cache: NVRTC lets go of Python's lock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np
from gpu_rows import Rows
from op_table import OPS, arrays_for

import tinyrnn
from tinyrnn import nn
from tinyrnn.kernels.gpu import activations, elementwise, launch, loader, recurrent
from tinyrnn.kernels.sweeps import MODES

Job = Callable[[], Any]
DTYPES = ("float64", "float32", "float16", "bfloat16")


def our_modules() -> Iterator[Job]:
    """Every kernel of the .cu files, for every type of numbers."""
    sweeps = (recurrent.FORWARD, recurrent.BACKWARD)
    numbers = [*launch.TYPES.values(), recurrent.TF32]
    for each in numbers:
        for file in sweeps:
            yield from (_module(file, recurrent.kernels_of(file, mode, each)) for mode in MODES)
        yield from (_module("recurrent_step.cu", (f"layer_step<{each}, {mode}>",)) for mode in range(4))
    for file in sorted(file.name for file in launch.FOLDER.glob("*.cu")):
        if file not in (*sweeps, "recurrent_step.cu"):
            types = [*launch.TYPES.values(), *(launch.WHOLE.values() if file == "embedding.cu" else ())]
            yield from (_module(file, launch.compiled_with(file, f"<{each}>")) for each in types)


def _module(file: str, names: tuple[str, ...]) -> Job:
    return lambda: launch.kernels(file, names)


def our_elementwise_kernels() -> Iterator[Job]:
    """The activations, forward and backward, and arithmetic with a number."""
    numbers = {"softplus": (1.0, 20.0), "gelu": ("none",), "leaky": (0.1,), "elu": (1.0,)}
    for dtype in DTYPES:
        for name, function in vars(activations).items():
            if name.endswith(("_forward", "_backward")):
                arrays = 2 if name.endswith("_backward") else 1
                yield _elementwise(function, dtype, arrays, numbers.get(name.partition("_")[0], ()))
        for function in (elementwise.mul_forward, elementwise.div_forward):
            yield _elementwise(function, dtype, 1, (0.1,))


def _elementwise(function: Callable[..., Any], dtype: str, arrays: int, more: tuple[Any, ...]) -> Job:
    return lambda: function(*[tinyrnn.ones(2, dtype=getattr(tinyrnn, dtype), device="cuda").array] * arrays, *more)


def ops_of_cupy() -> Iterator[Job]:
    """What the ops use of CuPy, forward and backward, and steps of training in every dtype."""
    for function in OPS.values():
        yield _op(function)
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        for dtype in DTYPES:
            yield _training(kind, dtype)


def _op(function: Callable[..., Any]) -> Job:
    def run() -> None:
        arrays = arrays_for(np.random.default_rng(0))
        given = {name: tinyrnn.tensor(array, device="cuda") for name, array in arrays.items()}
        for name in ("x", "y", "p", "m"):
            given[name].requires_grad_()
        results = function(**given)
        for each in results:
            if each.requires_grad and each.dtype == tinyrnn.float64:
                (each * each).sum().backward()

    return run


def _training(kind: Callable[..., Any], dtype: str) -> Job:
    def run() -> None:
        layer = kind(3, 4, 2, bidirectional=True, dropout=0.1).to(getattr(tinyrnn, dtype)).to("cuda")
        optimizer = tinyrnn.optim.Adam(layer.parameters())
        layer(tinyrnn.ones(3, 2, 3, dtype=getattr(tinyrnn, dtype), device="cuda"))[0].square().mean().backward()
        nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimizer.step()

    return run


def _error_of(done: Future[Any]) -> BaseException | None:
    """Of a job that has ended; the sign of life is for gpu_children.py, which takes 90 seconds of silence for a hang."""
    print(".", end="", flush=True)
    return done.exception()


def main() -> None:
    rows = Rows()
    loader.cupy()
    threads = 2 * (os.cpu_count() or 1)
    for find in (our_modules, our_elementwise_kernels, ops_of_cupy):
        if find.__name__ in rows.read():
            continue
        rows.begin(find.__name__)
        started, jobs = time.perf_counter(), list(find())
        with ThreadPoolExecutor(threads, initializer=lambda: tinyrnn.ones(1, device="cuda")) as pool:  # a context each
            errors = [_error_of(done) for done in as_completed([pool.submit(job) for job in jobs])]
        failed = list(dict.fromkeys(repr(error)[:500] for error in errors if error))
        # Where one of our modules does not compile, nothing else can be right; what CuPy refuses here shows in `parity`.
        ok = not failed or find is ops_of_cupy
        row = {"name": find.__name__, "ok": ok, "jobs": len(jobs), "threads": threads}
        rows.end(row | {"seconds": round(time.perf_counter() - started, 2)} | ({"output": "\n".join(failed)} if failed else {}))


if __name__ == "__main__":
    main()
