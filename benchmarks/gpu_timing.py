"""The times of gpu.py: layers on the GPU beside PyTorch with cuDNN, in one process, taking turns.

A time is that between two CUDA events, and the median of many. PyTorch runs eagerly and, where it can, captured as a graph.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import tinyrnn
from tinyrnn import nn
from tinyrnn.kernels.gpu import loader

ROUNDS = 15
WARM = 3


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


def rows() -> list[dict[str, Any]]:
    """One for each case, with the times in microseconds and the ratios."""
    found = []
    for case in CASES:
        try:
            found.append(_row(case))
        except Exception as error:  # the other cases are still worth their time
            found.append({"name": str(case), "goal": case.goal, "ok": False, "note": repr(error)[:300]})
    return found


def peer_is_available() -> bool:
    """Whether there is a PyTorch that can use the GPU."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def table(found: list[dict[str, Any]]) -> list[str]:
    """The rows in Markdown."""
    names = ("name", "tinyrnn_us", "pytorch_us", "captured_us", "ratio", "captured_ratio", "goal", "note")
    shown = [[f"{row[n]:.3g}" if isinstance(row.get(n), float) else str(row.get(n) or "") for n in names] for row in found]
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names), *["| " + " | ".join(each) + " |" for each in shown]]


def _row(case: Case) -> dict[str, Any]:
    row: dict[str, Any] = {"name": str(case), "goal": case.goal, "ok": True}
    import torch

    cases = np.random.default_rng(0)
    with _products(torch, case.tf32):
        theirs, ours = _theirs(torch, case, cases), _ours(torch, case, np.random.default_rng(0))
        captured = _captured(torch, theirs)
        times: dict[str, list[float]] = {"tinyrnn": [], "pytorch": [], "captured": []}
        sides = {"tinyrnn": (ours, _our_time), "pytorch": (theirs, lambda call: _their_time(torch, call))}
        if captured is not None:
            sides["captured"] = (captured, lambda call: _their_time(torch, call))
        for number in range(WARM + ROUNDS):
            for name, (call, time_of) in sides.items():
                taken = time_of(call)
                if number >= WARM:
                    times[name].append(taken)
    for name, taken in times.items():
        if taken:
            row[f"{name}_us"] = statistics.median(taken)
    row["ratio"] = statistics.median(a / b for a, b in zip(times["pytorch"], times["tinyrnn"]))
    if times["captured"]:
        row["captured_ratio"] = statistics.median(a / b for a, b in zip(times["captured"], times["tinyrnn"]))
    return row


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


# ---- the two sides: what is called again and again -------------------------------------------------------------------


def _lengths(case: Case) -> list[int]:
    return np.linspace(case.T, 1, case.B).astype(int).tolist()


def _input(case: Case, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((case.T, case.B, case.H)).astype(np.float32)


def _theirs(torch: Any, case: Case, rng: np.random.Generator) -> Callable[[], Any]:
    dtype = getattr(torch, case.dtype)
    layer = getattr(torch.nn, case.kind)(case.H, case.H, bidirectional=case.bidirectional, device="cuda", dtype=dtype)
    x = torch.tensor(_input(case, rng), device="cuda", dtype=dtype, requires_grad=case.work == "training")
    if case.packed:
        x = torch.nn.utils.rnn.pack_padded_sequence(x, _lengths(case))
    if case.work != "training":

        def forward() -> Any:
            with torch.no_grad():
                return layer(x)

        return forward
    grad = torch.ones_like(layer(x)[0])

    def training() -> Any:
        layer(x)[0].backward(grad)
        for each in (x, *layer.parameters()):
            each.grad = None

    return training


def _ours(torch: Any, case: Case, rng: np.random.Generator) -> Callable[[], Any]:
    dtype = getattr(tinyrnn, case.dtype)
    layer = getattr(nn, case.kind)(case.H, case.H, bidirectional=case.bidirectional).to(dtype).to("cuda")
    x = tinyrnn.tensor(_input(case, rng)).to(dtype).to("cuda")
    if case.work == "step":
        x_t, state = x[0], layer.step(x[0])[1]

        def step() -> Any:
            with tinyrnn.no_grad():
                return layer.step(x_t, state)

        return step
    lengths = _lengths(case) if case.packed else None
    if case.work == "forward":

        def forward() -> Any:
            with tinyrnn.no_grad():
                return layer(x, lengths=lengths)

        return forward
    x.requires_grad_()
    grad = tinyrnn.ones_like(layer(x)[0])

    def training() -> Any:
        layer(x)[0].backward(grad)
        for each in (x, *layer.parameters()):
            each.grad = None

    return training


def _captured(torch: Any, call: Callable[[], Any]) -> Callable[[], Any] | None:
    """PyTorch's call as a CUDA graph; None where it cannot be captured."""
    try:
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                call()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
    except RuntimeError:  # a part of it asks the CPU for something
        return None
    return graph.replay


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
