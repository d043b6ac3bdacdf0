"""Recurrent layers: the sweep of a cell over time, and the stack of layers and directions.

The equations of one step are in recurrent_cells.py. Inputs are packed (packing.py): one code for dense batches, where
every step has all B rows, and for ragged ones, where the batch shrinks as sequences end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyrnn.ops.casting import array
from tinyrnn.ops.dropout import dropout as drop
from tinyrnn.ops.packing import packing_of, put_rows, take_rows
from tinyrnn.ops.products import linear
from tinyrnn.ops.recurrent_cells import CELLS, Cell
from tinyrnn.ops.shaping import reshape
from tinyrnn.ops.slicing import cat, split, stack, unbind

State = tuple[Any, ...]


def recurrent(
    mode: str,
    input: Any,
    state: State | None,
    weights: Sequence[tuple],
    lengths: np.ndarray | None = None,
    bidirectional: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    composed: bool = False,
) -> tuple[Any, State]:
    """Run a stack of recurrent layers over a batch of sequences.

    Parameters
    ----------
    mode : ``"RNN_TANH"``, ``"RNN_RELU"``, ``"LSTM"`` or ``"GRU"``.
    input : (T, B, I).
    state : the initial states, each (L*D, B, H), layer by layer and in each forward first: ``(h,)`` or ``(h, c)``; None
        is zeros.
    weights : for each of the L*D sweeps (weight_ih (G*H, I), weight_hh (G*H, H), bias_ih (G*H), bias_hh (G*H)); the
        biases may be None.
    lengths : B integers from 0 to T in any order, None for all T. What lies behind the end of a sequence is not looked
        at.
    dropout : probability with which, if `training`, every output of a layer is dropped on its way to the next one.
    composed : step with primitive ops (rung L0) instead of one node per step (L1): for tests.

    Returns
    -------
    output : (T, B, D*H), h of the last layer, zeros behind the end of a sequence.
    state : the final states like `state`, each sequence's at its own end; for the backward direction at its start.
    """
    cell = CELLS[mode]
    T, B, features = array(input).shape
    directions = 2 if bidirectional else 1
    packing = packing_of(lengths, T, B)
    rows = take_rows(reshape(input, (T * B, features)), packing.rows)
    initial = _initial_states(cell, array(input), state, weights, packing)
    finals = []
    for first in range(0, len(weights), directions):
        if first > 0:
            rows = drop(rows, dropout, training)
        outputs = []
        for number in range(first, first + directions):
            weight_ih, weight_hh, bias_ih, bias_hh = weights[number]
            gates_x = linear(rows, weight_ih, bias_ih)
            output, final = sweep(
                cell, gates_x, packing.batch_sizes, initial[number], (weight_hh, bias_hh), number > first, composed
            )
            outputs.append(output)
            finals.append([take_rows(each, packing.inverse) for each in final])
        rows = outputs[0] if directions == 1 else cat(outputs, 1)
    padded = put_rows(rows, packing.rows, T * B)
    return reshape(padded, (T, B, array(padded).shape[1])), tuple([stack(list(each), 0) for each in zip(*finals)])


def _initial_states(cell: Cell, x: Any, state: State | None, weights: Sequence[tuple], packing: Any) -> list[State]:
    """The initial states of every sweep, rows in the order of the packing."""
    if state is None:
        zeros = [np.zeros_like(x, shape=(x.shape[1], weight_hh.shape[1])) for _, weight_hh, _, _ in weights]
        return [(each,) * len(cell.states) for each in zeros]
    per_sweep = zip(*[unbind(each, 0) for each in state])
    return [tuple([take_rows(each, packing.order) for each in initial]) for initial in per_sweep]


def sweep(
    cell: Cell,
    gates_x: Any,
    batch_sizes: list[int],
    state: State,
    weights: tuple,
    reverse: bool = False,
    composed: bool = False,
) -> tuple[Any, State]:
    """Run one cell over time in one direction.

    Parameters
    ----------
    gates_x : (N, G*H), the packed input projections ``W_ih x + b_ih``; N is the sum of `batch_sizes`.
    batch_sizes : rows of every step, falling.
    state : initial states, each (B, H); the longest sequence first.
    weights : (weight_hh, bias_hh).
    reverse : each sequence is read from its own last step to its first.
    composed : step with primitive ops.

    Returns
    -------
    (N, H), the packed outputs, and the final states, each (B, H); those of empty sequences are the initial ones.
    """
    if not batch_sizes:
        initial = array(state[0])
        return np.zeros_like(initial, shape=(0, initial.shape[1])), state
    step = cell.step_composed if composed else cell.step
    steps = split(gates_x, batch_sizes, 0)
    outputs, final = (_backward_in_time if reverse else _forward_in_time)(step, steps, batch_sizes, state, weights)
    return cat(outputs, 0), final


def _forward_in_time(step: Any, steps: Any, batch_sizes: list[int], state: State, weights: tuple) -> tuple:
    outputs: list[Any] = []
    ended: list[list] = [[] for _ in state]  # for every state, its rows of the sequences that have ended
    alive = array(state[0]).shape[0]
    for gates_x, size in zip(steps, batch_sizes):
        if size < alive:
            parts = [split(each, [size, alive - size], 0) for each in state]
            state = tuple([going_on for going_on, _ in parts])
            for rows, (_, end) in zip(ended, parts):
                rows.insert(0, end)
            alive = size
        state = step(gates_x, state, *weights)
        outputs.append(state[0])
    return outputs, tuple([_join([each, *rows]) for each, rows in zip(state, ended)])


def _backward_in_time(step: Any, steps: Any, batch_sizes: list[int], state: State, weights: tuple) -> tuple:
    # how many sequences start at each step, last step first; the empty ones never do
    starting = [size - after for size, after in zip(batch_sizes, [*batch_sizes[1:], 0])][::-1]
    empty = array(state[0]).shape[0] - batch_sizes[0]
    waiting = [iter(split(each, [count for count in (*starting, empty) if count], 0)) for each in state]
    state = ()
    outputs: list[Any] = []
    for gates_x, count in zip(steps[::-1], starting):
        if count:
            state = _joined_by(state, waiting)
        state = step(gates_x, state, *weights)
        outputs.append(state[0])
    return outputs[::-1], _joined_by(state, waiting) if empty else state


def _joined_by(state: State, waiting: list) -> State:
    """The rows of `state` (none yet if it is ()), then the next ones of those `waiting`."""
    arriving = [next(rows) for rows in waiting]
    return tuple([_join(rows) for rows in zip(state, arriving)] if state else arriving)


def _join(parts: Sequence) -> Any:
    return parts[0] if len(parts) == 1 else cat(parts, 0)
