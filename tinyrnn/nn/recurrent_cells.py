"""One step of a recurrent layer as a module: RNNCell, LSTMCell and GRUCell."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.nn.recurrent_module import WeightedModule, mode_of
from tinyrnn.ops import autocasting
from tinyrnn.ops.products import linear
from tinyrnn.ops.recurrent_cells import CELLS
from tinyrnn.ops.shaping import squeeze, unsqueeze


class RNNCellBase(WeightedModule):
    """Base of RNNCell, LSTMCell and GRUCell: one step of the layer. A subclass of one's own gives `num_chunks`, which is G.

    Shapes: input (B, I), each state (B, H); without batch (I,) and (H,). A state of None is zeros. Parameters weight_ih
    (G*H, I), weight_hh (G*H, H), bias_ih and bias_hh (G*H,), or None.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
        *,
        mode: str | None = None,
    ) -> None:
        super().__init__(mode, input_size, hidden_size, bias, num_chunks)
        self._add_weights("", input_size, hidden_size, 2 if bias else 0, device, dtype)
        if not bias:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def forward(self, input: Any, hx: Any = None) -> Any:
        """One step: ``h = cell(input, h)``, for an LSTMCell ``h, c = cell(input, (h, c))``."""
        if self.mode is None:
            raise NotImplementedError(f"{self._get_name()} is a subclass of RNNCellBase, which has no forward; define it")
        if autocasting.regions:
            input, hx = self._autocast((input, hx))
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
            states = self._check_states(hx, (shape,) * len(cell.states), layout, cell.states)
            states = tuple([unsqueeze(state, 0) for state in states]) if unbatched else states
        weight_ih, weight_hh, bias_ih, bias_hh = self._weights_of("")
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
        super().__init__(input_size, hidden_size, bias, 1, device, dtype, mode=mode_of(nonlinearity))
        self.nonlinearity = nonlinearity


class LSTMCell(RNNCellBase):
    """One step of an LSTM, whose equations it has. ``h, c = cell(input, (h, c))``."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype, mode="LSTM")


class GRUCell(RNNCellBase):
    """One step of a GRU, whose equations and convention for z it has. ``h = cell(input, h)``."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype, mode="GRU")
