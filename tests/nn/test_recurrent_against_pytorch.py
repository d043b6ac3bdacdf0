"""500 random recurrent layers equal PyTorch's in float64: outputs, states, every gradient, and for a fifth of them twice."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn

BATCHES, EACH = 10, 50


class Configuration:
    """A random layer with its input, lengths, states, and the weights of a loss over all that comes out."""

    def __init__(self, seed):
        rng = self.rng = np.random.default_rng(seed)
        self.kind = rng.choice(["RNN", "LSTM", "GRU"])
        self.form = rng.choice(["dense", "packed", "unsorted", "unbatched"], p=[0.4, 0.25, 0.25, 0.1])
        self.T, self.B = int(rng.integers(1, 9)), int(rng.integers(1, 6))
        self.sizes = [int(size) for size in rng.integers(1, 20, 2)]
        self.options = {
            "num_layers": int(rng.integers(1, 4)),
            "bidirectional": bool(rng.integers(2)),
            "bias": bool(rng.integers(2)),
            "batch_first": bool(rng.integers(2)),
        }
        if self.kind == "RNN" and rng.integers(2):
            self.options["nonlinearity"] = "relu"
        if self.kind == "LSTM" and self.sizes[1] > 1 and rng.integers(2):
            self.options["proj_size"] = int(rng.integers(1, self.sizes[1]))
        self.with_states = bool(rng.integers(2))
        lengths = rng.integers(1, self.T + 1, self.B)
        lengths[rng.integers(self.B)] = self.T
        self.lengths = np.sort(lengths)[::-1].copy() if self.form == "packed" else lengths

    def __repr__(self):
        return f"{self.kind}({self.sizes}, {self.options}) T={self.T} B={self.B} {self.form} states={self.with_states}"

    def layer(self, library):
        layer = getattr(library.nn, self.kind)(*self.sizes, **self.options, dtype=library.float64)
        values = np.random.default_rng(0)
        with library.no_grad():
            for _, parameter in layer.named_parameters():
                parameter.copy_(library.from_numpy(values.normal(0, 0.5, tuple(parameter.shape))))
        return layer

    def numbers(self, library, twice):
        """Everything that comes out and every gradient, as arrays."""
        draw = np.random.default_rng(1).standard_normal
        utils, layer = library.nn.utils.rnn, self.layer(library)
        rows = self.options["num_layers"] * (2 if self.options["bidirectional"] else 1)
        batch = () if self.form == "unbatched" else (self.B,)
        lead = (self.T,) if not batch else (self.B, self.T) if self.options["batch_first"] else (self.T, self.B)
        x = library.from_numpy(draw((*lead, self.sizes[0]))).requires_grad_()
        state_sizes = [self.options.get("proj_size", self.sizes[1]), self.sizes[1]][: 1 + (self.kind == "LSTM")]
        states = [library.from_numpy(draw((rows, *batch, size))).requires_grad_() for size in state_sizes]
        hx = (tuple(states) if self.kind == "LSTM" else states[0]) if self.with_states else None
        given = x
        if self.form in ("packed", "unsorted"):
            given = utils.pack_padded_sequence(
                x, library.from_numpy(self.lengths), self.options["batch_first"], enforce_sorted=self.form == "packed"
            )  # fmt: skip
        output, final = layer(given, hx)
        if given is not x:
            output, _ = utils.pad_packed_sequence(output, self.options["batch_first"])
        results = [output, *(final if isinstance(final, tuple) else (final,))]
        loss = sum((y * library.from_numpy(draw(tuple(y.shape)))).sum() for y in results)
        leaves = [x, *(states if self.with_states else []), *layer.parameters()]
        gradients = library.autograd.grad(loss, leaves, create_graph=twice)
        second = []
        if twice:
            second = library.autograd.grad(sum((g * g).sum() for g in gradients), leaves, allow_unused=True)
        return [None if each is None else each.detach().numpy() for each in (*results, *gradients, *second)]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_layers(batch):
    torch = pytest.importorskip("torch")
    for number in range(batch * EACH, (batch + 1) * EACH):
        configuration = Configuration(number)
        twice = number % 5 == 0
        ours, theirs = configuration.numbers(tinyrnn, twice), configuration.numbers(torch, twice)
        assert len(ours) == len(theirs)
        for index, (a, b) in enumerate(zip(ours, theirs)):
            message = f"{number}: {configuration}, item {index}"
            if a is None or b is None:  # of what does not matter a library may say None or zeros
                assert not np.any(a if a is not None else b), message
                continue
            assert a.shape == b.shape, message
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(b).max()), err_msg=message)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: nn.RNN(100, 256, single_bias=True), 91_392),
        (lambda: nn.RNN(100, 256), 91_648),
        (lambda: nn.LSTM(100, 256, single_bias=True), 4 * 91_392),
        (lambda: nn.GRU(100, 256, single_bias=True), 3 * 91_392),
        (lambda: nn.LSTM(512, 512, 2), 4_202_496),
        (lambda: nn.GRU(512, 512, 2), 3_151_872),
        (lambda: nn.LSTM(100, 256, bias=False), 4 * 256 * 356),
    ],
)
def test_numbers_of_parameters(make, count):
    assert sum(parameter.numel() for parameter in make().parameters()) == count
