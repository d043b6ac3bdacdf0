"""Text to token ids and back: the units text is split into, and the vocabulary that numbers them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Literal

PADDING, START, END, UNKNOWN = range(4)
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")

Unit = Literal["char", "word"]
Order = Literal["frequency", "token"]


def split(text: str, unit: Unit) -> list[str]:
    """Split text into tokens.

    Parameters
    ----------
    text : str
    unit : {'char', 'word'}
        'char': every Unicode code point, spaces too; 'word': what stands between white space.

    Raises
    ------
    ValueError
        If the unit is neither of the two.
    """
    if unit == "char":
        return list(text)
    if unit == "word":
        return text.split()
    raise _unknown_unit(unit)


def join(tokens: Iterable[str], unit: Unit) -> str:
    """Join tokens into text: the inverse of `split`, with single spaces between words.

    Raises
    ------
    ValueError
        If the unit is neither 'char' nor 'word'.
    """
    if unit == "char":
        return "".join(tokens)
    if unit == "word":
        return " ".join(tokens)
    raise _unknown_unit(unit)


def _unknown_unit(unit: str) -> ValueError:
    return ValueError(f"unit: expected 'char' or 'word', got {unit!r}; choose one of the two")


class Vocabulary:
    """A numbering of tokens.

    Ids 0 to 3 are the specials ``<pad>``, ``<s>`` (start), ``</s>`` (end) and ``<unk>`` (unknown); the
    tokens follow. The specials belong to the model, not to the text: a text that happens to contain the word
    ``</s>`` has it encoded as unknown, so that data can never end a sequence.

    Parameters
    ----------
    tokens : iterable of str
        The tokens in order of their ids, from id 4 on, without the specials.

    Attributes
    ----------
    tokens : tuple of str
        Every token, the specials included; the index is the id.

    Raises
    ------
    ValueError
        If a token comes twice or spells like a special.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = (*SPECIALS, *tokens)
        repeated = [token for token, count in Counter(self.tokens).items() if count > 1]
        if repeated:
            raise ValueError(
                f"vocabulary: expected every token once, got {repeated[0]!r} twice; "
                f"remove the second one (the specials {', '.join(SPECIALS)} are always there)"
            )
        self._ids = {token: number for number, token in enumerate(self.tokens) if token not in SPECIALS}

    @classmethod
    def build(
        cls,
        sequences: Iterable[Iterable[str]],
        order: Order = "frequency",
        min_count: int = 1,
        max_size: int | None = None,
    ) -> Vocabulary:
        """Collect the vocabulary of token sequences.

        Parameters
        ----------
        sequences : iterable of iterables of str
        order : {'frequency', 'token'}
            Number the tokens by falling frequency (equally frequent ones by code point), or by code point.
        min_count : int
            Leave out tokens that occur less often than this.
        max_size : int, optional
            The largest length of the vocabulary, the four specials included; the most frequent tokens stay.

        Raises
        ------
        ValueError
            If the order is neither of the two, or `max_size` has no room for the specials.
        """
        if order not in ("frequency", "token"):
            raise ValueError(f"order: expected 'frequency' or 'token', got {order!r}; choose one of the two")
        if max_size is not None and max_size < len(SPECIALS):
            raise ValueError(f"max_size: expected at least {len(SPECIALS)} for the specials, got {max_size}; raise it")
        counts = Counter(token for token in chain.from_iterable(sequences) if token not in SPECIALS)
        frequent = [token for token, count in counts.items() if count >= min_count]
        frequent.sort(key=lambda token: (-counts[token], token))
        kept = frequent if max_size is None else frequent[: max_size - len(SPECIALS)]
        return cls(kept if order == "frequency" else sorted(kept))

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Give the ids of tokens, `UNKNOWN` for those the vocabulary lacks; adds neither start nor end."""
        return [self._ids.get(token, UNKNOWN) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Give the tokens of ids up to the first end; start and padding are left out, ``<unk>`` stays.

        Raises
        ------
        ValueError
            If an id before the end is not in the vocabulary.
        """
        tokens = []
        for number in ids:
            if number == END:
                break
            if not 0 <= number < len(self):
                raise ValueError(
                    f"token id: expected 0 to {len(self) - 1}, got {number}; "
                    "decode with the vocabulary that the ids were made with"
                )
            if number not in (PADDING, START):
                tokens.append(self.tokens[number])
        return tokens

    def to_json(self) -> list[str]:
        """Give every token, the specials included, as a plain list whose index is the id."""
        return list(self.tokens)

    @classmethod
    def from_json(cls, tokens: list[str]) -> Vocabulary:
        """Rebuild the vocabulary that `to_json` wrote.

        Raises
        ------
        ValueError
            If the list does not begin with the four specials, holds something other than text, or a token
            twice.
        """
        if not isinstance(tokens, list) or tuple(tokens[: len(SPECIALS)]) != SPECIALS:
            raise ValueError(
                f"vocabulary: expected a list that begins with {', '.join(SPECIALS)}, "
                f"got {str(tokens)[:60]}; give the list that to_json() made"
            )
        for token in tokens:
            if not isinstance(token, str):
                raise ValueError(f"vocabulary: expected tokens of type str, got {token!r}; write it as text")
        return cls(tokens[len(SPECIALS) :])

    def __len__(self) -> int:
        """The number of ids, the specials included: the number of rows an embedding needs."""
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        """Whether `encode` gives this token an id of its own; false for the specials."""
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        return self.tokens == other.tokens if isinstance(other, Vocabulary) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.tokens)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens)"
