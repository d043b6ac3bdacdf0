"""Bidirectional: any recurrent layer and a second one that reads backward, their outputs merged."""

from __future__ import annotations

import copy
from typing import Any

from tinyrnn.nn.lengths import checked_lengths
from tinyrnn.nn.module import Module
from tinyrnn.nn.recurrent_layer import RecurrentLayer
from tinyrnn.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from tinyrnn.ops.packing import reverse_in_time
from tinyrnn.ops.shaping import reshape, squeeze, transpose, unsqueeze
from tinyrnn.ops.slicing import cat, stack

_MERGES = {
    "concat": lambda forward, backward: cat([forward, backward], -1),
    "sum": lambda forward, backward: forward + backward,
    "mul": lambda forward, backward: forward * backward,
    "ave": lambda forward, backward: (forward + backward) * 0.5,
}


class Bidirectional(Module):
    """Runs a layer forward and another one backward in time, and merges their outputs (Schuster & Paliwal 1997).

    Parameters
    ----------
    layer : RNN, LSTM, GRU or CustomRNN
        Reads forward; not bidirectional itself. A stack of L layers stays a stack of its own: unlike with
        ``bidirectional=True``, the directions meet only at the end.
    backward_layer : the same, optional
        Reads backward; if None a copy of `layer` with newly drawn parameters.
    merge_mode : "concat", "sum", "mul" or "ave"
        What becomes of both outputs; "concat" puts them side by side.

    Shapes
    ------
    ``output, state = layer(input, state=None, lengths=None)`` as of `layer`, except that states are (2*L, B, size), layer by
    layer and in each forward first, and that the output is twice as wide with "concat".
    """

    def __init__(self, layer: RecurrentLayer, backward_layer: RecurrentLayer | None = None, merge_mode: str = "concat") -> None:
        super().__init__()
        for name, each in (("layer", layer), ("backward_layer", layer if backward_layer is None else backward_layer)):
            if not isinstance(each, RecurrentLayer):
                raise TypeError(f"{name} is a {type(each).__name__}, expected a recurrent layer such as nn.LSTM(...)")
            if each.bidirectional:
                raise ValueError(f"{name} reads in both directions already, expected bidirectional=False")
        if merge_mode not in list(_MERGES):
            raise ValueError(f"merge_mode={merge_mode!r}, expected {', '.join(map(repr, _MERGES))}")
        if backward_layer is None:
            backward_layer = copy.deepcopy(layer)
            backward_layer.reset_parameters()
        for name in ("input_size", "batch_first", "num_layers", "_state_names", "_state_sizes"):
            if getattr(backward_layer, name) != getattr(layer, name):
                raise ValueError(
                    f"backward_layer has {name.strip('_')}={getattr(backward_layer, name)}, expected "
                    f"{getattr(layer, name)} like the layer that reads forward"
                )
        self.forward_layer = layer
        self.backward_layer = backward_layer
        self.merge_mode = merge_mode

    def forward(self, input: Any, hx: Any = None, lengths: Any = None, **wanted: bool) -> tuple[Any, ...]:
        """Run both layers; parameters and results as of the layers themselves."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths, **wanted)
        self.forward_layer._check_input(input, (2, 3), "a batch of sequences")
        unbatched = input.array.ndim == 2
        batch_first = self.forward_layer.batch_first and not unbatched
        if lengths is not None:
            T, B = (len(input), 1) if unbatched else input.array.shape[:2][:: -1 if batch_first else 1]
            lengths = checked_lengths(self, lengths, B, T, "time steps")

        def reversed_(x: Any) -> Any:
            if unbatched:
                return squeeze(reverse_in_time(unsqueeze(x, 1), lengths), 1)
            if batch_first:
                return transpose(reverse_in_time(transpose(x, 0, 1), lengths), 0, 1)
            return reverse_in_time(x, lengths)

        states = (None, None) if hx is None else self._halves(hx)
        ahead = self.forward_layer(input, states[0], lengths, **wanted)
        back = self.backward_layer(reversed_(input), states[1], lengths, **wanted)
        output = _MERGES[self.merge_mode](ahead[0], reversed_(back[0]))
        result = (output, self._interleaved(ahead[1], back[1]))
        if len(ahead) == 2:
            return result
        both = zip(ahead[2], back[2])
        return *result, [{name: cat([one[name], reversed_(two[name])], -1) for name in one} for one, two in both]

    def _forward_packed(self, packed: PackedSequence, hx: Any, lengths: Any, **wanted: bool) -> tuple[Any, ...]:
        batch_first = self.forward_layer.batch_first
        if lengths is not None:
            self.fail("input is a PackedSequence, which knows its lengths; leave out lengths=", TypeError)
        padded, lengths = pad_packed_sequence(packed, batch_first)
        output, state, *others = self.forward(padded, hx, lengths, **wanted)

        def packed_like(x: Any) -> PackedSequence:
            return pack_padded_sequence(x, lengths, batch_first, enforce_sorted=packed.sorted_indices is None)

        opened = [[{name: packed_like(x) for name, x in layer.items()} for layer in layers] for layers in others]
        return packed_like(output), state, *opened

    def _halves(self, hx: Any) -> tuple[Any, Any]:
        """The states of either direction out of (2*L, B, size)."""
        states = hx if isinstance(hx, (tuple, list)) else (hx,)
        names = self.forward_layer._state_names
        L = self.forward_layer.num_layers
        for name, state in zip(names, states):
            self.forward_layer._check_tensor(f"{name}_0", state)
            if state.array.shape[:1] != (2 * L,):
                got = f"{name}_0 has shape {tuple(state.shape)}"
                self.fail(f"{got}, expected (2*layers={2 * L}, ...): layer by layer, in each forward first", RuntimeError)
        halves = [tuple([state[d::2] for state in states]) for d in (0, 1)]
        return tuple(half if isinstance(hx, (tuple, list)) else half[0] for half in halves)  # type: ignore[return-value]

    def _interleaved(self, ahead: Any, back: Any) -> Any:
        if isinstance(ahead, tuple):
            return tuple([self._interleaved(*each) for each in zip(ahead, back)])
        L, *rest = ahead.shape
        return reshape(stack([ahead, back], 1), (2 * L, *rest))

    def reset_parameters(self) -> None:
        """Draw the parameters of both layers anew."""
        for layer in (self.forward_layer, self.backward_layer):
            layer.reset_parameters()

    def extra_repr(self) -> str:
        return "" if self.merge_mode == "concat" else f"merge_mode={self.merge_mode!r}"
