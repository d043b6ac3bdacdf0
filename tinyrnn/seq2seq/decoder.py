"""The decoder: writes the target token by token, looking back at the encoder's memory at every step."""

from __future__ import annotations

from typing import Final

from tinyrnn._tensor import Tensor
from tinyrnn.nn.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention, PreparedKeys
from tinyrnn.nn.dropout import Dropout
from tinyrnn.nn.embedding import Embedding
from tinyrnn.nn.linear import Linear
from tinyrnn.nn.module import Module
from tinyrnn.ops.slicing import cat
from tinyrnn.seq2seq.encoder import Memory, State, recurrent
from tinyrnn.seq2seq.vocabulary import PADDING

ATTENTIONS: Final = ("general", "dot", "additive")


class Decoder(Module):
    r"""A recurrent layer with attention on its outputs (Luong et al. 2015, section 3, without input feeding).

    .. math::
        h_t &= \mathrm{cell}(E y_{t-1}, h_{t-1}) \\
        c_t &= \mathrm{attention}(h_t, \mathrm{memory}) \\
        \tilde h_t &= \tanh(W_c [c_t; h_t] + b_c) \\
        \mathrm{logits}_t &= W_o \tilde h_t + b_o

    Because no step depends on an attention result before it, training runs the whole target through the recurrent
    layer and attends for all steps at once.

    Parameters
    ----------
    vocabulary : int
        Number of target ids.
    embed, hidden, layers : int
        Size of the embedding and of the state (that of the memory's values), and number of layers.
    cell : {'lstm', 'gru', 'rnn'}
    attention : {'general', 'dot', 'additive'}
    dropout : float
        On the embeddings, between the layers and on the attentional states.
    """

    def __init__(
        self, vocabulary: int, embed: int, hidden: int, layers: int, cell: str, attention: str, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = Embedding(vocabulary, embed, padding_idx=PADDING)
        self.dropout = Dropout(dropout)
        self.rnn = recurrent(cell, embed, hidden, layers, dropout=dropout)
        self.attention = _make_attention(attention, hidden)
        self.combine = Linear(2 * hidden, hidden)
        self.output = Linear(hidden, vocabulary)

    def forward(
        self, tokens: Tensor, state: State, memory: Memory, lengths: Tensor | None = None
    ) -> tuple[Tensor, State, Tensor]:
        """Run over known tokens: the whole target in training, the last token in search.

        Parameters
        ----------
        tokens : Tensor of int64, shape (B, T)
            What stands before each token to predict.
        state : State of shape (L, B, H)
        memory : Memory
        lengths : Tensor of int64, shape (B,), optional
            How many of the tokens to read; behind them the recurrent layers do not run.

        Returns
        -------
        logits : Tensor, shape (B, T, V)
        state : State
            After the last of the tokens.
        weights : Tensor, shape (B, T, S)
            How much each step looked at each source position; zero behind the end of the source.
        """
        outputs, state = self.rnn(self.dropout(self.embedding(tokens)), state, lengths=lengths)
        context, weights = self.attention.attend(outputs, PreparedKeys(memory.keys, memory.values, memory.mask))
        attentional = self.combine(cat([context, outputs], -1)).tanh()
        return self.output(self.dropout(attentional)), state, weights


def _make_attention(name: str, size: int) -> Attention:
    if name == "general":
        return GeneralAttention(size, size)
    if name == "dot":
        return DotAttention()
    return AdditiveAttention(size, size, size)
