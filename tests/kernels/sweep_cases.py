"""Random calls of the recurrent kernels, with every option, for the tests of the sweep."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import strategies as st

from tinyrnn.kernels import reference
from tinyrnn.kernels.sweeps import MODES, Sweep

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3, "GRU_RESET_BEFORE": 3}
OPTIONS = ("norm_h", "recurrent_mask", "zoneout_h")
LSTM_OPTIONS = ("weight_hr", "peephole", "norm_c", "zoneout_c")
SEED = int(os.environ.get("TINYRNN_TEST_SEED", "0"))  # draws other numbers for all of them


def batch_sizes_of(lengths):
    lengths = np.asarray(lengths)
    return np.array([(lengths > t).sum() for t in range(lengths.max(initial=0))], np.int64)


class Call:
    """The arguments of one `recurrent_forward`, and of the `recurrent_backward` to it.

    options : names of fields of Sweep, of OPTIONS and LSTM_OPTIONS; "zoneout_*" with "=number" is the number, without a mask.
    without : of "bias_ih", "bias_hh", "weight_ih": what is absent.
    """

    def __init__(self, mode, lengths=(5, 5, 5), I=3, H=5, D=1, options=(), without=(), dtype=np.float64, seed=0):  # noqa: E741
        self.rng = np.random.default_rng([seed, SEED])
        self.mode, self.dtype, self.H = mode, dtype, H
        self.batch_sizes = batch_sizes_of(lengths)
        self.B, self.N = len(lengths), int(self.batch_sizes.sum())
        self.P = max(1, H // 2) if "weight_hr" in options else H
        self.x = self.draw(self.N, GATES[mode] * H if "weight_ih" in without else I)
        self.sweeps = [self.sweep(I, d == 1, options, without) for d in range(D)]
        self.shown = f"Call({mode!r}, {lengths}, {I=}, {H=}, {D=}, {options=}, {without=}, {dtype=}, {seed=})"

    def __repr__(self):  # what Hypothesis prints of a call that fails
        return self.shown

    def draw(self, *shape, scale=1.0, around=0.0):
        return (around + scale * self.rng.standard_normal(shape)).astype(self.dtype)

    def sweep(self, features, reverse, options, without):
        wide, lstm, H, P = GATES[self.mode] * self.H, self.mode == "LSTM", self.H, self.P
        fields = {
            "weight_ih": self.draw(wide, features, scale=min(0.5, features**-0.5)),
            "weight_hh": self.draw(wide, P, scale=min(0.5, P**-0.5)),  # larger ones make chaos
            "bias_ih": self.draw(wide),
            "bias_hh": self.draw(wide),
            "h_0": self.draw(self.B, P),
            "c_0": self.draw(self.B, H) if lstm else None,
            "reverse": reverse,
        }
        fields |= dict.fromkeys(without) | ({"bias_ih": None} if "weight_ih" in without else {})
        for option in options:
            name, _, number = option.partition("=")
            if name in OPTIONS or lstm:
                fields[name] = self.dtype(number).item() if number else self.option(name, wide)
        return Sweep(**fields)

    def option(self, name, wide):
        H, P = self.H, self.P
        if name.startswith("norm"):
            size = wide if name == "norm_h" else H
            return self.draw(size, scale=0.3, around=1.0), self.draw(size)
        shapes = {"weight_hr": (P, H), "peephole": (3, H)}
        if name in shapes:
            return self.draw(*shapes[name])
        shape = {"recurrent_mask": (self.B, P), "zoneout_h": (self.N, P), "zoneout_c": (self.N, H)}[name]
        mask = (self.rng.random(shape) < 0.6).astype(self.dtype)
        return mask * self.dtype(1.5) if name == "recurrent_mask" else mask

    # ---- running it ----

    def forward(self, kernels=reference, save=True):
        return kernels.recurrent_forward(self.mode, self.x, self.batch_sizes, self.sweeps, save)

    def gradients(self, wanted=("output", "finals", "cells")):
        """Random gradients of the wanted results, None for the others: what `recurrent_backward` begins with.

        The same ones whenever they are asked for.
        """
        D = len(self.sweeps)
        lstm = self.mode == "LSTM"
        self.rng = np.random.default_rng([99, SEED])
        output = self.draw(self.N, D * self.P)
        finals = [(self.draw(self.B, self.P), *([self.draw(self.B, self.H)] if lstm else [])) for _ in range(D)]
        cells = [self.draw(self.N, self.H) if lstm else None for _ in range(D)]
        return (
            output if "output" in wanted else None,
            finals if "finals" in wanted else [(None,) * len(each) for each in finals],
            cells if "cells" in wanted else [None] * D,
        )

    def backward(self, output, saved, gradients, kernels=reference, needs_x=True):
        return kernels.recurrent_backward(
            self.mode, *gradients, self.x, self.batch_sizes, self.sweeps, output, saved, needs_x
        )  # fmt: skip

    def arrays(self):
        """Every array that has a gradient, by where it is: "x", or (d, field) or (d, field, 0 or 1)."""
        found = {"x": self.x}
        for d, sweep in enumerate(self.sweeps):
            found |= {(d, *key): value for key, value in arrays_of(sweep).items()}
        return found

    def replaced(self, key, value):
        """The same call with another array at `key`."""
        other = object.__new__(Call)
        vars(other).update(vars(self))
        if key == "x":
            other.x = value
            return other
        d, field, *place = key
        if place:
            pair = list(getattr(self.sweeps[d], field))
            pair[place[0]] = value
            value = tuple(pair)
        other.sweeps = list(self.sweeps)
        other.sweeps[d] = self.sweeps[d]._replace(**{field: value})
        return other


FIELDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "h_0", "c_0", "weight_hr", "peephole", "norm_h", "norm_c")


def arrays_of(sweep):
    """The arrays of a Sweep that have a gradient (or of one of gradients), by field and place in a pair."""
    found = {}
    for field in FIELDS:
        value = getattr(sweep, field)
        if isinstance(value, tuple):
            found |= {(field, place): each for place, each in enumerate(value)}
        elif value is not None:
            found[field,] = value
    return found


def gradients_by_key(grad_x, grads):
    found = {} if grad_x is None else {"x": grad_x}
    for d, sweep in enumerate(grads):
        found |= {(d, *key): value for key, value in arrays_of(sweep).items()}
    return found


_SIZES = st.integers(1, 9)


@st.composite
def calls(draw, dtypes=(np.float64,), sizes=_SIZES):
    mode = draw(st.sampled_from(MODES))
    T, B = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    ragged = draw(st.booleans())
    lengths = draw(st.lists(st.integers(0, T), min_size=B, max_size=B)) if ragged else [T] * B
    names = draw(st.sets(st.sampled_from((*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else ())))))
    numbers = draw(st.booleans())  # zoneout by numbers, its expectation
    options = [f"{name}=0.3" if numbers and name.startswith("zoneout") else name for name in sorted(names)]
    without = draw(st.sets(st.sampled_from(("bias_ih", "bias_hh", "weight_ih"))))
    return Call(
        mode,
        sorted(lengths, reverse=True),
        I=draw(st.integers(1, 4)),
        H=draw(sizes),
        D=draw(st.integers(1, 2)),
        options=options,
        without=sorted(without),
        dtype=draw(st.sampled_from(dtypes)),
        seed=draw(st.integers(0, 2**16)),
    )
