"""What Python does around the layers of an ONNX file: a `forward` and hooks of one's own, single steps, branches on sizes."""

from __future__ import annotations

import pytest

import tinyrnn
import tinyrnn as torch
import tinyrnn.nn.functional as F
from tinyrnn import nn

pytest.importorskip("onnx", reason="onnx is not installed")


def test_a_forward_around_that_of_a_layer(same_in_onnx_runtime, model_of):
    class Scaled(nn.GRU):
        def reset_parameters(self):
            super().reset_parameters()

        def forward(self, input, hx=None):
            y, h_n = super().forward(input * 2, hx)
            return y + input.mean(), -h_n

    class Sharpened(nn.DotAttention):
        def forward(self, query, keys):
            context, weights = super().forward(query, keys)
            return context, weights**2

    same_in_onnx_runtime(Scaled(3, 4), (torch.randn(5, 2, 3),), (torch.randn(7, 4, 3),))
    model = model_of(lambda self, x: self.attention(self.gru(x)[0], x), gru=Scaled(3, 3), attention=Sharpened())
    same_in_onnx_runtime(model, (torch.randn(5, 2, 3),), (torch.randn(7, 4, 3),))


def test_hooks(same_in_onnx_runtime, model_of):
    lstm, linear = nn.LSTM(3, 4), nn.Linear(4, 2)
    lstm.register_forward_pre_hook(lambda module, args: (args[0] * 3,))
    lstm.register_forward_hook(lambda module, args, output: (output[0] + args[0].sum(), output[1]))
    linear.register_forward_hook(lambda module, args, output: output.relu())
    model = model_of(lambda self, x: self.linear(self.lstm(x)[0]), lstm=lstm, linear=linear)
    same_in_onnx_runtime(model, (torch.randn(5, 2, 3),), (torch.randn(7, 4, 3),))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(
    "cls, options, operator",
    [
        (nn.LSTM, {"num_layers": 2}, "LSTM"),
        (nn.GRU, {}, "GRU"),
        (nn.GRU, {"reset_after": False}, "GRU"),
        (nn.RNN, {"nonlinearity": "relu"}, "RNN"),
        (nn.LSTM, {"layer_norm": True, "proj_size": 2}, "Scan"),
    ],
    ids=str,
)
def test_steps(cls, options, operator, batch_first, same_in_onnx_runtime, model_of):
    """A stream that goes on from given states; and a decoder that runs two steps from none."""
    layer = cls(3, 4, batch_first=batch_first, **options)

    def two(self, x):
        y, state = self.layer.step(x[0])
        last, state = self.layer.step(x[-1], state)
        return y, last, state

    def call(*rows):
        states = tuple(torch.randn(layer.num_layers, *rows, size) for size in layer._state_sizes)
        return torch.randn(*rows, 3), states if len(states) > 1 else states[0]

    class Stream(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, state):
            return self.layer.step(x, state)

    proto = same_in_onnx_runtime(Stream(), call(2), call(5))
    assert operator in [node.op_type for node in proto.graph.node]
    same_in_onnx_runtime(Stream(), call())
    same_in_onnx_runtime(model_of(two, layer=layer), (torch.randn(4, 2, 3),), (torch.randn(6, 5, 3),))


# ---- branches on sizes that stay open --------------------------------------------------------------------------------


def _padded_to_three(self, x):
    if x.size(1) < 3:
        x = F.pad(x, (0, 0, 0, 3 - x.size(1)))
    return x[:, :3]


def _halved(self, x):
    n = x.size(0)
    while True:
        if n <= 9:
            return x[:n]
        n = n // 2


BRANCHES = {
    "a threshold": lambda self, x: x * 2 if x.shape[0] > 3 else x,
    "one of two thresholds": lambda self, x: x * 2 if x.shape[0] > 3 and x.shape[0] > 99 else x,
    "a smaller size": lambda self, x: x[:, : min(x.size(1), 5)],
    "odd or even": lambda self, x: x.sum(1) if x.size(0) % 2 else x.sum(1) + 1,
    "a size that is not 0": lambda self, x: x + 1 if x.size(0) - 1 else x,
    "a number with a fraction": lambda self, x: x + 1 if x.size(0) > 2.5 else x,
    "a number alone": lambda self, x: x * (2.0 if x.size(1) != 1 else 1.0),
    "sizes of two axes": lambda self, x: x + 1 if x.size(1) > x.size(0) else x,
    "an error of ours on the other way": _padded_to_three,
    "a number of a size": lambda self, x: x[: x.size(0) - (3 if x.size(0) > 2 else 2)],
    "a size and one that is fixed": lambda self, x: x + 1 if x.size(1) - 4 >= x.size(2) else x,
    "a loop": _halved,
}


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_on_sizes_are_refused(name, same_in_onnx_runtime, model_of):
    """Both sizes of the tracing lie on the same side, and would not tell."""
    model, x = model_of(BRANCHES[name]), torch.randn(5, 7, 3)
    with pytest.raises(NotImplementedError, match=r"the comparison of sizes at .*test_onnx_python\.py:\d+ decides what runs"):
        tinyrnn.interop.onnx.export(model, x, dynamic_axes={"x": [0, 1]})
    same_in_onnx_runtime(model, (x,), dynamic_axes={})


PLAIN_NUMBERS = {
    "len": lambda self, x: x + 1 if len(x) > 3 else x,
    "and": lambda self, x: x + 1 if x.size(0) & 1 else x,
    "truediv": lambda self, x: x + 1 if x.size(0) / 2 > 1 else x,
    "rtruediv": lambda self, x: x * (1 / x.size(1)),
    "rshift": lambda self, x: x + 1 if x.size(0) >> 1 else x,
    "neg": lambda self, x: x + 1 if -x.size(0) < -3 else x,
    "pow": lambda self, x: x * x.size(1) ** 0.5,
}


@pytest.mark.parametrize("name", PLAIN_NUMBERS)
def test_plain_numbers_made_of_open_sizes_are_refused(name, same_in_onnx_runtime, model_of):
    model, x = model_of(PLAIN_NUMBERS[name]), torch.randn(5, 7, 3)
    with pytest.raises(NotImplementedError, match=rf"{name}.* at .*test_onnx_python\.py:\d+"):
        tinyrnn.interop.onnx.export(model, x, dynamic_axes={"x": [0, 1]})
    same_in_onnx_runtime(model, (x,), dynamic_axes={})


def test_checks_of_sizes_are_no_branches(same_in_onnx_runtime, model_of):
    def run(self, x):
        mask = torch.zeros(x.shape[:2])
        assert x.shape == (*mask.shape, 3) and x.size(0) > 0.5 and x.size(0) != [] and x.size(1)
        if x.size(1) > 100:
            raise ValueError("longer than what it was trained for")
        if mask.size(1) * 2 != x.size(1) * 2 or x.size(2) > 3:
            mask = mask[:1]
        return x + mask.unsqueeze(-1)

    same_in_onnx_runtime(model_of(run), (torch.randn(5, 7, 3),), (torch.randn(2, 4, 3),), dynamic_axes={"x": [0, 1]})
