"""What recurrent layers and cells share: their sizes, their weights, and checks of what they are called with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from tinyrnn._tensor import Tensor
from tinyrnn.creation import empty
from tinyrnn.nn import init
from tinyrnn.nn.checks import check_counts, check_flag
from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter
from tinyrnn.ops import autocasting
from tinyrnn.ops.recurrent_cells import CELLS

NONLINEARITIES = ("tanh", "relu")


class RecurrentModule(Module):
    """A module that reads features step by step and carries states of `hidden_size` on."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = check_counts(input_size=input_size, hidden_size=hidden_size)

    def _check_tensor(self, name: str, value: Any) -> None:
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            self.fail(f"{name} is a {kind}, expected a tensor; convert it with tinyrnn.tensor(...)", TypeError)
        weight = self._any_parameter()
        if weight is not None and type(value.array) is not type(weight.array) and value.device != weight.device:
            fix = f"move it with {name}.to({str(weight.device)!r}), or the model with model.to({str(value.device)!r})"
            self.fail(f"{name} lies on {value.device}, expected {weight.device} like the weights; {fix}", RuntimeError)
        if weight is not None and value.array.dtype != weight.array.dtype and not autocasting.reconciles(value, weight):
            dtype = weight.dtype
            other_way = f" or the model with model.to({value.dtype})" if value.is_floating_point() else ""
            self.fail(
                f"{name} is {value.dtype}, expected {dtype} like the weights; convert it with {name}.to({dtype}){other_way}"
            )

    def _autocast(self, given: Any) -> Any:
        """Input, states or weights in the dtype in which the cells run inside autocast."""
        return given

    def _any_parameter(self) -> Parameter | None:
        """One that says what dtype the weights have; an own one is found without a walk through the modules."""
        for own in self._parameters.values():
            if own is not None:
                return own
        return next(self.parameters(), None)

    def _check_input(self, input: Any, ranks: tuple[int, int], layout: str) -> None:
        self._check_tensor("input", input)
        if input.array.ndim not in ranks:
            self.fail(
                f"input has {input.array.ndim} dimensions (shape {tuple(input.array.shape)}), expected {ranks[1]}, "
                f"{layout}, or {ranks[0]} without batch"
            )

    def _check_states(self, hx: Any, shapes: Sequence[tuple], layout: str, names: tuple[str, ...]) -> tuple:
        """The states as a tuple of tensors, each of its shape."""
        if len(names) == 1:
            states = (hx,)
        elif isinstance(hx, (tuple, list)) and len(hx) == len(names):
            states = tuple(hx)
        else:
            got = f"{len(hx)} values" if isinstance(hx, (tuple, list)) else f"one {type(hx).__name__}"
            wanted = "the pair" if len(names) == 2 else f"the {len(names)} states"
            self.fail(f"the initial state is {got}, expected {wanted} ({', '.join(names)})", TypeError)
        for name, state, shape in zip(names, states, shapes):
            self._check_tensor(name, state)
            if state.array.shape != shape:
                self.fail(f"{name} has shape {tuple(state.array.shape)}, expected {shape}: {layout}", RuntimeError)
        return states


class WeightedModule(RecurrentModule):
    """A recurrent module of one of the library's cells, which are weights and biases for G gates one below the other.

    mode : a name in `CELLS` (ops/recurrent_cells.py), or None for a cell of somebody else's, which only takes the weights.
    gates : G, where `mode` does not say it.
    """

    mode: str

    def __init__(self, mode: Any, input_size: int, hidden_size: int, bias: bool, gates: int = 0) -> None:
        super().__init__(input_size, hidden_size)
        check_flag("bias", bias)
        self.mode = mode
        self.bias = bias
        self._gates = gates or CELLS[mode].gates

    def _add_weights(self, suffix: str, features: int, state_size: int, biases: int, device: Any, dtype: Any) -> None:
        """The parameters of one sweep; `biases` says how many there are, b_ih first."""
        self._biases = biases
        rows = self._gates * self.hidden_size
        shapes = [(rows, features), (rows, state_size), *[(rows,)] * biases]
        for name, shape in zip(names_of(suffix), shapes):
            self.register_parameter(name, Parameter(empty(shape, device=device, dtype=dtype)))

    def _autocast(self, given: Any) -> Any:
        return autocasting.prepared("recurrent", given)

    def _weights_of(self, suffix: str) -> tuple:
        """weight_ih, weight_hh, bias_ih, bias_hh of one sweep; the biases may be None."""
        names = names_of(suffix)
        get = self._parameters.get
        weights = (get(names[0]), get(names[1]), get(names[2]), get(names[3]))
        for weight in weights[: 2 + self._biases]:
            if weight is None:
                weights = self._weights_from_attributes(names[: 2 + self._biases])
                break
        return self._autocast(weights) if autocasting.regions else weights

    def _weights_from_attributes(self, names: tuple[str, ...]) -> tuple:
        """As `_weights_of`, where a program has put something else in the place of parameters (as weight drop does)."""
        found = [getattr(self, name, None) for name in names]
        for name, weight in zip(names, found):
            if not isinstance(weight, Tensor):
                self.fail(f"{name} is {'missing' if weight is None else type(weight).__name__}, expected a tensor", TypeError)
        return (*found, *[None] * (4 - len(found)))

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew, uniform in +-1/sqrt(H)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)


@cache
def names_of(suffix: str) -> tuple[str, ...]:
    """Those of the weights of one sweep."""
    return tuple([name + suffix for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")])


def mode_of(nonlinearity: str) -> str:
    """The name of an RNN's cell in CELLS."""
    if nonlinearity not in NONLINEARITIES:
        raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
    return f"RNN_{nonlinearity.upper()}"
