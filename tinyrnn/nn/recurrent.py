"""Recurrent layers: RNN, LSTM and GRU, stacked, in one or both directions, over dense and ragged batches."""

from __future__ import annotations

import warnings
from typing import Any

from tinyrnn._tensor import Tensor
from tinyrnn.nn.lengths import checked_lengths
from tinyrnn.nn.parameter import Parameter
from tinyrnn.nn.recurrent_cells import RecurrentModule, check_count, mode_of
from tinyrnn.nn.utils.rnn import PackedSequence
from tinyrnn.ops.recurrent import packed_recurrent, recurrent, recurrent_step
from tinyrnn.ops.recurrent_cells import CELLS
from tinyrnn.ops.shaping import squeeze, transpose, unsqueeze
from tinyrnn.ops.slicing import select


class RNNBase(RecurrentModule):
    """Base of RNN, LSTM and GRU: a stack of layers in one or both directions. See those for parameters and shapes."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__(mode, input_size, hidden_size, bias)
        check_count("num_layers", num_layers)
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                f"dropout should be a number in range [0, 1], the probability of an element being zeroed, got {dropout!r}"
            )
        if not isinstance(batch_first, bool):
            raise TypeError(f"batch_first should be of type bool, got: {type(batch_first).__name__}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bool(bidirectional)
        # for every layer and direction, in the order of the states: layer by layer, in each forward first
        endings = ("", "_reverse")[: self._directions]
        self._suffixes = [f"_l{layer}{ending}" for layer in range(num_layers) for ending in endings]
        for number, suffix in enumerate(self._suffixes):
            first_layer = number < self._directions
            size = input_size if first_layer else self._directions * hidden_size
            self._add_parameters(suffix, size, device, dtype)
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """For every layer and direction its weight_ih, weight_hh and, if there are biases, bias_ih, bias_hh."""
        return [[p for p in self._parameters_of(suffix) if p is not None] for suffix in self._suffixes]

    def flatten_parameters(self) -> None:
        """Does nothing: PyTorch programs call it so that cuDNN finds the weights in one piece, which we never need."""

    def forward(self, input: Any, hx: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        """Run the layer; shapes as in the docstring of the class.

        Parameters
        ----------
        input : Tensor or PackedSequence (nn.utils.rnn)
        hx : the initial state, ``h_0``, for an LSTM ``(h_0, c_0)``; None is zeros.
        lengths : B integers (list, array or tensor) from 0 to T, in any order. Steps behind the end of a sequence are
            neither read nor run through: outputs there are zeros, final states are those at the end of each sequence,
            and the backward direction starts there. A sequence of length 0 returns its initial state.

        Returns
        -------
        ``(output, h_n)``, for an LSTM ``(output, (h_n, c_n))``. The output of a PackedSequence is one too; final states are
        in the order of the batch that was packed.

        Raises
        ------
        ValueError, RuntimeError, TypeError
            If shape, dtype or type of input, states or lengths are not as described.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths)
        self._check_input(input, (2, 3), "(batch, time, feature)" if self.batch_first else "(time, batch, feature)")
        unbatched = input.array.ndim == 2
        x = unsqueeze(input, 1) if unbatched else transpose(input, 0, 1) if self.batch_first else input
        T, B, features = x.array.shape
        if features != self.input_size:
            self._fail_features(features, B, T, unbatched)
        if T == 0 or B == 0:
            self.fail(f"input of shape {tuple(input.array.shape)} is empty, expected at least one sequence of one step")
        states = None if hx is None else self._states_of(hx, B, unbatched)
        output, final = recurrent(
            self.mode,
            x,
            states,
            [self._parameters_of(suffix) for suffix in self._suffixes],
            None if lengths is None else checked_lengths(self, lengths, B, T, "time steps"),
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            training=self.training,
        )
        output = squeeze(output, 1) if unbatched else transpose(output, 0, 1) if self.batch_first else output
        final = tuple([squeeze(each, 1) for each in final]) if unbatched else final
        return output, final if len(final) > 1 else final[0]

    def _forward_packed(self, packed: PackedSequence, hx: Any, lengths: Any) -> tuple[Any, Any]:
        data, batch_sizes, order, inverse = packed
        if lengths is not None:
            self.fail("input is a PackedSequence, which knows its lengths; leave out lengths=", TypeError)
        self._check_tensor("the data of the PackedSequence", data)
        if data.array.ndim != 2 or data.array.shape[1] != self.input_size:
            self.fail(
                f"the data of the PackedSequence has shape {tuple(data.array.shape)}, expected (rows, input_size="
                f"{self.input_size})",
                RuntimeError,
            )
        sizes = batch_sizes.array
        states = None if hx is None else self._states_of(hx, int(sizes[0]), False)
        output, final = packed_recurrent(
            self.mode,
            data,
            sizes,
            states,
            [self._parameters_of(suffix) for suffix in self._suffixes],
            None if order is None else order.array,
            None if inverse is None else inverse.array,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            training=self.training,
        )
        return PackedSequence(output, batch_sizes, order, inverse), final if len(final) > 1 else final[0]

    def step(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Read one time step of a stream: what calling the layer with a sequence of one step does, in microseconds.

        Parameters
        ----------
        input : Tensor (B, I), x_t; (I,) without batch.
        hx : the states so far, (L, B, H) or (L, H), for an LSTM ``(h, c)``; None is zeros.

        Returns
        -------
        ``(output, h)``, for an LSTM ``(output, (h, c))``: the output of the last layer, (B, H) or (H,), and the new states, to
        be given to the next call.

        Raises
        ------
        ValueError, RuntimeError, TypeError
            If shape, dtype or type of input or states are not as described; for a bidirectional layer, which cannot know the
            end of a stream.
        """
        if self.bidirectional:
            self.fail("step reads a stream forward, but this layer is bidirectional, which needs whole sequences; call it")
        self._check_input(input, (1, 2), "(batch, feature)")
        x = input.array
        unbatched = x.ndim == 1
        if x.shape[-1] != self.input_size:
            self.fail(f"input has {x.shape[-1]} features, expected input_size={self.input_size}", RuntimeError)
        if unbatched or (self.training and self.dropout > 0 and self.num_layers > 1):
            x_t = unsqueeze(input, 0) if unbatched else unsqueeze(input, 1 if self.batch_first else 0)
            output, state = self(x_t, hx)
            return select(output, 1 if self.batch_first and not unbatched else 0, 0), state
        if hx is not None and not self._has_states(hx, (self.num_layers, x.shape[0], self.hidden_size), x.dtype):
            hx = self._states_of(hx, x.shape[0], False)  # raises, or brings them into shape
        states = hx if hx is None or isinstance(hx, tuple) else (hx,)
        output, state = recurrent_step(self.mode, input, states, [self._parameters_of(suffix) for suffix in self._suffixes])
        return output, state if len(state) > 1 else state[0]

    def _has_states(self, hx: Any, shape: tuple, dtype: Any) -> bool:
        """Whether `hx` is plainly what it should be, found without building names and sentences for what it is not."""
        count = len(CELLS[self.mode].states)
        states = (hx,) if count == 1 else hx
        if type(states) is not tuple or len(states) != count:
            return False
        for state in states:
            if type(state) is not Tensor or state.array.shape != shape or state.array.dtype != dtype:
                return False
        return True

    def _fail_features(self, features: int, B: int, T: int, unbatched: bool) -> None:
        message = f"input has {features} features, expected input_size={self.input_size}"
        if self.input_size in (B, T):
            message += "; the last dimension must be the features"
        elif not (unbatched or self.batch_first):
            message += "; is the tensor (batch, time, feature)? pass batch_first=True"
        self.fail(message, RuntimeError)

    def _states_of(self, hx: Any, B: int, unbatched: bool) -> tuple:
        shape: tuple[int, ...] = (self.num_layers * self._directions, B, self.hidden_size)
        layout = "states are (layers*directions, batch, hidden), never batch-first"
        if unbatched:
            shape, layout = (shape[0], shape[2]), "states of an unbatched input are (layers*directions, hidden)"
        names = tuple([f"{name}_0" for name in CELLS[self.mode].states])
        states = self._check_states(hx, shape, layout, names)
        return tuple([unsqueeze(state, 1) for state in states]) if unbatched else states

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0), ("bidirectional", False)
        ):  # fmt: skip
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


_LAYER_SHAPES = """

    Parameters
    ----------
    input_size, hidden_size : int
        I and H, features of the input and of the state.
    num_layers : int
        L layers, each fed with the outputs of the one before.
    bias : bool
        False leaves out b_ih and b_hh.
    batch_first : bool
        Input and output are (B, T, ...) in place of (T, B, ...). States never are.
    dropout : float
        In training, the probability with which an output of any layer but the last is zeroed.
    bidirectional : bool
        Adds to every layer a second one (D=2) that reads the sequence from its end; their outputs lie side by side.

    Shapes
    ------
    input (T, B, I); each state (L*D, B, H); output (T, B, D*H). Without batch: (T, I), (L*D, H), (T, D*H).

    Attributes
    ----------
    weight_ih_l{k}, weight_hh_l{k}, bias_ih_l{k}, bias_hh_l{k}, and the same with _reverse
        (G*H, I or D*H), (G*H, H), (G*H,), (G*H,) with G gates one below the other; drawn uniform in +-1/sqrt(H).
    """


class RNN(RNNBase):
    __doc__ = (
        """Elman's recurrent network.

    h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu if `nonlinearity` says so.

    ``output, h_n = rnn(input, h_0=None, lengths=None)``. Elman 1990, "Finding structure in time"."""
        + _LAYER_SHAPES
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            mode_of(nonlinearity), input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device, dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    __doc__ = (
        """Long short-term memory.

    i, f, o = sigmoid(W x_t + b_ih + U h_{t-1} + b_hh), g = tanh(the same), each with rows of its own in W_ih and W_hh
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t)

    Gates lie in the order i, f, g, o. ``output, (h_n, c_n) = lstm(input, (h_0, c_0)=None, lengths=None)``.
    Hochreiter & Schmidhuber 1997, "Long short-term memory"; with the forget gate of Gers et al. 2000, "Learning to
    forget"."""
        + _LAYER_SHAPES
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype
        )  # fmt: skip


class GRU(RNNBase):
    __doc__ = (
        """Gated recurrent unit.

    r, z = sigmoid(W x_t + b_ih + U h_{t-1} + b_hh), each with rows of its own in W_ih and W_hh
    n = tanh(W_in x_t + b_in + r * (W_hn h_{t-1} + b_hn))
    h_t = (1 - z) * n + z * h_{t-1}

    Gates lie in the order r, z, n. As in PyTorch, z = 1 keeps the old state; much of the literature has it the other
    way round (negate the rows of z in weights and biases to convert).
    ``output, h_n = gru(input, h_0=None, lengths=None)``.
    Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
    with r applied after the product with W_hn, as cuDNN and PyTorch do."""
        + _LAYER_SHAPES
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype
        )  # fmt: skip
