"""The encoder: reads a source sequence in both directions and leaves a memory for the decoder to look at."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tinyrnn._tensor import Tensor
from tinyrnn.nn.dropout import Dropout
from tinyrnn.nn.embedding import Embedding
from tinyrnn.nn.module import Module
from tinyrnn.nn.recurrent import GRU, LSTM, RNN
from tinyrnn.ops.slicing import cat
from tinyrnn.seq2seq.vocabulary import PADDING

CELLS: Final = {"lstm": LSTM, "gru": GRU, "rnn": RNN}

State = Tensor | tuple[Tensor, Tensor]
"""What a recurrent layer carries from step to step: h, or (h, c) for the LSTM, each (L, B, H)."""


class Memory(NamedTuple):
    """What the encoder leaves for the decoder.

    Attributes
    ----------
    values : Tensor, shape (B, S, 2H)
        The encoder's outputs, zero behind the end of each source.
    keys : Tensor, shape (B, S, K)
        What the decoder's attention compares its queries with: the values, or what it makes of them once for all steps.
    mask : array of bool, shape (B, S)
        True where the source has a token.
    state : State
        The decoder's initial state: of each layer the final states of both directions side by side.
    """

    values: Tensor
    keys: Tensor
    mask: Any
    state: State


def recurrent(cell: str, *sizes: int, dropout: float, **options: Any) -> Module:
    """Make a batch-first recurrent layer: `sizes` are the input size, the hidden size and the number of layers."""
    # Dropout stands between layers, so that a single layer has none.
    return CELLS[cell](*sizes, batch_first=True, dropout=dropout if sizes[2] > 1 else 0.0, **options)


class Encoder(Module):
    """Embedding, dropout and a stacked bidirectional recurrent layer.

    Parameters
    ----------
    vocabulary : int
        Number of source ids.
    embed, hidden, layers : int
        Size of the embedding, of each direction's state, and number of layers.
    cell : {'lstm', 'gru', 'rnn'}
    dropout : float
        On the embeddings and between the layers.
    """

    def __init__(self, vocabulary: int, embed: int, hidden: int, layers: int, cell: str, dropout: float) -> None:
        super().__init__()
        self.embedding = Embedding(vocabulary, embed, padding_idx=PADDING)
        self.dropout = Dropout(dropout)
        self.rnn = recurrent(cell, embed, hidden, layers, dropout=dropout, bidirectional=True)

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Read sources.

        Parameters
        ----------
        source : Tensor of int64, shape (B, S)
        lengths : Tensor of int64, shape (B,)

        Returns
        -------
        values : Tensor, shape (B, S, 2H)
        state : State of shape (L, B, 2H)
        """
        values, state = self.rnn(self.dropout(self.embedding(source)), lengths=lengths)
        if isinstance(state, tuple):
            return values, (_join_directions(state[0]), _join_directions(state[1]))
        return values, _join_directions(state)


def _join_directions(h: Tensor) -> Tensor:
    # (2L, B, H), the directions of a layer next to each other, to (L, B, 2H).
    return cat([h[0::2], h[1::2]], 2)
