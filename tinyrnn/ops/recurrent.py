"""Stacks of recurrent layers, in one or both directions, over dense, ragged and packed batches.

There are three rungs of one layer, which the tests hold equal: L2, one node per layer (recurrent_fused.py), on which everything
runs; L1, one node per step, and L0, primitive ops (both in recurrent_stepped.py). Inputs are packed (packing.py): one code for
dense batches, where every step has all B rows, and for ragged ones, where the batch shrinks as sequences end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.engine.modes import recording
from tinyrnn.kernels.dispatch import backend
from tinyrnn.kernels.sweeps import Sweep
from tinyrnn.ops.casting import array
from tinyrnn.ops.dropout import dropout as drop
from tinyrnn.ops.dropout import keep_mask
from tinyrnn.ops.packing import Packing, packing_of, put_rows, take_rows
from tinyrnn.ops.recurrent_cells import CELLS
from tinyrnn.ops.recurrent_fused import Constants, any_source, fused_layer, sweeps_of_tensors
from tinyrnn.ops.recurrent_stepped import stepped_layer
from tinyrnn.ops.shaping import contiguous, reshape
from tinyrnn.ops.slicing import cat, split

State = tuple[Any, ...]


class Stack(NamedTuple):
    """Layers above each other: what runs, whatever it runs over.

    run_layer : ``run_layer(number, x, initial, batch_sizes, packing, inside) -> (outputs, gates)``, as `fused_layer` takes
        and returns them.
    layers, directions : L and D.
    sizes : the features of each state, first those of h, the output: P, and of an LSTM's c H. P is H without projection.
    dropout : probability with which every output of a layer is dropped on its way to the next one.
    input_dropout : probability with which a feature of a layer's input is dropped, at all steps of a sequence alike.
    residual : whether every layer but the first adds its input to its output.
    """

    run_layer: Callable
    layers: int
    directions: int
    sizes: tuple[int, ...]
    dropout: float = 0.0
    input_dropout: float = 0.0
    residual: bool = False


class Inside(NamedTuple):
    """What went on in one layer, zeros behind the end of a sequence.

    output : (T, B, D*P), or packed (N, D*P).
    states : every further state after every step, (T, B, H) for each direction: c of an LSTM; of several states one after the
        other. Empty if h is the only one.
    gates : for each direction the activated gates, (T, B, ...) as in kernels/sweeps.py `Saved`, None if the cell has none; they
        have no gradient.
    """

    output: Any
    states: list
    gates: list


def stack_of_cells(
    mode: str,
    weights: Sequence[tuple],
    directions: int = 1,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    residual: bool = False,
    run_layer: Callable | None = None,
) -> Stack:
    """The stack of the cell `mode`.

    Parameters
    ----------
    mode : ``"RNN_TANH"``, ``"RNN_RELU"``, ``"LSTM"``, ``"GRU"`` or ``"GRU_RESET_BEFORE"``.
    weights : for each of the L*D sweeps, layer by layer and in each forward first, (weight_ih (G*H, I), weight_hh (G*H, P),
        bias_ih (G*H), bias_hh (G*H)); the biases may be None.
    dropout, input_dropout, residual : see Stack.
    run_layer : what runs a layer with more than weights (recurrent_options.py), or on a rung below L2; None for plain cells.
    """
    rows, P = array(weights[0][1]).shape
    sizes = (P, rows // CELLS[mode].gates)[: len(CELLS[mode].states)]
    if run_layer is None:
        run_layer = _plain_layers(mode, weights, directions)
    return Stack(run_layer, len(weights) // directions, directions, sizes, dropout, input_dropout, residual)


def run_stack(
    stack: Stack, input: Any, state: State | None, lengths: np.ndarray | None = None, inside: bool = False
) -> tuple[Any, State, list[Inside]]:
    """Run a stack of recurrent layers over a batch of sequences.

    Parameters
    ----------
    input : (T, B, I).
    state : the initial states, each (L*D, B, size), layer by layer and in each forward first: ``(h,)`` or, of an LSTM,
        ``(h, c)``; None is zeros.
    lengths : B integers from 0 to T in any order, None for all T. What lies behind the end of a sequence is not looked
        at.
    inside : whether to keep what went on in each layer.

    Returns
    -------
    output : (T, B, D*P), h of the last layer, zeros behind the end of a sequence.
    state : the final states like `state`, each sequence's at its own end; for the backward direction at its start.
    inside : an Inside for every layer; none if not asked for.
    """
    T, B, features = array(input).shape
    packing = _DENSE if lengths is None else packing_of(lengths, T, B)
    if packing.rows is None:
        x, batch_sizes = contiguous(input), _dense_batch_sizes(T, B)
    else:
        x, batch_sizes = take_rows(reshape(input, (T * B, features)), packing.rows), np.array(packing.batch_sizes, np.int64)
    output, finals, seen = _run_layers(stack, x, batch_sizes, B, state, packing, inside)
    seen = [Inside(*[_padded(each, packing.rows, T, B) for each in layer]) for layer in seen]
    return _padded(output, packing.rows, T, B), finals, seen


def run_packed_stack(
    stack: Stack,
    data: Any,
    batch_sizes: np.ndarray,
    state: State | None,
    order: np.ndarray | None = None,
    inverse: np.ndarray | None = None,
    inside: bool = False,
) -> tuple[Any, State, list[Inside]]:
    """`run_stack` over a batch that is packed already; its results are packed likewise.

    Parameters
    ----------
    data : (N, I), the valid steps, step by step, longest sequence first.
    batch_sizes : (T,) int64, falling: how many sequences reach each step.
    state : as for `run_stack`, in the order of the batch, in which the final states come too.
    order, inverse : which sequences of the batch the rows of a step belong to, and what undoes it; None if they lie as in the
        batch.
    """
    packing = Packing([], order, inverse)
    return _run_layers(stack, contiguous(data), batch_sizes, int(batch_sizes[0]), state, packing, inside)


# ---- short ways, for calls that are plain and not recorded -----------------------------------------------------------
# Each gives None, and does nothing, if anything is not plainly as it says, or a gradient is to be recorded: what is wrong, or
# what to do instead, others say. `parameters` : {name: tensor}. `names` : for every sweep those of weight_ih, weight_hh,
# bias_ih, bias_hh, of which the first `present` are there. `hx` : h, (L*D, B, H), of an LSTM (h, c); or None for zeros.


def recurrent_step(mode: str, input: Any, hx: Any, parameters: Any, names: Any, present: int) -> Any:
    """One step of a stack of layers of plain cells in one direction, for streams: nothing is laid out for more steps.

    Gives (output, state) : from `input`, (B, I), h of the last layer, (B, H), and the new states as in `hx`.
    """
    if not isinstance(input, TensorBase):
        return None
    x, recorded = array(input), recording()
    if x.ndim != 2 or x.size == 0 or (recorded and any_source((input,))):
        return None
    weights = _plain_weights(parameters, names, present, x, recorded)
    if weights is None:
        return None
    weight_hh = weights[0][1]
    states = _plain_states(hx, 2 if mode == "LSTM" else 1, (len(names), x.shape[0], weight_hh.shape[1]), x, recorded)
    if states is None:
        return None
    output, new = backend(x).recurrent_step(mode, x, states, weights)
    return wrap(output), wrap(new[0]) if len(new) == 1 else tuple([wrap(each) for each in new])


def recurrent_dense(mode: str, input: Any, hx: Any, parameters: Any, names: Any, present: int, directions: int) -> Any:
    """A stack of layers of plain cells over a dense batch.

    Gives (output, state) : from `input`, (T, B, I), contiguous, h of the last layer at all steps, (T, B, D*H), and the final
    states as in `hx`.
    """
    if not isinstance(input, TensorBase):
        return None
    x, recorded = array(input), recording()
    if x.ndim != 3 or x.size == 0 or not x.flags.c_contiguous or (recorded and any_source((input,))):
        return None
    weights = _plain_weights(parameters, names, present, x, recorded)
    if weights is None:
        return None
    T, B, features = x.shape
    H = weights[0][1].shape[1]
    states = _plain_states(hx, 2 if mode == "LSTM" else 1, (len(names), B, H), x, recorded)
    if states is None:
        return None
    kernels, batch_sizes, rows, finals = backend(x), _dense_batch_sizes(T, B), x.reshape(T * B, features), []
    for first in range(0, len(names), directions):
        sweeps = []
        for d in range(directions):
            own, c_0 = weights[first + d], states[1][first + d] if len(states) == 2 else None
            sweeps.append(Sweep(own[0], own[1], own[2], own[3], states[0][first + d], c_0, d == 1))
        rows, final, _ = kernels.recurrent_forward(mode, rows, batch_sizes, sweeps, False)
        finals.extend(final)
    joined = tuple([wrap(each[0][None] if len(finals) == 1 else np.stack(each)) for each in zip(*finals)])
    return wrap(rows.reshape(T, B, directions * H)), joined if len(joined) > 1 else joined[0]


def _plain_weights(parameters, names, present, x, recorded):
    """The arrays of the weights, or None if they are not plainly that, or of another dtype or width than x."""
    weights = []
    for own in names:
        found = tuple([parameters.get(name) for name in own])
        for weight in found[:present]:
            if weight is None:
                return None
        if recorded and any_source(found):
            return None
        weights.append(tuple([array(weight) for weight in found]))
    weight_ih = weights[0][0]
    alike = x.dtype is weight_ih.dtype and type(x) is type(weight_ih)
    return weights if alike and x.shape[x.ndim - 1] == weight_ih.shape[1] else None


def _plain_states(hx, count, shape, like, recorded):
    """The arrays of the states, or None if they are not plainly that."""
    if hx is None:
        return (_zeros(like, shape),) * count
    states = (hx,) if count == 1 else hx
    if type(states) is not tuple or len(states) != count:
        return None
    for state in states:
        data = array(state)
        if (
            not isinstance(state, TensorBase)
            or data.shape != shape
            or data.dtype is not like.dtype
            or type(data) is not type(like)
        ):
            return None
    if recorded and any_source(states):
        return None
    return tuple([array(state) for state in states])


# ---- layers one after the other --------------------------------------------------------------------------------------


def _run_layers(
    stack: Stack, x: Any, batch_sizes: np.ndarray, B: int, state: State | None, packing: Packing, inside: bool
) -> tuple[Any, State, list[Inside]]:
    """Output and `Inside` as they come, packed or (T, B, ...); the final states in the order of the batch."""
    finals, seen = [], []
    for number, initial in enumerate(_initial_states(stack, array(x), B, state, packing.order)):
        if number > 0 and stack.dropout > 0:
            x = drop(x, stack.dropout, True)
        given = x if stack.input_dropout == 0 else _drop_features(x, stack.input_dropout, batch_sizes, B)
        outputs, gates = stack.run_layer(number, given, initial, batch_sizes, packing, inside)
        x = outputs[0] + x if stack.residual and number > 0 else outputs[0]
        finals.append(outputs[1 : 1 + len(initial)])
        if inside:
            seen.append(Inside(outputs[0], outputs[1 + len(initial) :], gates))
    joined = finals[0] if len(finals) == 1 else [cat(list(each), 0) for each in zip(*finals)]
    return x, tuple([_permuted(each, packing.inverse) for each in joined]), seen


_DENSE = Packing([])  # as far as it is looked at


@lru_cache(maxsize=256)
def _dense_batch_sizes(T: int, B: int) -> np.ndarray:
    sizes = np.full(T, B, np.int64)
    sizes.flags.writeable = False
    return sizes


def _initial_states(stack: Stack, x: Any, B: int, state: State | None, order: Any) -> list[State]:
    """The initial states of every layer, each (D, B, ...), in the order of the packing."""
    if state is None:
        zeros = {size: _zeros(x, (stack.directions, B, size)) for size in stack.sizes}
        return [tuple([zeros[size] for size in stack.sizes])] * stack.layers
    state = tuple([_permuted(each, order) for each in state])
    return [state] if stack.layers == 1 else list(zip(*[split(each, stack.directions, 0) for each in state]))


def _zeros(like: Any, shape: tuple) -> Any:
    """Zeros of the array type of `like`; `np.zeros` takes a tenth of the time."""
    return np.zeros(shape, like.dtype) if type(like) is np.ndarray else np.zeros_like(like, shape=shape)


def _drop_features(x: Any, p: float, batch_sizes: np.ndarray, B: int) -> Any:
    """`x` times one mask (B, features) for all steps (Gal and Ghahramani 2016)."""
    values = array(x)
    mask = keep_mask(values, (B, values.shape[-1]), p)
    if values.ndim == 2:
        starts = np.cumsum(batch_sizes) - batch_sizes
        mask = mask[np.asarray(np.arange(values.shape[0]) - np.repeat(starts, batch_sizes), like=mask)]
    return x * mask


def _permuted(state: Any, order: np.ndarray | None) -> Any:
    """(K, B, ...) with its second dimension in another order."""
    if order is None:
        return state
    K, B, width = array(state).shape
    rows = (np.arange(K)[:, None] * B + order).ravel()
    return reshape(take_rows(reshape(state, (K * B, width)), rows), (K, B, width))


def _padded(x: Any, rows: np.ndarray | None, T: int, B: int) -> Any:
    """Packed rows as (T, B, ...); of a list each."""
    if isinstance(x, (list, tuple)):
        return [_padded(each, rows, T, B) for each in x]
    if x is None or array(x).ndim == 3:
        return x
    return reshape(put_rows(x, rows, T * B), (T, B, array(x).shape[1]))


# ---- one layer -----------------------------------------------------------------------------------------------------

_PLAIN = {1: (Constants(),), 2: (Constants(), Constants(reverse=True))}


def _plain_layers(mode: str, weights: Sequence[tuple], D: int) -> Callable:
    """What runs the layers of plain cells."""

    def run_layer(number, x, initial, batch_sizes, packing, inside):
        own = weights[number * D : (number + 1) * D]
        flat = own[0] if D == 1 else (*own[0], *own[1])
        return run_layer_on("L2", mode, x, initial, batch_sizes, flat, _PLAIN[D], inside)

    return run_layer


def run_layer_on(
    rung: str,
    mode: str,
    x: Any,
    states: State,
    batch_sizes: np.ndarray,
    weights: tuple,
    constants: Sequence[Constants],
    inside: bool,
) -> tuple[tuple, list]:
    """One layer on a rung; parameters and results as of `fused_layer`. There are gates on rung L2 only."""
    with_cells = inside and len(states) > 1
    if rung == "L2":
        with_gates = inside and CELLS[mode].gates > 1
        return fused_layer(mode, x, states, batch_sizes, weights, constants, with_cells, with_gates)
    sweeps = sweeps_of_tensors(weights, states, constants)
    rows = reshape(x, (-1, array(x).shape[-1])) if array(x).ndim == 3 else x
    output, *others = stepped_layer(mode, rows, batch_sizes, sweeps, rung == "L0", with_cells)
    return (reshape(output, (*array(x).shape[:-1], array(output).shape[1])), *others), []
