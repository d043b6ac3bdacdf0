"""A recurrent layer step by step: the rungs below the fused sweep.

L0 steps with primitive ops, L1 with one node per step wherever the cell has no option that reaches inside it. Double backward
through the fused sweep runs on L1, and the tests hold all rungs equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyrnn.kernels.sweeps import Sweep
from tinyrnn.ops.casting import array
from tinyrnn.ops.products import linear
from tinyrnn.ops.recurrent_cells import CELLS, Cell
from tinyrnn.ops.slicing import cat, narrow, select, split, stack

State = tuple[Any, ...]


def stepped_layer(
    mode: str, x: Any, batch_sizes: np.ndarray, sweeps: Sequence[Sweep], composed: bool, with_cells: bool
) -> tuple[Any, ...]:
    """One layer in all its directions.

    Parameters
    ----------
    x : (N, I), packed rows.
    batch_sizes : rows of every step, falling.
    sweeps : D Sweeps of tensors, in the order of the packing.
    composed : rung L0 in place of L1.
    with_cells : return also what c was after every step.

    Returns
    -------
    output (N, D*P), then each final state (D, B, ...), then if `with_cells` the D cell states (N, H).
    """
    sizes = batch_sizes.tolist()
    return _joined([_sweep(CELLS[mode], x, sizes, sweep, composed) for sweep in sweeps], with_cells)


def stepped_cells(
    cells: Sequence[Callable], x: Any, batch_sizes: np.ndarray, states: State, with_states: bool
) -> tuple[Any, ...]:
    """One layer of cells of any kind: the first reads forward, a second one backward.

    Parameters
    ----------
    cells : ``cell(x_t (n, I), states) -> new states``, tuples of tensors (n, size), the first of which is the output.
    x, batch_sizes : as for `stepped_layer`.
    states : each (D, B, size).
    with_states : return also what every state but the first was after every step.

    Returns
    -------
    As `stepped_layer`: with D tensors (N, size) for every further state, one state after the other.
    """
    sizes = batch_sizes.tolist() or [0]  # where all sequences are empty one step of no rows, which is on the tape
    runs = []
    for d, cell in enumerate(cells):
        initial = tuple([select(each, 0, d) for each in states])
        runs.append(_run_over_time(cell, split(x, sizes, 0), sizes, initial, reverse=d == 1))
    return _joined(runs, with_states)


def _joined(runs: Sequence[tuple[list, State]], with_states: bool) -> tuple[Any, ...]:
    """The directions' states at all steps and at the end, as `stepped_layer` returns them."""
    states, finals = zip(*runs)
    outputs, *others = zip(*states)
    ends = [stack(list(each), 0) for each in zip(*finals)]
    return cat(list(outputs), 1), *ends, *([each for state in others for each in state] if with_states else ())


def _sweep(cell: Cell, x: Any, batch_sizes: list[int], sweep: Sweep, composed: bool) -> tuple[list, State]:
    state = tuple([each for each in (sweep.h_0, sweep.c_0) if each is not None])
    gates_x = x if sweep.weight_ih is None else linear(x, sweep.weight_ih, sweep.bias_ih)
    inputs = list(zip(split(gates_x, batch_sizes, 0), _rows_of(batch_sizes))) if batch_sizes else []

    def step(given, before):
        return _step(cell, given, before, sweep, composed)

    return _run_over_time(step, inputs, batch_sizes, state, sweep.reverse)


def _run_over_time(step: Callable, inputs: list, batch_sizes: list[int], state: State, reverse: bool) -> tuple[list, State]:
    """Every state at all steps, packed (N, size), and the final states."""
    if not batch_sizes:
        return [narrow(each, 0, 0, 0) for each in state], state
    # a step of no rows, in which no sequence starts, is the same either way
    run = _backward_in_time if reverse and batch_sizes[0] else _forward_in_time
    states, final = run(step, inputs, batch_sizes, state)
    return [cat(list(each), 0) for each in zip(*states)], final


def _rows_of(batch_sizes: list[int]) -> list[slice]:
    """The packed rows of every step."""
    ends = np.cumsum(batch_sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, batch_sizes)]


def _forward_in_time(step: Any, inputs: list, batch_sizes: list[int], state: State) -> tuple[list[State], State]:
    states: list[State] = []
    ended: list[list] = [[] for _ in state]  # for every state, its rows of the sequences that have ended
    alive = array(state[0]).shape[0]
    for given, size in zip(inputs, batch_sizes):
        if size < alive:
            parts = [split(each, [size, alive - size], 0) for each in state]
            state = tuple([going_on for going_on, _ in parts])
            for rows, (_, end) in zip(ended, parts):
                rows.insert(0, end)
            alive = size
        state = step(given, state)
        states.append(state)
    return states, tuple([_join([each, *rows]) for each, rows in zip(state, ended)])


def _backward_in_time(step: Any, inputs: list, batch_sizes: list[int], state: State) -> tuple[list[State], State]:
    # how many sequences start at each step, last step first; the empty ones never do
    starting = [size - after for size, after in zip(batch_sizes, [*batch_sizes[1:], 0])][::-1]
    empty = array(state[0]).shape[0] - batch_sizes[0]
    waiting = [iter(split(each, [count for count in (*starting, empty) if count], 0)) for each in state]
    state = ()
    states: list[State] = []
    for given, count in zip(inputs[::-1], starting):
        if count:
            state = _joined_by(state, waiting)
        state = step(given, state)
        states.append(state)
    return states[::-1], _joined_by(state, waiting) if empty else state


def _joined_by(state: State, waiting: list) -> State:
    """The rows of `state` (none yet if it is ()), then the next ones of those `waiting`."""
    arriving = [next(rows) for rows in waiting]
    return tuple([_join(rows) for rows in zip(state, arriving)] if state else arriving)


def _join(parts: Sequence) -> Any:
    return parts[0] if len(parts) == 1 else cat(parts, 0)


def _step(cell: Cell, given: tuple[Any, slice], state: State, sweep: Sweep, composed: bool) -> State:
    """The cell, and around it what all cells have in common: the mask on h, projection, zoneout."""
    gates_x, rows = given
    h, mask = state[0], sweep.recurrent_mask
    masked_h = h if mask is None else h * mask[: rows.stop - rows.start]
    if composed or not _is_one_node(cell, sweep):
        new = cell.step_composed(gates_x, state, masked_h, sweep)
    else:
        new = cell.step(gates_x, (masked_h, *state[1:]), sweep.weight_hh, sweep.bias_hh)
    if sweep.weight_hr is not None:
        new = (linear(new[0], sweep.weight_hr), *new[1:])
    zoneouts = (sweep.zoneout_h, sweep.zoneout_c)
    return tuple([_zoned_out(each, before, zoneout, rows) for each, before, zoneout in zip(new, state, zoneouts)])


def _is_one_node(cell: Cell, sweep: Sweep) -> bool:
    """Whether there is a node for the whole step. A GRU needs h masked in the product and unmasked beside it."""
    masks_apart = sweep.recurrent_mask is not None and len(cell.states) == 1 and cell.gates > 1
    options = (sweep.peephole, sweep.norm_h, sweep.norm_c)
    return cell.step is not None and not masks_apart and all(each is None for each in options)


def _zoned_out(new: Any, before: Any, zoneout: Any, rows: slice) -> Any:
    if zoneout is None:
        return new
    kept = zoneout[rows] if hasattr(zoneout, "shape") else zoneout
    return new + (before - new) * kept
