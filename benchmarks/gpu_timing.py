"""The times of gpu.py: layers on the GPU beside PyTorch with cuDNN, in one process, taking turns; a child process of gpu.py.

Both sides have the same weights and inputs, and a row is not as it should be where their results differ. A time is that between
two CUDA events, and the median of many. PyTorch runs eagerly and, where it can, captured as a graph.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from gpu_rows import LOST, Row, Rows, is_lost

import tinyrnn
from tinyrnn import nn
from tinyrnn.kernels.gpu import loader

ROUNDS = 25
WARM = 3
DEVICE = "cuda"  # PyTorch's
# How far results may be from PyTorch's, relative to the largest number of an array; what is wrong is off by about 1. PyTorch's
# own gradients of biases, sums over 512 steps, are wrong by 0.2 of it in bfloat16 on the CPU.
TOLERANCE = {"float32": 1e-4, "tf32": 2e-2, "float16": 3e-2, "bfloat16": 3e-1}


class Case(NamedTuple):
    """One row: a layer and its sizes, and the goal for time of eager PyTorch / time of tinyrnn.

    tf32 : whether products of float32 may be rounded to 10 bits, on both sides; None leaves it as both are at the start.
    """

    kind: str
    work: str
    H: int
    B: int
    T: int
    dtype: str
    goal: float
    tf32: bool | None = None
    bidirectional: bool = False
    packed: bool = False

    def __str__(self) -> str:
        notes = {True: " tf32", False: " strict", None: ""}[self.tf32]
        notes += " bidirectional" * self.bidirectional + " packed" * self.packed
        return f"{self.kind} {self.work} H{self.H} B{self.B} T{self.T} {self.dtype}{notes}"


CASES = [
    *[Case("GRU", work, 256, 32, 256, "float32", 5, tf32=tf32) for work in ("forward", "training") for tf32 in (True, False)],
    *[Case("GRU", work, 256, 32, 256, "bfloat16", 5) for work in ("forward", "training")],
    Case("LSTM", "forward", 512, 32, 512, "bfloat16", 5),
    Case("LSTM", "training", 512, 32, 512, "bfloat16", 4),
    Case("LSTM", "forward", 256, 32, 512, "float32", 5, tf32=True),
    Case("LSTM", "forward", 256, 32, 512, "float32", 3, tf32=False),
    Case("LSTM", "forward", 512, 32, 512, "float16", 1.5),
    Case("LSTM", "training", 768, 16, 1024, "float16", 1.1),
    Case("LSTM", "training", 512, 32, 256, "bfloat16", 6, bidirectional=True),
    Case("LSTM", "forward", 256, 32, 256, "float32", 5, packed=True),
    Case("LSTM", "step", 512, 1, 1, "float32", 6),
]


def main() -> int:
    """A row for each case, with the times in microseconds and the ratios."""
    rows, cupy = Rows(), loader.cupy()
    done = rows.read()
    for case in CASES:
        name = str(case)
        if name in done:
            continue
        rows.begin(name)
        try:
            row = _row(case)
        except Exception as error:  # the other cases are still worth their time
            row = {"name": name, "ok": False, "note": repr(error)[:300], "output": traceback.format_exc()[-3000:]}
        rows.end({**row, "goal": case.goal})
        if not row["ok"] and is_lost(cupy):
            return LOST
    return 0


def peer_is_available() -> bool:
    """Whether there is a PyTorch that can use the GPU."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


class Side(NamedTuple):
    """What is called again and again, and what it gives as NumPy arrays: outputs, and gradients if it trains."""

    call: Callable[[], Any]
    results: Callable[[], list[np.ndarray]]


def _row(case: Case) -> Row:
    import torch

    with _products(torch, case.tf32):
        theirs, layer, x = _theirs(torch, case)
        ours = _ours(torch, case, layer, x)
        error = max(_error(a, b) for a, b in zip(ours.results(), theirs.results(), strict=True))
        products = "tf32" if case.dtype == "float32" and tinyrnn.backends.cudnn.allow_tf32 else case.dtype
        row: Row = {"name": str(case), "ok": error <= TOLERANCE[products], "error": error}
        if not row["ok"]:
            row["note"] = f"differs from PyTorch by more than {TOLERANCE[products]}"
        sides = {"tinyrnn": (ours.call, _our_time), "pytorch": (theirs.call, lambda call: _their_time(torch, call))}
        captured, why = _captured(torch, theirs.call)
        if captured is not None:
            sides["captured"] = (captured, sides["pytorch"][1])
        times: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(WARM + ROUNDS):
            for name, (call, time_of) in sides.items():
                taken = time_of(call)
                if number >= WARM:
                    times[name].append(taken)
    row |= {f"{name}_us": statistics.median(taken) for name, taken in times.items()}
    row["ratio"] = statistics.median(a / b for a, b in zip(times["pytorch"], times["tinyrnn"]))
    if captured is None:
        return {"note": f"PyTorch's cannot be captured: {why}", **row}
    return row | {"captured_ratio": statistics.median(a / b for a, b in zip(times["captured"], times["tinyrnn"]))}


def _error(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        raise ValueError(f"a result is of shape {a.shape}, and PyTorch's of {b.shape}")
    error = float(np.abs(a - b).max() / max(float(np.abs(b).max()), 1e-30))
    return error if error < np.inf else np.inf  # NaN too


@contextlib.contextmanager
def _products(torch: Any, tf32: bool | None) -> Iterator[None]:
    """With products of float32 rounded or not, on both sides."""
    switches = [each for framework in (torch, tinyrnn) for each in (framework.backends.cudnn, framework.backends.cuda.matmul)]
    before = [each.allow_tf32 for each in switches]
    for switch in switches if tf32 is not None else ():
        switch.allow_tf32 = tf32
    try:
        yield
    finally:
        for switch, allowed in zip(switches, before):
            switch.allow_tf32 = allowed


# ---- the two sides ---------------------------------------------------------------------------------------------------


def _lengths(case: Case) -> list[int]:
    return np.linspace(case.T, 1, case.B).astype(int).tolist()


def _theirs(torch: Any, case: Case) -> tuple[Side, Any, np.ndarray]:
    """PyTorch's side, its layer, and the input: both sides begin with these numbers."""
    dtype = getattr(torch, case.dtype)
    layer = getattr(torch.nn, case.kind)(case.H, case.H, bidirectional=case.bidirectional, device=DEVICE, dtype=dtype)
    numbers = np.random.default_rng(0).standard_normal((case.T, case.B, case.H)).astype(np.float32)
    x = torch.tensor(numbers, device=DEVICE, dtype=dtype, requires_grad=case.work == "training")
    given: tuple[Any, ...] = (x,)
    if case.packed:
        given = (torch.nn.utils.rnn.pack_padded_sequence(x, _lengths(case)),)
    if case.work == "step":
        given = (x, tuple(torch.zeros(1, case.B, case.H, device=DEVICE, dtype=dtype) for _ in range(2)))

    def as_numpy(each: Any) -> np.ndarray:
        return each.detach().double().cpu().numpy()

    if case.work != "training":

        def forward() -> Any:
            with torch.no_grad():
                return layer(*given)[0]

        def results() -> list[np.ndarray]:
            return [as_numpy(torch.nn.utils.rnn.pad_packed_sequence(forward())[0] if case.packed else forward())]

        return Side(forward, results), layer, numbers
    grad = torch.ones_like(layer(x)[0])
    return _training(layer, x, grad, as_numpy), layer, numbers


def _ours(torch: Any, case: Case, theirs: Any, numbers: np.ndarray) -> Side:
    dtype = getattr(tinyrnn, case.dtype)
    layer = getattr(nn, case.kind)(case.H, case.H, bidirectional=case.bidirectional)
    layer.load_state_dict({name: tinyrnn.tensor(each.float().cpu().numpy()) for name, each in theirs.state_dict().items()})
    layer = layer.to(dtype).to("cuda")
    x = tinyrnn.tensor(numbers).to(dtype).to("cuda")

    def as_numpy(each: Any) -> np.ndarray:
        return each.detach().double().cpu().numpy()

    if case.work == "training":
        x.requires_grad_()
        return _training(layer, x, tinyrnn.ones_like(layer(x)[0]), as_numpy)
    lengths = _lengths(case) if case.packed else None
    x_t, state = x[0], tuple(tinyrnn.zeros(1, case.B, case.H, dtype=dtype, device="cuda") for _ in range(2))

    def forward() -> Any:
        with tinyrnn.no_grad():
            return layer.step(x_t, state)[0] if case.work == "step" else layer(x, lengths=lengths)[0]

    return Side(forward, lambda: [as_numpy(forward()).reshape(case.T, case.B, -1)])


def _training(layer: Any, x: Any, grad: Any, as_numpy: Callable[[Any], np.ndarray]) -> Side:
    """Forward and backward, the same of both."""
    leaves = (x, *layer.parameters())

    def call() -> Any:
        output = layer(x)[0]
        output.backward(grad)
        for each in leaves:
            each.grad = None

    def results() -> list[np.ndarray]:
        output = layer(x)[0]
        output.backward(grad)
        found = [as_numpy(each) for each in (output, *[each.grad for each in leaves])]
        for each in leaves:
            each.grad = None
        return found

    return Side(call, results)


def _captured(torch: Any, call: Callable[[], Any]) -> tuple[Callable[[], Any] | None, str]:
    """PyTorch's call as a CUDA graph; or None, and why it cannot be captured."""
    before = None
    try:
        before = torch.cuda.current_stream()
        stream = torch.cuda.Stream()
        stream.wait_stream(before)
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                call()
        before.wait_stream(stream)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        graph.replay()
        torch.cuda.synchronize()
    except (RuntimeError, AssertionError) as error:  # a part of it asks the CPU for something
        if before is not None:
            torch.cuda.set_stream(before)  # a capture that fails leaves its own stream as the current one
        return None, str(error).partition("\n")[0][:200]
    return graph.replay, ""


# ---- times, in microseconds ------------------------------------------------------------------------------------------


def _our_time(call: Callable[[], Any]) -> float:
    cupy = loader.cupy()
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    call()
    end.record()
    end.synchronize()
    return 1000 * float(cupy.cuda.get_elapsed_time(start, end))


def _their_time(torch: Any, call: Callable[[], Any]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return 1000 * float(start.elapsed_time(end))


if __name__ == "__main__":
    sys.exit(main())
