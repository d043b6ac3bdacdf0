"""RNN, LSTM and GRU: PyTorch's layers, with what its users ask for on the same fused path."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tinyrnn._tensor import Tensor
from tinyrnn.creation import empty
from tinyrnn.engine.base import wrap
from tinyrnn.grad_modes import no_grad
from tinyrnn.nn import init
from tinyrnn.nn.checks import check_flag, check_probability, check_projection, check_zoneout
from tinyrnn.nn.parameter import Parameter
from tinyrnn.nn.recurrent_layer import RecurrentLayer
from tinyrnn.nn.recurrent_module import WeightedModule, mode_of, names_of
from tinyrnn.ops import autocasting
from tinyrnn.ops.dropout import keep_mask
from tinyrnn.ops.recurrent import Stack, recurrent_dense, recurrent_step, stack_of_cells
from tinyrnn.ops.recurrent_cells import CELLS
from tinyrnn.ops.recurrent_options import Options, layers_with_options
from tinyrnn.ops.slicing import select

_GATES = {"LSTM": ("i", "f", "g", "o"), "GRU": ("r", "z", "n"), "GRU_RESET_BEFORE": ("r", "z", "n")}


class RNNBase(WeightedModule, RecurrentLayer):
    """Base of RNN, LSTM and GRU. See those for parameters and shapes."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        single_bias: bool = False,
        recurrent_dropout: float = 0.0,
        input_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        layer_norm: bool = False,
        peephole: bool = False,
        forget_bias: float = 0.0,
        residual: bool = False,
    ) -> None:
        if mode not in CELLS:
            raise ValueError(f"Unrecognized RNN mode: {mode}; expected one of {', '.join(CELLS)}")
        if mode != "LSTM" and (proj_size or peephole or forget_bias):
            raise ValueError(f"proj_size, peephole and forget_bias are options of an LSTM, got them with mode={mode!r}")
        super().__init__(mode, input_size, hidden_size, bias)
        self._set_layout(num_layers, batch_first, dropout, bidirectional, input_dropout, residual)
        for name, value in (("single_bias", single_bias), ("layer_norm", layer_norm), ("peephole", peephole)):
            check_flag(name, value)
        if (single_bias or forget_bias) and not bias:
            name = "single_bias" if single_bias else "forget_bias"
            raise ValueError(f"{name} is a matter of the biases, expected bias=True with it, got bias=False")
        self.proj_size = check_projection(proj_size, hidden_size)
        self.single_bias = single_bias
        meaning = "the probability of a unit of the state being zeroed"
        self.recurrent_dropout = check_probability("recurrent_dropout", recurrent_dropout, meaning)
        self.zoneout = check_zoneout(zoneout, CELLS[mode].states)
        self.layer_norm = layer_norm
        self.peephole = peephole
        if isinstance(forget_bias, bool) or not isinstance(forget_bias, (int, float)):
            raise TypeError(f"forget_bias should be a number, got: {type(forget_bias).__name__}")
        self.forget_bias = float(forget_bias)
        self._weight_names = [names_of(suffix) for suffix in self._suffixes]
        for number, suffix in enumerate(self._suffixes):
            features = input_size if number < self._directions else self._directions * self._state_sizes[0]
            self._add_weights(suffix, features, self._state_sizes[0], (2 - single_bias) * bias, device, dtype)
            for name, shape in self._option_shapes().items():
                self.register_parameter(name + suffix, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _option_shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters of one sweep besides weights and biases."""
        H, rows = self.hidden_size, CELLS[self.mode].gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, H)
        if self.peephole:
            shapes["peephole"] = (3, H)
        if self.layer_norm:
            sizes = {"norm_x": rows, "norm_h": rows} | ({"norm_c": H} if self.mode == "LSTM" else {})
            shapes |= {f"{norm}_{part}": (size,) for norm, size in sizes.items() for part in ("weight", "bias")}
        return shapes

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew, uniform in +-1/sqrt(H); those of layer norms are ones and zeros."""
        super().reset_parameters()
        norms = [name for name in self._option_shapes() if name.startswith("norm")]
        for name, suffix in itertools.product(norms, self._suffixes):
            init.constant_(self._parameters[name + suffix], 1.0 if name.endswith("weight") else 0.0)
        if self.forget_bias:
            with no_grad():
                for suffix in self._suffixes:
                    self._parameters[f"bias_ih{suffix}"][self.hidden_size : 2 * self.hidden_size] += self.forget_bias

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """For every layer and direction its weight_ih, weight_hh, bias_ih, bias_hh and what else it has."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _all_weights(self) -> list[list[str]]:
        """The names of `all_weights`; programs that draw weights their own way read them."""
        kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"][: 2 + self._biases] + list(self._option_shapes())
        return [[kind + suffix for kind in kinds] for suffix in self._suffixes]

    def flatten_parameters(self) -> None:
        """Does nothing: PyTorch programs call it so that cuDNN finds the weights in one piece, which we never need."""

    # ---- what runs -------------------------------------------------------------------------------------------------

    @property
    def _state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return CELLS[self.mode].states

    @property
    def _state_sizes(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.proj_size or self.hidden_size, self.hidden_size)[: len(self._state_names)]

    @property
    def _gate_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return _GATES.get(self.mode, ())

    def _has_masks_of_sequences(self) -> bool:
        return super()._has_masks_of_sequences() or (self.training and self.recurrent_dropout > 0)

    def _has_plain_cells(self) -> bool:
        """Whether, now, the cells are no more than weights and biases."""
        masked = self.training and self.recurrent_dropout > 0
        return not (self.proj_size or self.peephole or self.layer_norm or self.zoneout or masked)

    def _stack(self, like: Any, steps: tuple[int, ...], B: int) -> Stack:
        weights = [self._weights_of(suffix) for suffix in self._suffixes]
        run_layer = None
        if not self._has_plain_cells():
            options = [self._options_of(suffix, like, steps, B) for suffix in self._suffixes]
            run_layer = layers_with_options(self.mode, weights, options, self._directions)
        dropout, input_dropout = (self.dropout, self.input_dropout) if self.training else (0.0, 0.0)
        return stack_of_cells(self.mode, weights, self._directions, dropout, input_dropout, self.residual, run_layer)

    def _options_of(self, suffix: str, like: Any, steps: tuple[int, ...], B: int) -> Options:
        """The options of one sweep, with masks drawn for this call."""
        get = self._parameters.get
        norms = [(get(f"{norm}_weight{suffix}"), get(f"{norm}_bias{suffix}")) for norm in ("norm_x", "norm_h", "norm_c")]
        mask = None
        if self.training and self.recurrent_dropout > 0:
            mask = keep_mask(like, (B, self._state_sizes[0]), self.recurrent_dropout)
        shares = self.zoneout if isinstance(self.zoneout, tuple) else (self.zoneout,) * len(self._state_sizes)
        zoneouts = [self._zoneout(like, (*steps, size), share) for size, share in zip(self._state_sizes, shares)]
        norm_x, norm_h, norm_c = [None if norm[0] is None else norm for norm in norms]
        weight_hr, peephole = get(f"weight_hr{suffix}"), get(f"peephole{suffix}")
        options = Options(weight_hr, peephole, norm_x, norm_h, norm_c, mask, *zoneouts)
        return self._autocast(options) if autocasting.regions else options

    def _zoneout(self, like: Any, shape: tuple[int, ...], share: float) -> Any:
        """A mask of what keeps its old state in training; else the share, which is what to expect."""
        if not share:
            return None
        return keep_mask(like, shape, 1 - share, 1.0) if self.training else share

    # ---- one step --------------------------------------------------------------------------------------------------

    def step(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        if autocasting.regions:
            input, hx = self._autocast((input, hx))
        if not self.bidirectional and self._is_plain():
            stepped = recurrent_step(self.mode, input, hx, self._parameters, self._weight_names, 2 + self._biases)
            if stepped is not None:
                return stepped
        return super().step(input, hx)

    step.__doc__ = RecurrentLayer.step.__doc__

    def _plain_forward(self, input: Any, hx: Any) -> tuple[Any, Any] | None:
        shape = input.array.shape if type(input) is Tensor else ()
        if len(shape) != 3 or not self._is_plain():
            return None
        time = 1 if self.batch_first else 0
        weights = self._parameters, self._weight_names, 2 + self._biases
        if shape[time] == 1 and not self.bidirectional:
            stepped = recurrent_step(self.mode, select(input, time, 0), hx, *weights)
            return None if stepped is None else (wrap(np.expand_dims(stepped[0].array, time)), stepped[1])
        return None if time else recurrent_dense(self.mode, input, hx, *weights, self._directions)

    def _is_plain(self) -> bool:
        """Whether, now, the layers are those of the cells and no more."""
        dropped = self.training and (self.dropout > 0 or self.input_dropout > 0)
        return not (dropped or self.residual) and self._has_plain_cells()

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + self._changed(
            proj_size=0,
            num_layers=1,
            bias=True,
            batch_first=False,
            dropout=0,
            bidirectional=False,
            single_bias=False,
            recurrent_dropout=0,
            input_dropout=0,
            zoneout=0,
            layer_norm=False,
            peephole=False,
            forget_bias=0,
            residual=False,
        )


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
    single_bias : bool
        Leaves out b_hh alone, as in papers and in Keras.
    recurrent_dropout : float
        In training, the probability with which a unit of h_{t-1} is zeroed in the product with W_hh: one mask for all steps
        of a sequence (Gal & Ghahramani 2016).
    input_dropout : float
        The same for the features of x_t, of every layer.
    zoneout : float
        The probability with which a unit keeps its state of the step before; in evaluation the expectation. An LSTM also
        takes a pair, for h and for c (Krueger et al. 2017).
    layer_norm : bool
        Normalizes W_ih x and W_hh h, each over all gates, and the c of an LSTM on its way to the output (Ba et al. 2016).
    residual : bool
        Every layer but the first adds its input to its output.

    Shapes
    ------
    input (T, B, I); each state (L*D, B, H); output (T, B, D*H). Without batch: (T, I), (L*D, H), (T, D*H).

    Attributes
    ----------
    weight_ih_l{k}, weight_hh_l{k}, bias_ih_l{k}, bias_hh_l{k}, and the same with _reverse
        (G*H, I or D*H), (G*H, H), (G*H,), (G*H,) with G gates one below the other; drawn uniform in +-1/sqrt(H).
    norm_x_weight_l{k}, norm_x_bias_l{k}, norm_h_..., of an LSTM norm_c_..., likewise, with `layer_norm`
        (G*H,), norm_c (H,); ones and zeros.
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
        *,
        single_bias: bool = False,
        recurrent_dropout: float = 0.0,
        input_dropout: float = 0.0,
        zoneout: float = 0.0,
        layer_norm: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__(
            mode_of(nonlinearity), input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            0, device, dtype, single_bias=single_bias, recurrent_dropout=recurrent_dropout, input_dropout=input_dropout,
            zoneout=zoneout, layer_norm=layer_norm, residual=residual,
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
    forget".

    Only an LSTM has:

    proj_size : int
        P: h_t = W_hr (o * tanh(c_t)) has only P features, in the output and in W_hh too; ``weight_hr_l{k}`` is (P, H). h_0 and
        h_n are (L*D, B, P). Sak et al. 2014, "Long short-term memory recurrent neural network architectures".
    peephole : bool
        The gates see c: p_i * c_{t-1} and p_f * c_{t-1} are added in i and f, p_o * c_t in o, before the sigmoid;
        ``peephole_l{k}`` is (3, H). Gers & Schmidhuber 2000, "Recurrent nets that time and count".
    forget_bias : float
        Added to b_ih of the forget gate when it is drawn; 1 remembers more at first (Jozefowicz et al. 2015)."""
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
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        single_bias: bool = False,
        recurrent_dropout: float = 0.0,
        input_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        layer_norm: bool = False,
        peephole: bool = False,
        forget_bias: float = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            device, dtype, single_bias=single_bias, recurrent_dropout=recurrent_dropout, input_dropout=input_dropout,
            zoneout=zoneout, layer_norm=layer_norm, peephole=peephole, forget_bias=forget_bias, residual=residual,
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
    Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine translation".

    Only a GRU has:

    reset_after : bool
        True applies r after the product with W_hn, as above, as cuDNN and PyTorch do. False is the paper's
        n = tanh(W_in x_t + b_in + W_hn (r * h_{t-1}) + b_hn)."""
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
        *,
        single_bias: bool = False,
        recurrent_dropout: float = 0.0,
        input_dropout: float = 0.0,
        zoneout: float = 0.0,
        layer_norm: bool = False,
        reset_after: bool = True,
        residual: bool = False,
    ) -> None:
        check_flag("reset_after", reset_after)
        super().__init__(
            "GRU" if reset_after else "GRU_RESET_BEFORE", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, 0, device, dtype, single_bias=single_bias, recurrent_dropout=recurrent_dropout,
            input_dropout=input_dropout, zoneout=zoneout, layer_norm=layer_norm, residual=residual,
        )  # fmt: skip
        self.reset_after = reset_after

    def extra_repr(self) -> str:
        return super().extra_repr() + self._changed(reset_after=True)
