"""What the recurrent kernels take and give besides plain arrays: the parameters of a sweep, and what backward needs of it.

A sweep is one cell going over a batch of sequences in one direction. Letters as in interface.py, and: G gates of the mode
(RNN 1, GRU 3, LSTM 4), P features of h (H without projection), N packed rows of all steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Array = Any

# The names of the cells: PyTorch's, and Cho's GRU, whose reset gate comes before the product.
MODES = ("RNN_TANH", "RNN_RELU", "LSTM", "GRU", "GRU_RESET_BEFORE")


class Sweep(NamedTuple):
    """One direction of one layer: everything but its input. None: absent.

    ``gates = W_ih x + b_ih + norm_h(W_hh (mask * h)) + b_hh``, then the cell, the projection, and zoneout.

    weight_ih : (G*H, I); None if the input already holds the projections, (N, G*H).
    weight_hh : (G*H, P).
    bias_ih, bias_hh : (G*H,); bias_ih is None if weight_ih is.
    h_0, c_0 : the initial states, (B, P) and, of an LSTM, (B, H).
    reverse : each sequence is read from its own last step to its first.
    weight_hr : (P, H), the projection of an LSTM: h = W_hr (o * tanh(c)) (Sak et al. 2014).
    peephole : (3, H), of an LSTM: factors on c in the gates i, f (c of the step before) and o (the new c), before the sigmoid
        (Gers and Schmidhuber 2000).
    norm_h : (weight, bias), (G*H,) each: layer normalization of the product W_hh h over all gates together (Ba et al. 2016).
        With the reset gate before the product, those of r and z together, (2 H,), and that of n on its own, (H,).
    norm_c : (weight, bias), (H,) each, of an LSTM: c is normalized on its way to the output, and carried on as it is.
    recurrent_mask : (B, P), factors on h in the product with W_hh and nowhere else, the same at every step (Gal and Ghahramani
        2016).
    zoneout_h, zoneout_c : the share of the old state that is kept: h = h~ + z (h_before - h~), z a number, or rows of zeros and
        ones, (N, P) and (N, H) (Krueger et al. 2017). Only what is carried on: h~ comes from c~, the new c before zoneout.
    """

    weight_ih: Array | None
    weight_hh: Array
    bias_ih: Array | None
    bias_hh: Array | None
    h_0: Array
    c_0: Array | None = None
    reverse: bool = False
    weight_hr: Array | None = None
    peephole: Array | None = None
    norm_h: tuple[Array, Array] | None = None
    norm_c: tuple[Array, Array] | None = None
    recurrent_mask: Array | None = None
    zoneout_h: Array | float | None = None
    zoneout_c: Array | float | None = None


class Saved(NamedTuple):
    """What a sweep keeps for backward, and for those who want to look inside.

    cells : (N, H), c of an LSTM after every step, else None.
    gates : the activated gates of every step, (N, 4*H) i, f, g, o of an LSTM; (N, 4*H) r, z, n and the hidden part of n (what r
        multiplies) of a GRU, (N, 3*H) r, z, n if it resets before the product; None of an RNN.
    extra : what else the backend wants, as it likes.
    """

    cells: Array | None
    gates: Array | None
    extra: Any
