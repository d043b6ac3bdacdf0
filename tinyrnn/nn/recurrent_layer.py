"""The base of recurrent layers: what they are called with and what comes out, whatever cell they run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from tinyrnn.engine.base import wrap
from tinyrnn.nn.checks import check_count, check_flag, check_probability
from tinyrnn.nn.lengths import checked_lengths
from tinyrnn.nn.recurrent_module import RecurrentModule
from tinyrnn.nn.utils.rnn import PackedSequence
from tinyrnn.ops import autocasting
from tinyrnn.ops.recurrent import Inside, Stack, run_packed_stack, run_stack
from tinyrnn.ops.shaping import squeeze, transpose, unsqueeze
from tinyrnn.ops.slicing import cat, select


class RecurrentLayer(RecurrentModule):
    """A stack of recurrent layers in one or both directions. A subclass says of which cell: `_stack` and what follows it."""

    def _set_layout(
        self,
        num_layers: int,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        input_dropout: float,
        residual: bool,
        stacklevel: int = 4,
    ) -> None:
        for name, value in (("batch_first", batch_first), ("residual", residual)):
            check_flag(name, value)
        self.num_layers = check_count("num_layers", num_layers)
        self.batch_first = batch_first
        self.dropout = check_probability("dropout", dropout, "the probability of an element being zeroed")
        self.bidirectional = bool(bidirectional)
        self.input_dropout = check_probability("input_dropout", input_dropout, "the probability of a feature being zeroed")
        self.residual = residual
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=stacklevel,
            )
        if residual and num_layers == 1:
            raise ValueError("residual=True adds the input of every layer but the first to its output, expected num_layers > 1")
        # for every layer and direction, in the order of the states: layer by layer, in each forward first
        endings = ("", "_reverse")[: self._directions]
        self._suffixes = [f"_l{layer}{ending}" for layer in range(num_layers) for ending in endings]

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    # ---- what a subclass says ------------------------------------------------------------------------------------

    _state_names: tuple[str, ...]
    _state_sizes: tuple[int, ...]
    _gate_names: tuple[str, ...] = ()

    def _stack(self, like: Any, steps: tuple[int, ...], B: int) -> Stack:
        """What to run now over an array of the kind of `like`, whose rows are `steps`: (T, B), or (N,) if packed."""
        raise NotImplementedError

    def _has_masks_of_sequences(self) -> bool:
        """Whether, now, something is dropped at all steps of a sequence alike."""
        return self.training and self.input_dropout > 0

    # ---- calling -------------------------------------------------------------------------------------------------

    def forward(
        self, input: Any, hx: Any = None, lengths: Any = None, *, return_all_states: bool = False, gates: bool = False
    ) -> tuple[Any, ...]:
        """Run the layer; shapes as in the docstring of the class.

        Parameters
        ----------
        input : Tensor or PackedSequence (nn.utils.rnn)
        hx : the initial state, ``h_0``, for an LSTM ``(h_0, c_0)``; None is zeros.
        lengths : B integers (list, array or tensor) from 0 to T, in any order. Steps behind the end of a sequence are
            neither read nor run through: outputs there are zeros, final states are those at the end of each sequence,
            and the backward direction starts there. A sequence of length 0 returns its initial state.
        return_all_states, gates : whether to return also the states after every step, and the activated gates of every step.

        Returns
        -------
        ``(output, h_n)``, for an LSTM ``(output, (h_n, c_n))``. The output of a PackedSequence is one too; final states are
        in the order of the batch that was packed.

        With `return_all_states` or `gates` a third value: for each layer a dict of tensors laid out like the output,
        (T, B, D*H), under the names of states and gates: ``h c i f g o`` of an LSTM, ``h r z n`` of a GRU. States are on the
        tape, gates are not.

        Raises
        ------
        ValueError, RuntimeError, TypeError
            If shape, dtype or type of input, states or lengths are not as described; for `gates` of a cell without any.
        """
        if autocasting.regions:
            input, hx = self._autocast((input, hx))
        if gates and not self._gate_names:
            self.fail("gates=True, but this cell has no gates; return_all_states=True returns its states")
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths, return_all_states, gates)
        if lengths is None and not (return_all_states or gates):
            result = self._plain_forward(input, hx)
            if result is not None:
                return result
        self._check_input(input, (2, 3), "(batch, time, feature)" if self.batch_first else "(time, batch, feature)")
        unbatched = input.array.ndim == 2
        x = unsqueeze(input, 1) if unbatched else transpose(input, 0, 1) if self.batch_first else input
        T, B, features = x.array.shape
        if features != self.input_size:
            self._fail_features(features, B, T, unbatched)
        if T == 0 or B == 0:
            self.fail(f"input of shape {tuple(input.array.shape)} is empty, expected at least one sequence of one step")
        states = None if hx is None else self._states_of(hx, B, unbatched)
        lengths = None if lengths is None else checked_lengths(self, lengths, B, T, "time steps")
        stack = self._stack(x.array, (T, B), B)
        output, final, seen = run_stack(stack, x, states, lengths, return_all_states or gates)

        def laid_out(y: Any) -> Any:
            return squeeze(y, 1) if unbatched else transpose(y, 0, 1) if self.batch_first else y

        final = tuple([squeeze(each, 1) for each in final]) if unbatched else final
        return self._result(laid_out, output, final, seen, return_all_states, gates)

    def _forward_packed(self, packed: PackedSequence, hx: Any, lengths: Any, states: bool, gates: bool) -> tuple[Any, ...]:
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
        B = int(batch_sizes.array[0])
        initial = None if hx is None else self._states_of(hx, B, False)
        stack = self._stack(data.array, data.array.shape[:1], B)
        order_array, inverse_array = [None if each is None else each.array for each in (order, inverse)]
        output, final, seen = run_packed_stack(
            stack, data, batch_sizes.array, initial, order_array, inverse_array, states or gates
        )  # fmt: skip
        return self._result(lambda y: PackedSequence(y, batch_sizes, order, inverse), output, final, seen, states, gates)

    def _result(
        self, laid_out: Callable, output: Any, final: tuple, seen: list[Inside], states: bool, gates: bool
    ) -> tuple[Any, ...]:
        result = (laid_out(output), final if len(final) > 1 else final[0])
        if not (states or gates):
            return result
        opened = []
        for layer in seen:
            tensors = (self._states_in(layer) if states else {}) | (self._gates_in(layer) if gates else {})
            opened.append({name: laid_out(tensor) for name, tensor in tensors.items()})
        return *result, opened

    def _states_in(self, layer: Inside) -> dict[str, Any]:
        """Every state of a layer at all steps, the directions side by side."""
        D = self._directions
        others = [layer.states[k : k + D] for k in range(0, len(layer.states), D)]
        return dict(zip(self._state_names, [layer.output, *[cat(list(each), -1) for each in others]]))

    def _gates_in(self, layer: Inside) -> dict[str, Any]:
        H = self.hidden_size
        directions = [wrap(each) for each in layer.gates]
        return {
            name: cat([each[..., k * H : (k + 1) * H] for each in directions], -1)
            for k, name in enumerate(self._gate_names)
        }  # fmt: skip

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
            end of a stream; in training with dropout that is the same at all steps of a sequence, which a step cannot know.
        """
        if self.bidirectional:
            self.fail("step reads a stream forward, but this layer is bidirectional, which needs whole sequences; call it")
        if self._has_masks_of_sequences():
            self.fail(
                "step would draw new masks of input_dropout and recurrent_dropout at every step, expected the same at all "
                "steps of a sequence; call eval() first, or give the layer whole sequences"
            )
        self._check_input(input, (1, 2), "(batch, feature)")
        x = input.array
        if x.shape[-1] != self.input_size:
            self.fail(f"input has {x.shape[-1]} features, expected input_size={self.input_size}", RuntimeError)
        return self._step(input, hx)

    def _step(self, input: Any, hx: Any) -> tuple[Any, Any]:
        unbatched = input.array.ndim == 1
        time = 1 if self.batch_first and not unbatched else 0
        output, state = self.forward(unsqueeze(input, time), hx)
        return select(output, time, 0), state

    def _plain_forward(self, input: Any, hx: Any) -> tuple[Any, Any] | None:
        """The results for dense sequences, where there is a shorter way to them; else None."""
        return None

    # ---- states and checks ---------------------------------------------------------------------------------------

    def _states_of(self, hx: Any, B: int, unbatched: bool) -> tuple:
        """The states as tensors (L*D, B, size)."""
        rows = (self.num_layers * self._directions, B)[: 1 if unbatched else 2]
        shapes = [(*rows, size) for size in self._state_sizes]
        layout = "states are (layers*directions, batch, hidden), never batch-first"
        if unbatched:
            layout = "states of an unbatched input are (layers*directions, hidden)"
        states = self._check_states(hx, shapes, layout, tuple([f"{name}_0" for name in self._state_names]))
        return tuple([unsqueeze(state, 1) for state in states]) if unbatched else states

    def _fail_features(self, features: int, B: int, T: int, unbatched: bool) -> None:
        message = f"input has {features} features, expected input_size={self.input_size}"
        if self.input_size in (B, T):
            message += "; the last dimension must be the features"
        elif not (unbatched or self.batch_first):
            message += "; is the tensor (batch, time, feature)? pass batch_first=True"
        self.fail(message, RuntimeError)

    def _changed(self, **defaults: Any) -> str:
        """``, name=value`` for every attribute that is not at its default, for `extra_repr`."""
        return "".join(f", {name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value)
