"""Embedding: a table of vectors, looked up by number."""

from __future__ import annotations

from typing import Any

from tinyrnn._tensor import Tensor
from tinyrnn.creation import empty
from tinyrnn.grad_modes import no_grad
from tinyrnn.nn import functional, init
from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter
from tinyrnn.ops.embedding import check_options


class Embedding(Module):
    """Row ``weight[i]`` for every number i in the input: (...) -> (..., embedding_dim).

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the table.
    padding_idx : int, optional
        A row that starts as zeros and gets no gradient; negative counts from the end.
    max_norm, norm_type, scale_grad_by_freq, sparse
        At their defaults, as programs hand them over; max_norm, scale_grad_by_freq and sparse gradients are not there.

    Attributes
    ----------
    weight : (num_embeddings, embedding_dim)
        Starts standard normal.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_options(max_norm, scale_grad_by_freq, sparse)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx={padding_idx} must be within num_embeddings={num_embeddings}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        if _weight is None:
            table = empty((num_embeddings, embedding_dim), device=device, dtype=dtype)
            self.weight = Parameter(table, requires_grad=not _freeze)
            self.reset_parameters()
        else:
            if _weight.array.shape != (num_embeddings, embedding_dim):
                raise ValueError(
                    f"Embedding: weight has shape {_weight.array.shape}, expected (num_embeddings, embedding_dim) = "
                    f"({num_embeddings}, {embedding_dim})"
                )
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """An Embedding on the table `embeddings` (rows, columns), whose memory it shares; `freeze`: not trained."""
        if embeddings.array.ndim != 2:
            raise ValueError(f"Embedding.from_pretrained: expected a table of 2 dimensions, got shape {embeddings.array.shape}")
        rows, columns = embeddings.array.shape
        return cls(rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)

    def forward(self, input: Any) -> Any:
        try:
            return functional.embedding(input, self.weight, padding_idx=self.padding_idx)
        except (IndexError, TypeError, RuntimeError) as error:
            self.fail(str(error).removeprefix("embedding: "), type(error))

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
