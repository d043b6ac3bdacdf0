"""Random recurrent layers with every option, run on each rung and by PyTorch, for the tests of the recurrent ops."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tinyrnn.creation import tensor
from tinyrnn.ops.recurrent import run_stack, stack_of_cells
from tinyrnn.ops.recurrent_cells import CELLS
from tinyrnn.ops.recurrent_options import Options, layers_with_options

MODES = list(CELLS)
IN_PYTORCH = [mode for mode in MODES if mode != "GRU_RESET_BEFORE"]
RAGGED = [3, 5, 1, 3]
OPTIONS = ("norm_x", "norm_h", "recurrent_mask", "zoneout_h")
LSTM_OPTIONS = ("weight_hr", "peephole", "norm_c", "zoneout_c")
EVERYTHING = ("output", "finals", "cells")


def options_of(mode):
    return (*OPTIONS, *(LSTM_OPTIONS if mode == "LSTM" else ()))


def recurrent(
    mode, x, states, weights, lengths=None, bidirectional=False, options=None, rung="L2", inside=False, **between
):  # fmt: skip
    """Output, final states, and what went on inside, of a stack of layers on a rung."""
    D = 2 if bidirectional else 1
    run_layer = None
    if options is not None or rung != "L2":
        run_layer = layers_with_options(mode, weights, options or [Options()] * len(weights), D, rung)
    return run_stack(stack_of_cells(mode, weights, D, run_layer=run_layer, **between), x, states, lengths, inside)


def leaf(array):
    return tensor(array, requires_grad=True)


class Case:
    """A random layer with input, non-zero initial states, and weights of a loss over all that comes out.

    options : names of fields of Options; "zoneout_*=0.3" is the number, without a mask.
    """

    def __init__(
        self, mode, T=5, B=4, I=3, H=5, L=1, D=1, bias=True, lengths=None, seed=0, options=()  # noqa: E741
    ):  # fmt: skip
        self.draw = np.random.default_rng(seed).standard_normal
        self.mode, self.T, self.B, self.H, self.L, self.D, self.bias = mode, T, B, H, L, D, bias
        self.lengths = None if lengths is None else np.array(lengths)
        self.P = max(1, H // 2) if "weight_hr" in options else H
        gates, self.names = CELLS[mode].gates * H, CELLS[mode].states
        sizes = (self.P, H)[: len(self.names)]
        self.x = self.draw((T, B, I))
        self.states = [self.draw((L * D, B, size)) for size in sizes]
        self.weights, self.options = [], []
        for number in range(L * D):
            features = I if number < D else D * self.P
            biases = (self.draw(gates), self.draw(gates)) if bias else (None, None)
            self.weights.append((0.5 * self.draw((gates, features)), 0.5 * self.draw((gates, self.P)), *biases))
            self.options.append({name.partition("=")[0]: self.option(name, gates) for name in options})
        self.output_weight = self.draw((T, B, D * self.P))
        self.final_weights = [self.draw((L * D, B, size)) for size in sizes]
        self.cell_weight = self.draw((T, B, H))

    def option(self, name, gates):
        name, _, number = name.partition("=")
        if number:
            return float(number)
        if name.startswith("norm"):
            size = self.H if name == "norm_c" else gates
            return 1 + 0.3 * self.draw(size), self.draw(size)
        if name == "weight_hr":
            return self.draw((self.P, self.H))
        if name == "peephole":
            return self.draw((3, self.H))
        size = self.H if name == "zoneout_c" else self.P
        shape = (self.B, size) if name == "recurrent_mask" else (self.T, self.B, size)
        return (self.draw(shape) > 0) * (2.0 if name == "recurrent_mask" else 1.0)

    def leaves(self, make=leaf):
        """input, states, weights and options through `make`; and all that has a gradient as one list."""
        x, states = make(self.x), tuple([make(s) for s in self.states])
        weights = [tuple(None if w is None else make(w) for w in ws) for ws in self.weights]
        leaves = [x, *states, *[w for ws in weights for w in ws if w is not None]]
        options = []
        for given in self.options:
            made = dict(given)
            for name, value in given.items():
                if isinstance(value, tuple):
                    made[name] = tuple(make(each) for each in value)
                    leaves += made[name]
                elif name in ("weight_hr", "peephole"):
                    made[name] = make(value)
                    leaves.append(made[name])
            options.append(Options(**made))
        return x, states, weights, options if any(self.options) else None, leaves

    def call(self, x, states, weights, options, rung="L2"):
        """Output, final states, and what went on inside."""
        return recurrent(self.mode, x, states, weights, self.lengths, self.D == 2, options, rung, inside=True)


def run(case, rung="L2", wanted=("output", "finals")):
    """Output, final states, leaves and loss of one run; in the loss is what is `wanted`."""
    *arguments, leaves = case.leaves()
    out, final, inside = case.call(*arguments, rung)
    terms = []
    if "finals" in wanted:
        terms += [(f * tensor(w)).sum() for f, w in zip(final, case.final_weights)]
    if "output" in wanted:
        terms.append((out * tensor(case.output_weight)).sum())
    if "cells" in wanted:
        terms += [((layer + 1) * c * tensor(case.cell_weight)).sum() for layer, each in enumerate(inside) for c in each.states]
    return out, final, leaves, sum(terms)


def numbers(case, rung="L2", wanted=("output", "finals")):
    """Output, final states and every gradient, as arrays; a gradient that does not exist is None."""
    out, final, leaves, loss = run(case, rung, wanted)
    loss.backward()
    return [out.array, *[f.array for f in final], *[None if each.grad is None else each.grad.array for each in leaves]]


def torch_run(case, torch):
    """As `run`, for what PyTorch has: the projection is its only option."""
    kind = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}.get(case.mode, torch.nn.RNN)
    options = {"nonlinearity": case.mode[4:].lower()} if case.mode.startswith("RNN") else {}
    if case.P != case.H:
        options["proj_size"] = case.P
    T, _, features = case.x.shape
    layer = kind(features, case.H, case.L, bias=case.bias, bidirectional=case.D == 2, dtype=torch.float64, **options)
    values = [(*[w for w in ws if w is not None], *own.values()) for ws, own in zip(case.weights, case.options)]
    parameters = list(layer.parameters())
    for parameter, value in zip(parameters, [each for own in values for each in own], strict=True):
        parameter.data.copy_(torch.from_numpy(value))
    x = torch.tensor(case.x, requires_grad=True)
    states = [torch.tensor(s, requires_grad=True) for s in case.states]
    hx = tuple(states) if case.mode == "LSTM" else states[0]
    if case.lengths is None:
        out, final = layer(x, hx)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.from_numpy(case.lengths), enforce_sorted=False)
        out, final = layer(packed, hx)
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, total_length=T)
    final = final if isinstance(final, tuple) else (final,)
    loss = sum((f * torch.from_numpy(w)).sum() for f, w in zip(final, case.final_weights))
    per_sweep = len(parameters) // (case.L * case.D)  # ours come with the projections behind all other weights
    sweeps = [parameters[k : k + per_sweep] for k in range(0, len(parameters), per_sweep)]
    plain = per_sweep - (case.P != case.H)
    ordered = [p for own in sweeps for p in own[:plain]] + [p for own in sweeps for p in own[plain:]]
    return out, final, [x, *states, *ordered], loss + (out * torch.from_numpy(case.output_weight)).sum()


def torch_numbers(case, torch):
    out, final, leaves, loss = torch_run(case, torch)
    loss.backward()
    arrays = [out.detach(), *[f.detach() for f in final], *[each.grad for each in leaves]]
    return [a.numpy() for a in arrays]


def assert_all_close(got, expected, tolerance=1e-10):
    assert len(got) == len(expected)
    for number, (a, b) in enumerate(zip(got, expected)):
        assert (a is None) == (b is None), f"item {number}"
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=f"item {number}")


@st.composite
def cases(draw, shortest, modes=MODES, with_options=False):
    mode, T, B = draw(st.sampled_from(modes)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    names = sorted(draw(st.sets(st.sampled_from(options_of(mode))))) if with_options else []
    numbers = draw(st.booleans())  # zoneout by its expectation
    return Case(
        mode,
        T,
        B,
        I=draw(st.integers(1, 4)),
        H=draw(st.integers(1, 9)),
        L=draw(st.integers(1, 3)),
        D=draw(st.integers(1, 2)),
        bias=draw(st.booleans()),
        lengths=draw(st.lists(st.integers(shortest, T), min_size=B, max_size=B)) if draw(st.booleans()) else None,
        seed=draw(st.integers(0, 2**16)),
        options=[f"{name}=0.3" if numbers and name.startswith("zoneout") else name for name in names],
    )
