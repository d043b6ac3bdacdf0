"""The recurrent sweep on a GPU: a kernel or a few per step (recurrent_forward.cu, recurrent_backward.cu) and large products.

The launches of a number of steps are captured once, as a CUDA graph, and repeated: they read where the arrays lie, and which
step it is, from structs in the memory of the GPU that are written anew for every sweep. The directions of a layer run side by
side.
"""

from __future__ import annotations

import functools
import itertools
import threading
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.kernels.gpu import launch, loader, products, tf32
from tinyrnn.kernels.sweeps import MODES, Saved, Sweep

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3, "GRU_RESET_BEFORE": 3}
_SAVED_GATES = {"LSTM": 4, "GRU": 4, "GRU_RESET_BEFORE": 3}
UNITS, ROWS, _THREADS = 8, 16, 128  # of a block: those of a tile in products.cuh, and of normalize_rows
_CHUNKS = (64, 16, 4)  # steps in a graph
TF32 = "Tf32"
FORWARD, BACKWARD = "recurrent_forward.cu", "recurrent_backward.cu"

# The struct Arguments in sweep.cuh: pointers, then numbers.
_POINTERS = [
    "offsets", "sizes", "gates_x", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "peephole", "norm_h_weight", "norm_h_bias",
    "norm_c_weight", "norm_c_bias", "recurrent_mask", "zoneout_h", "zoneout_c", "h", "h_other", "c", "output", "cells",
    "gates", "h_before", "h_seen", "reset_seen", "c_before", "cell_h", "normed_h", "normed_c", "rstd_h", "rstd_n", "rstd_c",
    "product", "seen", "grad_output", "grad_cells", "grad_gates_x", "grad_gates_h", "grad_product", "grad_projected",
    "grad_seen", "grad_h", "grad_h_carried", "grad_c", "grad_hidden",
]  # fmt: skip
_SHARES = ["zoneout_h_share", "zoneout_c_share"]
_INTEGERS = ["steps", "B", "H", "P", "output_stride", "base"]
ARGUMENTS = np.dtype(
    [(n, np.uintp) for n in _POINTERS] + [(n, np.float64) for n in _SHARES] + [(n, np.int64) for n in _INTEGERS]
)


def recurrent_forward(mode, x, batch_sizes, sweeps, save):
    n = _sizes(mode, batch_sizes, sweeps)
    output = loader.cupy().empty((n.N, n.D * n.P), x.dtype)
    states, kept = zip(*[_arrays_of_forward(mode, n, x, sweep, save) for sweep in sweeps])
    arrays = [
        {**_given(sweep), **states[d], **kept[d], "output": output[:, d * n.P : (d + 1) * n.P]}
        for d, sweep in enumerate(sweeps)
    ]
    _run(_forward_plan(mode, sweeps[0]), x.dtype, n, arrays, sweeps, batch_sizes, n.steps, output.strides[0])
    return output, [_finals(n, own, x.dtype) for own in states], [_saved(mode, own) if save else None for own in kept]


def recurrent_backward(mode, grad_output, grad_finals, grad_cells, x, batch_sizes, sweeps, output, saved, needs_x):
    n, stride = _sizes(mode, batch_sizes, sweeps), 0
    found = [_arrays_of_backward(mode, n, sweep, grad_finals[d], grad_cells[d]) for d, sweep in enumerate(sweeps)]
    if grad_output is not None:
        grad_output = loader.cupy().ascontiguousarray(grad_output)
        stride = grad_output.strides[0]
        for d, own in enumerate(found):
            own["grad_output"] = grad_output[:, d * n.P : (d + 1) * n.P]
    given = [_given(each._replace(weight_hh=each.weight_hh.T, weight_hr=_transposed(each.weight_hr))) for each in sweeps]
    arrays = [{**given[d], **saved[d].extra, **found[d]} for d in range(n.D)]
    _run(_backward_plan(mode, sweeps[0]), output.dtype, n, arrays, sweeps, batch_sizes, n.steps + 1, stride)

    grad_x, grads = None, []
    for sweep, own, grad in zip(sweeps, saved, found):
        of_gates = grad["grad_gates_x"]
        if needs_x:
            through = of_gates if sweep.weight_ih is None else _product(of_gates, sweep.weight_ih)
            grad_x = through if grad_x is None else grad_x + through
        weight_ih = None if sweep.weight_ih is None else _product(of_gates.T, x)
        grads.append(_other_gradients(mode, n, sweep, own, grad)._replace(weight_ih=weight_ih))
    return grad_x, grads


def numbers_of(dtype) -> str:
    """What numbers are called in the kernels; float32 may be that of which products see 10 bits."""
    return TF32 if dtype == np.float32 and tf32.allowed["recurrent"] and tf32.is_there() else launch.TYPES[dtype.name]


def _product(a, b):
    return products.product(a, b, "recurrent")


def _column_sums(x):
    """Of 16-bit numbers in 32 bits."""
    return x.sum(axis=0, dtype=launch.wide(x.dtype)).astype(x.dtype, copy=False)


# ---- one direction ---------------------------------------------------------------------------------------------------


class _Sizes(NamedTuple):
    """N packed rows, B sequences, G gates, H and P features, D directions, and how many steps there are."""

    steps: int
    N: int
    B: int
    G: int
    H: int
    P: int
    D: int


def _sizes(mode, batch_sizes, sweeps) -> _Sizes:
    G, (B, P) = _GATES[mode], sweeps[0].h_0.shape
    return _Sizes(len(batch_sizes), int(batch_sizes.sum()), B, G, len(sweeps[0].weight_hh) // G, P, len(sweeps))


def _arrays_of_forward(mode, n, x, sweep, save):
    """What a sweep begins with and works in; and what it keeps for backward."""
    cupy, T = loader.cupy(), x.dtype
    W = launch.wide(T)
    normed = sweep.norm_h is not None, sweep.norm_c is not None
    reset_before = mode == "GRU_RESET_BEFORE"
    sizes = {
        "cells": n.H * (save and mode == "LSTM"),
        "c_before": n.H * (save and mode == "LSTM"),
        "gates": n.H * _SAVED_GATES.get(mode, 0) * (save or reset_before),
        "h_before": n.P * save,
        "h_seen": n.P * (save and sweep.recurrent_mask is not None),
        "reset_seen": n.H * reset_before,
        "cell_h": n.H * (sweep.weight_hr is not None or (save and mode.startswith("RNN"))),
        "normed_h": n.G * n.H * (save and normed[0]),
        "normed_c": n.H * (save and normed[1]),
    }
    kept = {name: cupy.empty((n.N, width), T) for name, width in sizes.items() if width}
    wide_sizes = {"rstd_h": save and normed[0], "rstd_n": save and normed[0] and reset_before, "rstd_c": save and normed[1]}
    kept |= {name: cupy.empty(n.N, W) for name, wanted in wide_sizes.items() if wanted}
    states = {
        "gates_x": cupy.ascontiguousarray(x if sweep.weight_ih is None else _product(x, sweep.weight_ih.T)),
        "h": sweep.h_0.copy(),
        "h_other": cupy.empty((n.B, n.P), T),
        "c": None if sweep.c_0 is None else sweep.c_0.astype(W, order="C"),
        "product": cupy.empty((n.B, n.G * n.H), W),
        "seen": cupy.empty((n.B, n.H), W),
    }
    return states, kept


def _finals(n, states, T):
    """h, which lies in the one or the other place, and c."""
    h = states["h_other" if n.steps % 2 and n.N else "h"]
    return (h,) if states["c"] is None else (h, states["c"].astype(T, copy=False))


def _saved(mode, kept):
    return Saved(kept.get("cells"), kept["gates"] if mode in _SAVED_GATES else None, kept)


def _arrays_of_backward(mode, n, sweep, grad_finals, grad_cells):
    """What a sweep begins with and works in, and what it computes."""
    cupy, T = loader.cupy(), sweep.weight_hh.dtype
    W = launch.wide(T)

    def state(width, initial):
        return cupy.zeros((n.B, width), W) if initial is None else initial.astype(W, order="C")

    grad_gates_x = cupy.empty((n.N, n.G * n.H), T)
    grad_gates_h = cupy.empty((n.N, n.G * n.H), T) if mode == "GRU" else grad_gates_x
    return {
        "grad_gates_x": grad_gates_x,
        "grad_gates_h": grad_gates_h,
        "grad_product": grad_gates_h if sweep.norm_h is None else cupy.empty((n.N, n.G * n.H), T),
        "grad_cells": None if grad_cells is None else cupy.ascontiguousarray(grad_cells),
        "grad_h": state(n.P, grad_finals[0]),
        "grad_h_carried": cupy.zeros((n.B, n.P), W),
        "grad_c": None if sweep.c_0 is None else state(n.H, grad_finals[1]),
        "grad_hidden": cupy.empty((n.B, n.H), W),
        "grad_projected": None if sweep.weight_hr is None else cupy.empty((n.N, n.P), T),
        "grad_seen": None if sweep.norm_c is None else cupy.empty((n.N, n.H), T),
        "seen": cupy.empty((n.B, n.H), W),
    }


def _other_gradients(mode, n, sweep, saved, grads):
    """The Sweep of gradients, but that of weight_ih. No two of them are one array: each is its owner's to write to."""
    T, kept, of_gates, of_product = sweep.weight_hh.dtype, saved.extra, grads["grad_gates_h"], grads["grad_product"]
    seen = kept.get("h_seen", kept["h_before"])
    if mode == "GRU_RESET_BEFORE":
        weight_hh = loader.cupy().concatenate(
            [_product(of_product[:, : 2 * n.H].T, seen), _product(of_product[:, 2 * n.H :].T, kept["reset_seen"])]
        )
    else:
        weight_hh = _product(of_product.T, seen)
    sums = _column_sums(of_gates)
    of_x = grads["grad_gates_x"]
    return Sweep(
        None,
        weight_hh,
        None if sweep.bias_ih is None else sums.copy() if of_x is of_gates else _column_sums(of_x),
        None if sweep.bias_hh is None else sums,
        grads["grad_h"].astype(T, copy=False),
        None if sweep.c_0 is None else grads["grad_c"].astype(T, copy=False),
        weight_hr=None if sweep.weight_hr is None else _product(grads["grad_projected"].T, kept["cell_h"]),
        peephole=None if sweep.peephole is None else _peephole_gradient(n, saved, of_gates),
        norm_h=None if sweep.norm_h is None else (_column_sums(of_gates * kept["normed_h"]), sums.copy()),
        norm_c=None
        if sweep.norm_c is None
        else (_column_sums(grads["grad_seen"] * kept["normed_c"]), _column_sums(grads["grad_seen"])),
    )


def _peephole_gradient(n, saved, grad_gates):
    before = saved.extra["c_before"]
    i, f, g, _ = (saved.gates[:, k * n.H : (k + 1) * n.H] for k in range(4))
    grad_i, grad_f, _, grad_o = (grad_gates[:, k * n.H : (k + 1) * n.H] for k in range(4))
    rows = grad_i * before, grad_f * before, grad_o * (f * before + i * g)
    return loader.cupy().stack([_column_sums(each) for each in rows])


def _transposed(matrix):
    return None if matrix is None else matrix.T


def _given(sweep):
    """What a sweep is given, under the names of the struct."""
    arrays = {
        name: getattr(sweep, name) for name in ("weight_hh", "bias_ih", "bias_hh", "weight_hr", "peephole", "recurrent_mask")
    }
    for name in ("norm_h", "norm_c"):
        weight, bias = getattr(sweep, name) or (None, None)
        arrays |= {f"{name}_weight": weight, f"{name}_bias": bias}
    for name in ("zoneout_h", "zoneout_c"):
        value = getattr(sweep, name)
        arrays[name] = value if hasattr(value, "shape") else None
    cupy = loader.cupy()
    return {name: None if array is None else cupy.ascontiguousarray(array) for name, array in arrays.items()}


# ---- what is launched for one step -----------------------------------------------------------------------------------


class _Launch(NamedTuple):
    """A kernel, over (B, width) in tiles or, with width None, one block per row; and its arguments after the step's number."""

    kernel: str
    width: str | None = "H"
    more: tuple[Any, ...] = ()


class _Plan(NamedTuple):
    file: str
    mode: str
    launches: tuple[_Launch, ...]
    direction: int  # 1 forward, -1 backward


def _forward_plan(mode, sweep) -> _Plan:
    m = MODES.index(mode)
    if mode == "GRU_RESET_BEFORE":
        norms = (
            [] if sweep.norm_h is None else [_normalized(m, "RESET_AND_UPDATE")],
            [] if sweep.norm_h is None else [_normalized(m, "CANDIDATE")],
        )
        launches = [
            _Launch(f"step_products<T, {m}>", "2H", (np.int32(0), np.int32(2))),
            *norms[0],
            _Launch("reset_gates<T>"),
            _Launch(f"step_products<T, {m}>", "H", (np.int32(2), np.int32(1))),
            *norms[1],
            _Launch("reset_candidate<T>"),
        ]
    elif sweep.norm_h is None and sweep.norm_c is None:
        launches = [_Launch(f"step_fused<T, {m}>")]
    else:
        launches = [_Launch(f"step_products<T, {m}>", "GH", (np.int32(0), np.int32(_GATES[mode])))]
        launches += [] if sweep.norm_h is None else [_normalized(m, "ALL_GATES")]
        launches += [_Launch(f"step_cell<T, {m}>")]
        launches += [] if sweep.norm_c is None else [_normalized(m, "CELL"), _Launch("lstm_output<T>")]
    if sweep.weight_hr is not None:
        launches.append(_Launch("step_projection<T>", "P"))
    return _Plan(FORWARD, mode, tuple(launches), 1)


def _backward_plan(mode, sweep) -> _Plan:
    m = MODES.index(mode)
    plain = sweep.norm_h is None and sweep.norm_c is None and sweep.weight_hr is None
    if plain and mode != "GRU_RESET_BEFORE":
        return _Plan(BACKWARD, mode, (_Launch(f"step_fused<T, {m}>"),), -1)
    launches = [_Launch(f"step_arriving<T, {m}>", "P")]
    launches += [] if sweep.weight_hr is None else [_Launch("step_projection<T>")]
    launches += [] if sweep.norm_c is None else [_Launch("lstm_output<T>"), _normalized(m, "CELL")]
    launches += [_Launch(f"step_cell<T, {m}>")]
    if mode == "GRU_RESET_BEFORE":
        launches += [] if sweep.norm_h is None else [_normalized(m, "CANDIDATE")]
        launches += [_Launch("reset_gate<T>")]
        launches += [] if sweep.norm_h is None else [_normalized(m, "RESET_AND_UPDATE")]
    else:
        launches += [] if sweep.norm_h is None else [_normalized(m, "ALL_GATES")]
    return _Plan(BACKWARD, mode, tuple(launches), -1)


def _normalized(m, what) -> _Launch:
    return _Launch(f"normalize_rows<T, {m}, {what}>", None)


@functools.cache
def kernels_of(file, mode, numbers) -> tuple[str, ...]:
    """The names of all kernels of sweeps of a mode, whatever their options: one module, so that options cost no compilation."""
    plan = _forward_plan if file == FORWARD else _backward_plan
    options = ("norm_h", "norm_c", "weight_hr") if mode == "LSTM" else ("norm_h",)
    none: Any = None
    launches: list[_Launch] = []
    for given in itertools.product((none, True), repeat=len(options)):
        launches += plan(mode, Sweep(none, none, none, none, none, **dict(zip(options, given)))).launches
    names = dict.fromkeys(["advance<T>", *[each.kernel for each in launches]])
    return tuple([name.replace("<T", f"<{numbers}") for name in names])


# ---- launching it for all steps --------------------------------------------------------------------------------------


def _run(plan, dtype, n, arrays, sweeps, batch_sizes, count, output_stride) -> None:
    """Launch `count` steps of a plan, for all directions at once."""
    ends = np.cumsum(batch_sizes)
    steps = np.empty((n.D, 2, n.steps), np.int64)
    records = np.zeros(n.D, ARGUMENTS)
    records["steps"], records["B"], records["H"], records["P"] = n.steps, n.B, n.H, n.P
    records["output_stride"] = output_stride // dtype.itemsize
    records["base"] = 0 if plan.direction > 0 else n.steps - 1
    for d, sweep in enumerate(sweeps):
        order = slice(None, None, -1 if sweep.reverse else 1)
        steps[d] = (ends - batch_sizes)[order], batch_sizes[order]
        for name in ("zoneout_h", "zoneout_c"):
            value = getattr(sweep, name)
            records[f"{name}_share"][d] = 0 if value is None or hasattr(value, "shape") else value
    steps = loader.cupy().asarray(steps)
    for d, own in enumerate(arrays):
        used = {name: array for name, array in own.items() if array is not None and name in _POINTERS}
        launch.check_current_gpu(*used.values())
        for name, array in {**used, "offsets": steps[d, 0], "sizes": steps[d, 1]}.items():
            records[name][d] = array.data.ptr
    if n.N:
        _replays(plan, numbers_of(dtype), n._replace(steps=0, N=0), loader.number_of_gpu(None)).run(records, count)


@functools.lru_cache(maxsize=64)
def _replays(plan, numbers, sizes, gpu):
    return _Replays(plan, numbers, sizes)


class _Replays:
    """The steps of one plan for one size: graphs of several, made when they are first needed, and single launches."""

    def __init__(self, plan, T, n):
        names = [each.kernel.replace("<T", f"<{T}") for each in plan.launches]
        found = launch.kernels(plan.file, kernels_of(plan.file, plan.mode, T))
        widths = {"H": n.H, "2H": 2 * n.H, "GH": n.G * n.H, "P": n.P}
        self._steps = []
        for name, each in zip(names, plan.launches):
            tiles = each.width and launch.blocks((widths[each.width], UNITS), (n.B, ROWS))
            grid = (*(tiles or (n.B, 1)), n.D)
            self._steps.append((found[name], grid, (UNITS, ROWS) if tiles else (_THREADS,), each.more))
        self._advance, self._direction, self._directions = found[f"advance<{T}>"], plan.direction, n.D
        self._arguments = loader.cupy().zeros(n.D * ARGUMENTS.itemsize, np.uint8)
        self._graphs: dict[int, Any] = {}
        self._lock = threading.Lock()  # from the writing of the structs to the last launch that reads them
        self._launch(1)  # of no steps: so that no kernel is loaded while a graph is captured
        self._done = loader.cupy().cuda.get_current_stream().record()

    def run(self, records, count) -> None:
        stream = loader.cupy().cuda.get_current_stream()
        with self._lock:
            stream.wait_event(self._done)  # the last use of the structs, which may have been on another stream
            self._arguments.set(np.frombuffer(records.tobytes(), np.uint8), stream=stream)
            while count >= _CHUNKS[-1]:
                chunk = next(each for each in _CHUNKS if each <= count)
                self._graph(chunk).launch(stream)
                count -= chunk
            if count:
                self._launch(count)
            self._done = stream.record()

    def _launch(self, count) -> None:
        for i in range(count):
            for kernel, grid, block, more in self._steps:
                kernel(grid, block, (self._arguments, np.int32(i), *more))
        self._advance((self._directions,), (1,), (self._arguments, np.int32(self._direction * count)))

    def _graph(self, count):
        if count not in self._graphs:
            with loader.cupy().cuda.Stream(non_blocking=True) as stream:
                stream.begin_capture()
                self._launch(count)
                self._graphs[count] = stream.end_capture()
        return self._graphs[count]
