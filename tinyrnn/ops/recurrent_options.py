"""What a recurrent layer may have besides the weights of a plain cell, on the same fused sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.normalization import layer_norm
from tinyrnn.ops.products import linear
from tinyrnn.ops.recurrent import run_layer_on
from tinyrnn.ops.recurrent_fused import Constants
from tinyrnn.ops.slicing import cat, narrow


class Options(NamedTuple):
    """The options of one sweep; their equations are in kernels/sweeps.py.

    weight_hr : (P, H), the projection of an LSTM.
    peephole : (3, H), of an LSTM.
    norm_x : (weight, bias), (G*H,) each: layer normalization of W_ih x; b_ih is added after it.
    norm_h : (weight, bias), (G*H,) each: layer normalization of W_hh h; b_hh is added after it.
    norm_c : (weight, bias), (H,) each, of an LSTM: layer normalization of c on its way to the output.
    recurrent_mask : (B, P), an array of factors on h in the product with W_hh.
    zoneout_h, zoneout_c : the share of the old state that is kept: a number, or an array of zeros and ones, (T, B, P) and
        (T, B, H), of a packed batch (N, P) and (N, H).
    """

    weight_hr: Any = None
    peephole: Any = None
    norm_x: tuple[Any, Any] | None = None
    norm_h: tuple[Any, Any] | None = None
    norm_c: tuple[Any, Any] | None = None
    recurrent_mask: Any = None
    zoneout_h: Any = None
    zoneout_c: Any = None


def layers_with_options(
    mode: str, weights: Sequence[tuple], options: Sequence[Options], directions: int = 1, rung: str = "L2"
) -> Callable:
    """What runs the layers, for `stack_of_cells`.

    weights, options : for each of the L*D sweeps.
    rung : "L2", one node per layer; "L1", one per step; "L0", primitive ops: for tests.
    """

    def run_layer(number, x, initial, batch_sizes, packing, inside):
        these = slice(number * directions, (number + 1) * directions)
        own, extras = weights[these], options[these]
        constants = [_constants(each, d == 1, packing) for d, each in enumerate(extras)]
        if extras[0].norm_x is not None:
            return _run_on_projected(rung, mode, x, initial, batch_sizes, own, extras, constants, inside)
        flat = sum([_flat(*each) for each in zip(own, extras)], ())
        return run_layer_on(rung, mode, x, initial, batch_sizes, flat, constants, inside)

    return run_layer


def _run_on_projected(rung, mode, x, states, batch_sizes, weights, options, constants, inside):
    """A layer that normalizes W_ih x: every direction has a projected input of its own."""
    runs = []
    for d, (own, extras) in enumerate(zip(weights, options)):
        flat = _flat((None, own[1], None, own[3]), extras)
        initial = tuple([narrow(each, 0, d, 1) for each in states])
        runs.append(
            run_layer_on(
                rung, mode, _projected(x, own, extras), initial, batch_sizes, flat, constants[d : d + 1], inside
            )
        )  # fmt: skip
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
    normalized = layer_norm(linear(x, weights[0]), array(weight).shape, weight, bias)
    return cast(normalized, array(x).dtype)  # autocast may have made it float32


def _flat(weights: tuple, options: Options) -> tuple:
    """The weights of a sweep in a row, as `fused_layer` wants them."""
    norms = (*(options.norm_h or (None, None)), *(options.norm_c or (None, None)))
    return (*weights, options.weight_hr, options.peephole, *norms)


def _constants(options: Options, reverse: bool, packing: Any) -> Constants:
    """The masks in the order of the packing."""
    mask = options.recurrent_mask
    if mask is not None and packing.order is not None:
        mask = mask[np.asarray(packing.order, like=mask)]
    return Constants(reverse, mask, *[_packed_mask(each, packing.rows) for each in (options.zoneout_h, options.zoneout_c)])


def _packed_mask(zoneout: Any, rows: np.ndarray | None) -> Any:
    if not hasattr(zoneout, "shape"):
        return zoneout
    flat = zoneout.reshape(-1, zoneout.shape[-1])
    return flat if rows is None else flat[np.asarray(rows, like=flat)]
