"""The model: encoder and decoder with the codecs that turn text into their ids and back."""

from __future__ import annotations

from typing import Any

from tinyrnn import devices
from tinyrnn._tensor import Tensor
from tinyrnn.creation import tensor
from tinyrnn.nn.module import Module
from tinyrnn.ops.softmax import log_softmax
from tinyrnn.seq2seq.codec import Codec
from tinyrnn.seq2seq.decoder import ATTENTIONS, Decoder
from tinyrnn.seq2seq.encoder import CELLS, Encoder, Memory, State
from tinyrnn.seq2seq.vocabulary import PADDING


class Seq2Seq(Module):
    """A bidirectional encoder and an attention decoder.

    Parameters
    ----------
    source, target : Codec
        How sources are read and targets are written.
    embed : int
        Size of both embeddings.
    hidden : int
        Size of the encoder's state in each direction; the decoder's state has twice that.
    layers : int
        Layers of the encoder, and of the decoder.
    cell : {'lstm', 'gru', 'rnn'}
    attention : {'general', 'dot', 'additive'}
    dropout : float
        Probability, in [0, 1).
    max_length : int
        Most tokens a search writes for one source, the end included.

    Raises
    ------
    ValueError
        If a size is below 1, dropout is outside [0, 1), or there is no such cell or attention.
    """

    def __init__(
        self,
        source: Codec,
        target: Codec,
        *,
        embed: int = 128,
        hidden: int = 256,
        layers: int = 2,
        cell: str = "lstm",
        attention: str = "general",
        dropout: float = 0.3,
        max_length: int = 100,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "embed": embed,
            "hidden": hidden,
            "layers": layers,
            "cell": cell,
            "attention": attention,
            "dropout": dropout,
            "max_length": max_length,
        }
        _check(self.config)
        self.source = source
        self.target = target
        self.max_length = max_length
        self.encoder = Encoder(len(source), embed, hidden, layers, cell, dropout)
        self.decoder = Decoder(len(target), embed, 2 * hidden, layers, cell, attention, dropout)

    @property
    def device(self) -> devices.device:
        """Where the weights lie, and ids have to."""
        return devices.of_array(self.decoder.embedding.weight.array)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Read sources.

        Parameters
        ----------
        source : Tensor of int64, shape (B, S)
            Ids with padding behind the end.
        lengths : Tensor of int64, shape (B,)

        Returns
        -------
        Memory
        """
        values, state = self.encoder(source, lengths)
        keys, values, mask = self.decoder.attention.prepare(values, lengths=lengths)
        return Memory(values, keys, mask, state)

    def decode_step(self, token: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """Predict the next token of each row; changes nothing that it is given.

        Parameters
        ----------
        token : Tensor of int64, shape (B,)
            The last token of each row: the start in the first step.
        state : State of shape (L, B, 2H)
            `memory.state` in the first step, then what the last step returned.
        memory : Memory

        Returns
        -------
        log_probs : Tensor, shape (B, V)
        state : State
        attention : Tensor, shape (B, S)
        """
        logits, state, weights = self.decoder(token[:, None], state, memory)
        return log_softmax(logits[:, 0], -1), state, weights[:, 0]

    def forward(self, source: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Give the logits of every target position by teacher forcing.

        Parameters
        ----------
        source : Tensor of int64, shape (B, S)
        lengths : Tensor of int64, shape (B,)
        tokens : Tensor of int64, shape (B, T)
            The targets with the start in front, without the end.

        Returns
        -------
        Tensor, shape (B, T, V)
            Position t predicts token t + 1 of `tokens`, the last one the end. Where `tokens` has padding there is no
            prediction: the decoder does not run there.
        """
        memory = self.encode(source, lengths)
        target_lengths = tensor((tokens.array != PADDING).sum(1))
        return self.decoder(tokens, memory.state, memory, target_lengths)[0]

    def to_json(self) -> dict[str, Any]:
        """Give everything but the weights as JSON data."""
        return {**self.config, "source": self.source.to_json(), "target": self.target.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Seq2Seq:
        """Rebuild the model that `to_json` described, with fresh weights.

        Raises
        ------
        ValueError
            If something is missing, unknown or out of range.
        """
        if not isinstance(data, dict):
            raise ValueError(f"model: expected the object that to_json() wrote, got {str(data)[:60]}")
        options = dict(data)
        try:
            source, target = Codec.from_json(options.pop("source")), Codec.from_json(options.pop("target"))
            return cls(source, target, **options)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"model: expected the entries that to_json() wrote, got another set ({error})") from error


def _check(config: dict[str, Any]) -> None:
    for name in ("embed", "hidden", "layers", "max_length"):
        if not isinstance(config[name], int) or config[name] < 1:
            raise ValueError(f"{name}: expected a whole number of at least 1, got {config[name]!r}")
    for name, choices in (("cell", tuple(CELLS)), ("attention", ATTENTIONS)):
        if config[name] not in choices:
            raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {config[name]!r}")
    if not isinstance(config["dropout"], int | float) or not 0 <= config["dropout"] < 1:
        raise ValueError(f"dropout: expected a probability of at least 0 and below 1, got {config['dropout']!r}")
