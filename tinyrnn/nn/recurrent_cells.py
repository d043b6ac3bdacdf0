"""One step of a recurrent layer as a module: RNNCell, LSTMCell and GRUCell."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from tinyrnn._tensor import Tensor
from tinyrnn.creation import empty
from tinyrnn.nn import init
from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter
from tinyrnn.ops.products import linear
from tinyrnn.ops.recurrent_cells import CELLS
from tinyrnn.ops.shaping import squeeze, unsqueeze

NONLINEARITIES = ("tanh", "relu")


@cache
def _names_of(suffix: str) -> tuple[str, ...]:
    """The names of the parameters of one sweep."""
    return tuple([name + suffix for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")])


class RecurrentModule(Module):
    """What layers and cells share: creating and drawing parameters, and checking what they are called with."""

    def __init__(self, mode: str, input_size: int, hidden_size: int, bias: bool) -> None:
        super().__init__()
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size)):
            check_count(name, value)
        if not isinstance(bias, bool):
            raise TypeError(f"bias should be of type bool, got: {type(bias).__name__}")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias

    def _add_parameters(self, suffix: str, input_size: int, device: Any, dtype: Any) -> None:
        rows = CELLS[self.mode].gates * self.hidden_size
        shapes: dict[str, tuple] = {"weight_ih": (rows, input_size), "weight_hh": (rows, self.hidden_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in shapes.items():
            self.register_parameter(name + suffix, Parameter(empty(shape, device=device, dtype=dtype)))

    def _parameters_of(self, suffix: str) -> tuple:
        """weight_ih, weight_hh, bias_ih, bias_hh of one sweep; the biases may be None."""
        names = _names_of(suffix)
        get = self._parameters.get
        return get(names[0]), get(names[1]), get(names[2]), get(names[3])

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew, uniform in +-1/sqrt(H)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    # ---- checks ------------------------------------------------------------------------------------------------

    def _check_tensor(self, name: str, value: Any) -> None:
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            self.fail(f"{name} is a {kind}, expected a tensor; convert it with tinyrnn.tensor(...)", TypeError)
        weight = next(iter(self._parameters.values()))
        if value.array.dtype != weight.array.dtype:
            dtype = weight.dtype
            other_way = f" or the model with model.to({value.dtype})" if value.is_floating_point() else ""
            self.fail(
                f"{name} is {value.dtype}, expected {dtype} like the weights; convert it with {name}.to({dtype}){other_way}"
            )

    def _check_input(self, input: Any, ranks: tuple[int, int], layout: str) -> None:
        self._check_tensor("input", input)
        if input.array.ndim not in ranks:
            self.fail(
                f"input has {input.array.ndim} dimensions (shape {tuple(input.array.shape)}), expected {ranks[1]}, "
                f"{layout}, or {ranks[0]} without batch"
            )

    def _check_states(self, hx: Any, shape: tuple, layout: str, names: tuple[str, ...]) -> tuple:
        """The states as a tuple of tensors of `shape`."""
        if len(names) == 1:
            states = (hx,)
        elif isinstance(hx, (tuple, list)) and len(hx) == len(names):
            states = tuple(hx)
        else:
            got = f"{len(hx)} values" if isinstance(hx, (tuple, list)) else f"one {type(hx).__name__}"
            self.fail(f"the initial state is {got}, expected the pair ({', '.join(names)})", TypeError)
        for name, state in zip(names, states):
            self._check_tensor(name, state)
            if state.array.shape != shape:
                self.fail(f"{name} has shape {tuple(state.array.shape)}, expected {shape}: {layout}", RuntimeError)
        return states


class RNNCellBase(RecurrentModule):
    """Base of RNNCell, LSTMCell and GRUCell: one step of the layer.

    Shapes: input (B, I), each state (B, H); without batch (I,) and (H,). A state of None is zeros. Parameters weight_ih
    (G*H, I), weight_hh (G*H, H), bias_ih and bias_hh (G*H,), or None.
    """

    def __init__(self, mode: str, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__(mode, input_size, hidden_size, bias)
        self._add_parameters("", input_size, device, dtype)
        if not bias:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def forward(self, input: Any, hx: Any = None) -> Any:
        """One step: ``h = cell(input, h)``, for an LSTMCell ``h, c = cell(input, (h, c))``."""
        self._check_input(input, (1, 2), "(batch, feature)")
        unbatched = input.array.ndim == 1
        x = unsqueeze(input, 0) if unbatched else input
        B, features = x.array.shape
        if features != self.input_size:
            self.fail(f"input has {features} features, expected input_size={self.input_size}", RuntimeError)
        cell = CELLS[self.mode]
        if hx is None:
            states: tuple = (np.zeros_like(x.array, shape=(B, self.hidden_size)),) * len(cell.states)
        else:
            shape = (self.hidden_size,) if unbatched else (B, self.hidden_size)
            layout = "states without batch are (hidden,)" if unbatched else "states are (batch, hidden)"
            states = self._check_states(hx, shape, layout, cell.states)
            states = tuple([unsqueeze(state, 0) for state in states]) if unbatched else states
        weight_ih, weight_hh, bias_ih, bias_hh = self._parameters_of("")
        states = cell.step(linear(x, weight_ih, bias_ih), states, weight_hh, bias_hh)
        states = tuple([squeeze(state, 0) for state in states]) if unbatched else states
        return states if len(states) > 1 else states[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
        return text + (", nonlinearity=relu" if self.mode == "RNN_RELU" else "")


class RNNCell(RNNCellBase):
    """One step of an RNN: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu. ``h = cell(input, h)``."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(mode_of(nonlinearity), input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity


class LSTMCell(RNNCellBase):
    """One step of an LSTM, whose equations it has. ``h, c = cell(input, (h, c))``."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__("LSTM", input_size, hidden_size, bias, device, dtype)


class GRUCell(RNNCellBase):
    """One step of a GRU, whose equations and convention for z it has. ``h = cell(input, h)``."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__("GRU", input_size, hidden_size, bias, device, dtype)


def mode_of(nonlinearity: str) -> str:
    """The name of an RNN's cell in CELLS."""
    if nonlinearity not in NONLINEARITIES:
        raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
    return f"RNN_{nonlinearity.upper()}"


def check_count(name: str, value: Any) -> None:
    """TypeError or ValueError unless `value` is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
    if value <= 0:
        raise ValueError(f"{name} must be greater than zero")
