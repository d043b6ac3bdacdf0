"""From text to ids and back for one side of a model: a unit and a vocabulary that belong together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tinyrnn.seq2seq.vocabulary import UNKNOWN, Unit, Vocabulary, join, split


@dataclass(frozen=True)
class Codec:
    """How a model reads or writes text.

    Attributes
    ----------
    unit : {'char', 'word'}
        What text is split into.
    vocabulary : Vocabulary
        How the tokens are numbered.
    """

    unit: Unit
    vocabulary: Vocabulary

    @classmethod
    def build(cls, texts: Iterable[str], unit: Unit) -> Codec:
        """Collect the vocabulary of texts; ValueError if the unit is neither 'char' nor 'word'."""
        return cls(unit, Vocabulary.build(split(text, unit) for text in texts))

    def encode(self, text: str) -> list[int]:
        """Give the ids of a text; adds neither start nor end."""
        return self.vocabulary.encode(split(text, self.unit))

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text of ids up to the first end."""
        return join(self.vocabulary.decode(ids), self.unit)

    def unknown(self, text: str) -> list[str]:
        """Give the tokens of a text that the vocabulary lacks, each once, in their order."""
        tokens = split(text, self.unit)
        ids = self.vocabulary.encode(tokens)
        return list(dict.fromkeys(token for token, number in zip(tokens, ids, strict=True) if number == UNKNOWN))

    def to_json(self) -> dict[str, Any]:
        """Give the codec as JSON data."""
        return {"unit": self.unit, "vocabulary": self.vocabulary.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Codec:
        """Rebuild the codec that `to_json` wrote; ValueError if it is not one."""
        if not isinstance(data, dict) or data.get("unit") not in ("char", "word") or "vocabulary" not in data:
            raise ValueError("codec: expected an object with 'unit' ('char' or 'word') and 'vocabulary'")
        return cls(data["unit"], Vocabulary.from_json(data["vocabulary"]))

    def __len__(self) -> int:
        """The number of ids."""
        return len(self.vocabulary)
