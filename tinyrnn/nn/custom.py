"""Cells of your own as whole layers: CustomCell is what a cell looks like, CustomRNN runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyrnn._tensor import Tensor
from tinyrnn.engine.base import wrap
from tinyrnn.nn.recurrent_layer import RecurrentLayer
from tinyrnn.nn.recurrent_module import RecurrentModule
from tinyrnn.ops.casting import array
from tinyrnn.ops.recurrent import Stack
from tinyrnn.ops.recurrent_stepped import stepped_cells
from tinyrnn.ops.shaping import reshape


class CustomCell(RecurrentModule):
    """One step of a recurrent network, written in tensor operations.

    Subclasses define ``forward(x, *states) -> new states``: x is (n, I), every state (n, size), and one tensor or a tuple of
    new states comes back, the output first. The n rows are those sequences of the batch that have not ended; where all are
    empty there is one step of 0 rows.

    state_names : the names of the states; one state ``h`` if a subclass says nothing else.
    state_sizes : their features; `hidden_size` each if a subclass says nothing else.

    ::

        class MinimalGatedUnit(nn.CustomCell):  # Zhou et al. 2016
            def __init__(self, input_size, hidden_size):
                super().__init__(input_size, hidden_size)
                self.forget = nn.Linear(input_size + hidden_size, hidden_size)
                self.candidate = nn.Linear(input_size + hidden_size, hidden_size)

            def forward(self, x, h):
                f = self.forget(torch.cat([x, h], 1)).sigmoid()
                return (1 - f) * h + f * self.candidate(torch.cat([x, f * h], 1)).tanh()

        layer = nn.CustomRNN(MinimalGatedUnit, 10, 20, num_layers=2, bidirectional=True)
        output, h_n = layer(x, lengths=lengths)
    """

    state_names: tuple[str, ...] = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.state_sizes: tuple[int, ...] = (hidden_size,) * len(self.state_names)


class CustomRNN(RecurrentLayer):
    """Runs a cell of your own over sequences: stacked, in both directions, over ragged batches, step by step.

    Parameters
    ----------
    cell : callable
        ``cell(input_size, hidden_size, **cell_options)`` makes a `CustomCell`; it is called for every layer and direction.
    input_size, hidden_size, num_layers, batch_first, dropout, bidirectional, input_dropout, residual
        As for the layers of the library; the input of a layer above the first is as wide as the outputs below it.
    **cell_options
        Passed on to `cell`.

    Shapes
    ------
    As for LSTM: ``output, state = layer(input, state=None, lengths=None)``, and `step`. A single state is a tensor, several are
    a tuple, each (L*D, B, size); the output is the first one at all steps, (T, B, D*size).

    Attributes
    ----------
    cell_l{k}, cell_l{k}_reverse : CustomCell

    Every step is recorded as the operations that the cell is made of: such a layer does all that others do, more slowly.
    """

    def __init__(
        self,
        cell: Callable[..., CustomCell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        input_dropout: float = 0.0,
        residual: bool = False,
        **cell_options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self._set_layout(num_layers, batch_first, dropout, bidirectional, input_dropout, residual, stacklevel=3)
        features = input_size
        for number, suffix in enumerate(self._suffixes):
            if number and number % self._directions == 0:
                features = self._directions * self._state_sizes[0]
            made = cell(features, hidden_size, **cell_options)
            if not isinstance(made, CustomCell):
                self.fail(f"cell made a {type(made).__name__}, expected a CustomCell; derive it from nn.CustomCell", TypeError)
            if not 0 < len(made.state_names) == len(made.state_sizes):
                self.fail(
                    f"cell has states {made.state_names} of sizes {made.state_sizes}, expected at least one, each with a size"
                )
            self.add_module(f"cell{suffix}", made)

    @property
    def _state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self._cell(0).state_names

    @property
    def _state_sizes(self) -> tuple[int, ...]:  # type: ignore[override]
        return self._cell(0).state_sizes

    def _cell(self, number: int) -> Any:
        return self._modules[f"cell{self._suffixes[number]}"]

    def reset_parameters(self) -> None:
        """Draw the parameters of all cells anew, as their own `reset_parameters` say, or those of their submodules."""
        for module in self.modules():
            if module is not self and hasattr(module, "reset_parameters"):
                module.reset_parameters()

    def _stack(self, like: Any, steps: tuple[int, ...], B: int) -> Stack:
        dropout, input_dropout = (self.dropout, self.input_dropout) if self.training else (0.0, 0.0)
        return Stack(
            self._run_layer, self.num_layers, self._directions, self._state_sizes, dropout, input_dropout, self.residual
        )  # fmt: skip

    def _run_layer(self, number, x, initial, batch_sizes, packing, inside):
        """One layer, as ops.recurrent.Stack wants it."""
        D, shape = self._directions, array(x).shape
        initial = tuple([each if isinstance(each, Tensor) else wrap(each) for each in initial])
        cells = [self._stepping(self._cell(number * D + d)) for d in range(D)]
        rows = reshape(x, (-1, shape[-1])) if len(shape) == 3 else x
        output, *others = stepped_cells(cells, rows, batch_sizes, initial, inside)
        return (reshape(output, (*shape[:-1], array(output).shape[1])), *others), []

    def _stepping(self, cell: CustomCell) -> Callable:
        """The cell with a check of what it returns."""

        def step(x: Any, states: tuple) -> tuple:
            versions = [each._version for each in (x, *states)]
            new = cell(x, *states)
            if versions != [each._version for each in (x, *states)]:  # they are outputs of steps before, or the caller's
                cell.fail("forward wrote into x or a state, expected new tensors: h = h + x in place of h += x", RuntimeError)
            new = tuple(new) if isinstance(new, (tuple, list)) else (new,)
            shapes = [tuple(each.shape) if isinstance(each, Tensor) else type(each).__name__ for each in new]
            expected = [(len(x), size) for size in cell.state_sizes]
            if shapes != expected:
                cell.fail(f"forward returned states {shapes}, expected {expected}: {', '.join(cell.state_names)}")
            return new

        return step

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + self._changed(
            num_layers=1, batch_first=False, dropout=0, bidirectional=False, input_dropout=0, residual=False
        )
