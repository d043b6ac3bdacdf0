"""Recurrent layers: the stack of layers and directions, over dense and ragged batches.

There are three rungs, which the tests hold equal: L2, one node per layer (recurrent_fused.py), on which everything runs; L1,
one node per step, and L0, primitive ops (both in recurrent_stepped.py). Inputs are packed (packing.py): one code for dense
batches, where every step has all B rows, and for ragged ones, where the batch shrinks as sequences end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.engine.base import wrap
from tinyrnn.engine.modes import recording
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops.casting import array
from tinyrnn.ops.dropout import dropout as drop
from tinyrnn.ops.normalization import layer_norm
from tinyrnn.ops.packing import Packing, packing_of, put_rows, take_rows
from tinyrnn.ops.products import linear
from tinyrnn.ops.recurrent_cells import CELLS
from tinyrnn.ops.recurrent_fused import Constants, any_source, fused_layer, sweeps_of_tensors
from tinyrnn.ops.recurrent_stepped import stepped_layer
from tinyrnn.ops.shaping import contiguous, reshape
from tinyrnn.ops.slicing import cat, narrow, select, split

State = tuple[Any, ...]


class Options(NamedTuple):
    """What a sweep may have besides the weights of a plain cell; the equations are in kernels/sweeps.py.

    weight_hr : (P, H), the projection of an LSTM.
    peephole : (3, H), of an LSTM.
    norm_x : (weight, bias), (G*H,) each: layer normalization of W_ih x; b_ih is added after it.
    norm_h : (weight, bias), (G*H,) each: layer normalization of W_hh h; b_hh is added after it.
    norm_c : (weight, bias), (H,) each, of an LSTM: layer normalization of c on its way to the output.
    recurrent_mask : (B, P), an array of factors on h in the product with W_hh.
    zoneout_h, zoneout_c : the share of the old state that is kept: a number, or an array of zeros and ones, (T, B, P) and
        (T, B, H).
    """

    weight_hr: Any = None
    peephole: Any = None
    norm_x: tuple[Any, Any] | None = None
    norm_h: tuple[Any, Any] | None = None
    norm_c: tuple[Any, Any] | None = None
    recurrent_mask: Any = None
    zoneout_h: Any = None
    zoneout_c: Any = None


class Inside(NamedTuple):
    """What went on in one layer, zeros behind the end of a sequence.

    output : (T, B, D*P).
    cells : for each direction c after every step, (T, B, H); empty if the cell has none.
    gates : for each direction the activated gates, (T, B, ...) as in kernels/sweeps.py `Saved`, None if the cell has none; they
        have no gradient.
    """

    output: Any
    cells: list
    gates: list


def recurrent(
    mode: str,
    input: Any,
    state: State | None,
    weights: Sequence[tuple],
    lengths: np.ndarray | None = None,
    bidirectional: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    options: Sequence[Options] | None = None,
    rung: str = "L2",
) -> tuple[Any, State]:
    """Run a stack of recurrent layers over a batch of sequences.

    Parameters
    ----------
    mode : ``"RNN_TANH"``, ``"RNN_RELU"``, ``"LSTM"``, ``"GRU"`` or ``"GRU_RESET_BEFORE"``.
    input : (T, B, I).
    state : the initial states, each (L*D, B, P) or, c of an LSTM, (L*D, B, H), layer by layer and in each forward first:
        ``(h,)`` or ``(h, c)``; None is zeros. P is H where there is no projection.
    weights : for each of the L*D sweeps (weight_ih (G*H, I), weight_hh (G*H, P), bias_ih (G*H), bias_hh (G*H)); the
        biases may be None.
    lengths : B integers from 0 to T in any order, None for all T. What lies behind the end of a sequence is not looked
        at.
    dropout : probability with which, if `training`, every output of a layer is dropped on its way to the next one.
    options : for each of the L*D sweeps what it has besides weights; None for plain cells.
    rung : "L2", one node per layer; "L1", one per step; "L0", primitive ops: for tests.

    Returns
    -------
    output : (T, B, D*P), h of the last layer, zeros behind the end of a sequence.
    state : the final states like `state`, each sequence's at its own end; for the backward direction at its start.
    """
    output, finals, _ = run_layers(mode, input, state, weights, lengths, bidirectional, dropout, training, options, rung)
    return output, finals


def recurrent_step(mode: str, input: Any, state: State | None, weights: Sequence[tuple]) -> tuple[Any, State]:
    """One step of a stack of layers of plain cells in one direction, for streams: nothing is laid out for more steps.

    Parameters
    ----------
    input : (B, I).
    mode, state, weights : as for `recurrent`.

    Returns
    -------
    output : (B, H), h of the last layer. state : the new states. On the tape like every op.
    """
    x = array(input)
    if recording() and any_source((input, *(state or ()), *[w for own in weights for w in own])):
        output, state = recurrent(mode, reshape(input, (1, *x.shape)), state, weights)
        return select(output, 0, 0), state
    if state is None:
        h_0 = _zeros(x, (len(weights), x.shape[0], array(weights[0][1]).shape[1]))
        arrays: tuple = (h_0,) * len(CELLS[mode].states)
    else:
        arrays = tuple([array(each) for each in state])
    own = [tuple([None if w is None else array(w) for w in each]) for each in weights]
    output, new = backend(x).recurrent_step(mode, x, arrays, own)
    return wrap(output), tuple([wrap(each) for each in new])


def run_layers(
    mode: str,
    input: Any,
    state: State | None,
    weights: Sequence[tuple],
    lengths: np.ndarray | None = None,
    bidirectional: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    options: Sequence[Options] | None = None,
    rung: str = "L2",
    inside: bool = False,
) -> tuple[Any, State, list[Inside]]:
    """`recurrent`, and if `inside` what went on in each layer; the gates only on rung L2."""
    T, B, features = array(input).shape
    packing = _DENSE if lengths is None else packing_of(lengths, T, B)
    if packing.rows is None:
        x, batch_sizes = contiguous(input), _dense_batch_sizes(T, B)
    else:
        x, batch_sizes = take_rows(reshape(input, (T * B, features)), packing.rows), np.array(packing.batch_sizes, np.int64)
    stack = _Stack(mode, weights, 2 if bidirectional else 1, dropout if training else 0.0, options, rung, inside)
    output, finals, seen = _run_stack(stack, x, batch_sizes, B, state, packing)
    seen = [Inside(*[_padded(each, packing.rows, T, B) for each in layer]) for layer in seen]
    return _padded(output, packing.rows, T, B), finals, seen


def packed_recurrent(
    mode: str,
    data: Any,
    batch_sizes: np.ndarray,
    state: State | None,
    weights: Sequence[tuple],
    order: np.ndarray | None = None,
    inverse: np.ndarray | None = None,
    bidirectional: bool = False,
    dropout: float = 0.0,
    training: bool = False,
) -> tuple[Any, State]:
    """`recurrent` over a batch that is packed already.

    Parameters
    ----------
    data : (N, I), the valid steps, step by step, longest sequence first.
    batch_sizes : (T,) int64, falling: how many sequences reach each step.
    state : as for `recurrent`, in the order of the batch.
    order, inverse : which sequences of the batch the rows of a step belong to, and what undoes it; None if they lie as in the
        batch.

    Returns
    -------
    output : (N, D*P), packed likewise. state : the final states, in the order of the batch.
    """
    stack = _Stack(mode, weights, 2 if bidirectional else 1, dropout if training else 0.0, None, "L2", False)
    packing = Packing([], order, inverse)
    output, finals, _ = _run_stack(stack, contiguous(data), batch_sizes, int(batch_sizes[0]), state, packing)
    return output, finals


class _Stack(NamedTuple):
    """Layers above each other: what runs, whatever it runs over."""

    mode: str
    weights: Sequence[tuple]
    directions: int
    dropout: float
    options: Sequence[Options] | None
    rung: str
    inside: bool


def _run_stack(
    stack: _Stack, x: Any, batch_sizes: np.ndarray, B: int, state: State | None, packing: Packing
) -> tuple[Any, State, list[Inside]]:
    """Output and `Inside` as they come, packed or (T, B, ...); the final states in the order of the batch."""
    mode, weights, D, dropout, options, rung, inside = stack
    states = _initial_states(mode, array(x), B, state, weights, D, packing.order)
    finals, seen = [], []
    for number, initial in enumerate(states):
        if number > 0:
            x = drop(x, dropout, True)
        these = slice(number * D, (number + 1) * D)
        extras = None if options is None else options[these]
        layer = _plain_layer if extras is None else _layer_with_options
        outputs, gates = layer(rung, mode, x, initial, batch_sizes, weights[these], extras, packing, inside)
        x = outputs[0]
        finals.append(outputs[1 : 1 + len(initial)])
        if inside:
            seen.append(Inside(x, outputs[1 + len(initial) :], gates))
    joined = finals[0] if len(finals) == 1 else [cat(list(each), 0) for each in zip(*finals)]
    return x, tuple([_permuted(each, packing.inverse) for each in joined]), seen


_DENSE = Packing([])  # as far as it is looked at
_PLAIN = {1: (Constants(),), 2: (Constants(), Constants(reverse=True))}


@lru_cache(maxsize=256)
def _dense_batch_sizes(T: int, B: int) -> np.ndarray:
    sizes = np.full(T, B, np.int64)
    sizes.flags.writeable = False
    return sizes


def _initial_states(
    mode: str, x: Any, B: int, state: State | None, weights: Sequence[tuple], D: int, order: Any
) -> list[State]:
    """The initial states of every layer, each (D, B, ...), in the order of the packing."""
    if state is None:
        rows, P = array(weights[0][1]).shape
        H = rows // CELLS[mode].gates
        h_0 = _zeros(x, (D, B, P))
        initial = (h_0,) if len(CELLS[mode].states) == 1 else (h_0, h_0 if H == P else _zeros(x, (D, B, H)))
        return [initial] * (len(weights) // D)
    state = tuple([_permuted(each, order) for each in state])
    return [state] if len(weights) == D else list(zip(*[split(each, D, 0) for each in state]))


def _zeros(like: Any, shape: tuple) -> Any:
    """Zeros of the array type of `like`; `np.zeros` takes a tenth of the time."""
    return np.zeros(shape, like.dtype) if type(like) is np.ndarray else np.zeros_like(like, shape=shape)


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


def _plain_layer(rung, mode, x, states, batch_sizes, weights, options, packing, inside):
    """Outputs and gates of a layer of plain cells, as `fused_layer` returns them."""
    flat = weights[0] if len(weights) == 1 else (*weights[0], *weights[1])
    return _run(rung, mode, x, states, batch_sizes, flat, _PLAIN[len(weights)], inside)


def _layer_with_options(rung, mode, x, states, batch_sizes, weights, options, packing, inside):
    constants = [_constants(each, d == 1, packing) for d, each in enumerate(options)]
    if options[0].norm_x is None:
        flat = sum([_flat(*each) for each in zip(weights, options)], ())
        return _run(rung, mode, x, states, batch_sizes, flat, constants, inside)
    runs = []  # every direction has a projected input of its own
    for d, (own, extras) in enumerate(zip(weights, options)):
        flat = _flat((None, own[1], None, own[3]), extras)
        initial = tuple([narrow(each, 0, d, 1) for each in states])
        runs.append(_run(rung, mode, _projected(x, own, extras), initial, batch_sizes, flat, constants[d : d + 1], inside))
    if len(runs) == 1:
        return runs[0]
    output, *others = zip(*[outputs for outputs, _ in runs])
    finals, cells = others[: len(states)], others[len(states) :]
    joined = [cat(list(each), 0) for each in finals]
    return (cat(list(output), -1), *joined, *[c for each in cells for c in each]), [g for _, gates in runs for g in gates]


def _projected(x: Any, weights: tuple, options: Options) -> Any:
    """``norm_x(W_ih x) + b_ih``."""
    weight, bias = options.norm_x  # type: ignore[misc]
    if weights[2] is not None:
        bias = bias + weights[2]
    return layer_norm(linear(x, weights[0]), array(weight).shape, weight, bias)


def _flat(weights: tuple, options: Options) -> tuple:
    """The weights of a sweep in a row, as `fused_layer` wants them."""
    norms = (*(options.norm_h or (None, None)), *(options.norm_c or (None, None)))
    return (*weights, options.weight_hr, options.peephole, *norms)


def _constants(options: Options, reverse: bool, packing: Packing) -> Constants:
    """The masks in the order of the packing."""
    mask = options.recurrent_mask
    if mask is not None and packing.order is not None:
        mask = mask[packing.order]
    return Constants(reverse, mask, *[_packed_mask(each, packing.rows) for each in (options.zoneout_h, options.zoneout_c)])


def _packed_mask(zoneout: Any, rows: np.ndarray | None) -> Any:
    if not hasattr(zoneout, "shape"):
        return zoneout
    flat = zoneout.reshape(-1, zoneout.shape[-1])
    return flat if rows is None else flat[rows]


def _run(rung, mode, x, states, batch_sizes, weights, constants, inside):
    with_cells = inside and len(states) > 1
    if rung == "L2":
        with_gates = inside and CELLS[mode].gates > 1
        return fused_layer(mode, x, states, batch_sizes, weights, constants, with_cells, with_gates)
    sweeps = sweeps_of_tensors(weights, states, constants)
    rows = reshape(x, (-1, array(x).shape[-1])) if array(x).ndim == 3 else x
    output, *others = stepped_layer(mode, rows, batch_sizes, sweeps, rung == "L0", with_cells)
    return (reshape(output, (*array(x).shape[:-1], array(output).shape[1])), *others), []
