"""A recurrent layer as one node on the tape (rung L2): the fused sweep over all steps, in both directions.

Backward is a kernel too. While backward itself is recorded, the layer is run again step by step (recurrent_stepped.py), and
that is differentiated.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.engine.backward import gradients_of
from tinyrnn.engine.base import TensorBase, version_of, wrap
from tinyrnn.engine.modes import recording
from tinyrnn.engine.tape import record, requires_grad, source_of
from tinyrnn.kernels.dispatch import backend
from tinyrnn.kernels.sweeps import Saved, Sweep
from tinyrnn.ops.casting import array
from tinyrnn.ops.recurrent_stepped import stepped_layer
from tinyrnn.ops.shaping import reshape
from tinyrnn.ops.slicing import select


class Constants(NamedTuple):
    """What a sweep has that no gradient flows to; see kernels/sweeps.py."""

    reverse: bool = False
    recurrent_mask: Any = None
    zoneout_h: Any = None
    zoneout_c: Any = None


class Plan(NamedTuple):
    """What a layer's node knows besides its inputs and outputs."""

    mode: str
    batch_sizes: np.ndarray
    constants: Sequence[Constants]
    states: int  # how many there are
    with_cells: bool
    kept: list[Saved]


def _sweeps(weights: Sequence, states: Sequence, constants: Sequence[Constants], take: Any) -> list[Sweep]:
    """The Sweep of every direction. ``take(state, d)`` cuts the initial states of direction d out of (D, B, ...)."""
    sweeps = []
    count = len(weights) // len(constants)
    for d, (reverse, mask, zoneout_h, zoneout_c) in enumerate(constants):
        own = weights[d * count : (d + 1) * count]
        w_ih, w_hh, b_ih, b_hh = own[:4]
        w_hr, peephole = own[4:6] or (None, None)
        norm_h, norm_c = _pair(own[6:8]), _pair(own[8:10])
        h_0, c_0 = take(states[0], d), take(states[1], d) if len(states) > 1 else None
        sweeps.append(
            Sweep(
                w_ih, w_hh, b_ih, b_hh, h_0, c_0, reverse, w_hr, peephole, norm_h, norm_c, mask, zoneout_h, zoneout_c
            )
        )  # fmt: skip
    return sweeps


def _pair(weights):
    """Weight and bias of a normalization; None if they are absent."""
    return tuple(weights) if weights and weights[0] is not None else None


def sweeps_of_tensors(weights: Sequence, states: Sequence, constants: Sequence[Constants]) -> list[Sweep]:
    """The Sweep of every direction, for `stepped_layer`; parameters as in `fused_layer`."""
    return _sweeps(weights, states, constants, lambda state, d: select(state, 0, d))


def fused_layer(
    mode: str,
    x: Any,
    states: tuple,
    batch_sizes: np.ndarray,
    weights: tuple,
    constants: Sequence[Constants],
    with_cells: bool = False,
    with_gates: bool = False,
) -> tuple[tuple, list]:
    """Run one layer in D directions.

    Parameters
    ----------
    x : (N, I), packed rows; or (T, B, I), the rows of a dense batch.
    states : h_0 and, for an LSTM, c_0: (D, B, ...), in the order of the packing.
    batch_sizes : (T,) int64, rows of every step, falling.
    weights : for each direction weight_ih, weight_hh, bias_ih, bias_hh, and if there are options (not only masks) weight_hr,
        peephole, weight and bias of norm_h, weight and bias of norm_c; None where there is none. All in a row.
    constants : D Constants.
    with_cells : return also what c was after every step.
    with_gates : return also the activated gates.

    Returns
    -------
    outputs : output (N, D*P) or (T, B, D*P), then each final state (D, B, ...), then if `with_cells` the D cell states (N, H).
    gates : if `with_gates` for each direction (N, ...), see Saved; these have no gradient.
    """
    data = array(x)
    rows = data.reshape(-1, data.shape[-1]) if data.ndim == 3 else data
    inputs = (x, *states, *weights)
    sweeps = _sweeps([array(w) for w in weights], [array(state) for state in states], constants, operator.getitem)
    recorded = recording() and any_source(inputs)
    save = recorded or with_cells or with_gates
    output, finals, kept = backend(data).recurrent_forward(mode, rows, batch_sizes, sweeps, save)
    output = output.reshape(*data.shape[:-1], output.shape[1])
    cells = tuple([each.cells for each in kept]) if with_cells else ()
    saved = ()
    if recorded:  # cells are named as outputs too: then writing to them is noticed
        saved = (*inputs, output, *cells, Plan(mode, batch_sizes, constants, len(states), with_cells, kept))
    outputs = record(recurrent_backward, inputs, (output, *[_stacked(each) for each in zip(*finals)], *cells), saved)
    return outputs, [each.gates.copy() for each in kept] if with_gates else []


def any_source(inputs):
    """Whether a gradient flows to one of them."""
    for x in inputs:
        if source_of(x) is not None:
            return True
    return False


def _stacked(parts):
    """Arrays of the directions, (B, ...) each, as (D, B, ...)."""
    return parts[0][None] if len(parts) == 1 else np.stack(parts)


def recurrent_backward(node, *arguments):
    count = len(node.shapes)
    gradients, saved, plan = arguments[:count], arguments[count:-1], arguments[-1]
    inputs, output = saved[: len(node.sources)], saved[len(node.sources)]
    if isinstance(output, TensorBase):
        return _stepped_backward(node, gradients, inputs, plan)
    return _fused_backward(node, gradients, inputs, output, plan)


def _fused_backward(node, gradients, inputs, output, plan):
    D = len(plan.constants)
    x, states, weights = inputs[0], inputs[1 : 1 + plan.states], inputs[1 + plan.states :]
    grad_output, *others = gradients
    grad_finals, grad_cells = others[: len(states)], others[len(states) :] or [None] * D
    rows, output = _as_rows(x), _as_rows(output)
    grad_x, grads = backend(x).recurrent_backward(
        plan.mode,
        None if grad_output is None else _as_rows(grad_output),
        [tuple([None if g is None else g[d] for g in grad_finals]) for d in range(D)],
        grad_cells,
        rows,
        plan.batch_sizes,
        _sweeps(weights, states, plan.constants, operator.getitem),
        output,
        plan.kept,
        node.needs(0),
    )
    grad_states = [_stacked([(g.h_0, g.c_0)[number] for g in grads]) for number in range(len(states))]
    result = [None if grad_x is None else grad_x.reshape(x.shape), *grad_states]
    for g in grads:
        result += (g.weight_ih, g.weight_hh, g.bias_ih, g.bias_hh)
        if len(weights) > 4 * D:
            result += (g.weight_hr, g.peephole, *(g.norm_h or (None, None)), *(g.norm_c or (None, None)))
    return tuple(result)


def _as_rows(x):
    return x.reshape(-1, x.shape[-1]) if x.ndim == 3 else x


# ---- while backward is recorded --------------------------------------------------------------------------------------


def _stepped_backward(node, gradients, inputs, plan):
    """The gradients as recorded ops: those of the layer run again step by step."""
    inputs = [_cut_off(x) if node.needs(index) else x for index, x in enumerate(inputs)]
    states, weights = inputs[1 : 1 + plan.states], inputs[1 + plan.states :]
    sweeps = sweeps_of_tensors(weights, states, plan.constants)
    x = inputs[0] if array(inputs[0]).ndim == 2 else reshape(inputs[0], (-1, array(inputs[0]).shape[-1]))
    outputs = stepped_layer(plan.mode, x, plan.batch_sizes, sweeps, composed=False, with_cells=plan.with_cells)
    outputs = (reshape(outputs[0], node.shapes[0]), *outputs[1:])
    pairs = [(y, g if isinstance(g, TensorBase) else wrap(g)) for y, g in zip(outputs, gradients) if g is not None]
    pairs = [(y, g) for y, g in pairs if isinstance(y, TensorBase) and requires_grad(y)]
    wanted = [index for index in range(len(inputs)) if node.needs(index)]
    found = gradients_of([y for y, _ in pairs], [inputs[index] for index in wanted], [g for _, g in pairs], create_graph=True)
    for index in wanted:
        _attach_again(inputs[index], node, index)
    # no step at all: zeros, as without a graph
    by_index = {k: wrap(np.zeros_like(array(inputs[k]))) if g is None else g for k, g in zip(wanted, found)}
    return tuple([by_index.get(index) for index in range(len(inputs))])


def _cut_off(x):
    """`x` without what lies behind it: the gradients asked for are those of this layer alone."""
    leaf = wrap(x.array)
    leaf.tracked = True
    head = record(_pass_on, (leaf,), x.array)
    head.version = version_of(x)
    return head


def _attach_again(head, node, index):
    """Lead the gradients of what was cut off to where the node sends its own."""
    head.node.sources = (node.sources[index],)
    head.node.slots = None if node.slots is None else (node.slots[index],)


def _pass_on(node, g):
    return g
