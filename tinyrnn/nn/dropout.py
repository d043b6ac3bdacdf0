"""Dropout."""

from __future__ import annotations

from typing import Any

from tinyrnn.nn import functional
from tinyrnn.nn.module import Module


class Dropout(Module):
    """In training, zeroes every element with probability `p` and scales the others by 1 / (1 - p).

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting". `inplace` writes the
    result over the input.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return functional.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
