"""Attention that looks at where it has looked before: location-aware and coverage."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn._tensor import Tensor
from tinyrnn.creation import empty
from tinyrnn.engine.base import wrap
from tinyrnn.nn.attention import AdditiveAttention, PreparedKeys
from tinyrnn.nn.checks import check_counts
from tinyrnn.nn.lengths import checked_lengths
from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter
from tinyrnn.ops.activations import tanh
from tinyrnn.ops.attention import attend, length_mask
from tinyrnn.ops.padding import pad
from tinyrnn.ops.products import matmul
from tinyrnn.ops.reductions import cumsum
from tinyrnn.ops.reductions import sum as sum_along
from tinyrnn.ops.selection import keep_where, minimum
from tinyrnn.ops.shaping import squeeze, unsqueeze
from tinyrnn.ops.slicing import narrow, stack
from tinyrnn.ops.windows import unfold


class AlignedAttention(AdditiveAttention):
    """Base of additive attention that also compares where earlier queries have looked.

    ``context, weights, alignment = attention(query, keys, values=None, mask=None, lengths=None, alignment=None)``

    `alignment` (B, S) is what is known of the queries before: None (zeros) at first, and the third result of the call
    before from then on. The queries of one call follow each other in the same way; everything else as for `Attention`.
    Decoding step by step::

        source, alignment = attention.prepare(keys, lengths=lengths), None
        context, weights, alignment = attention.attend(query, source, alignment)
    """

    def forward(  # type: ignore[override]
        self, query: Any, keys: Any, values: Any = None, mask: Any = None, lengths: Any = None, alignment: Any = None
    ) -> tuple[Any, Any, Any]:
        return self.attend(query, self.prepare(keys, values, mask, lengths), alignment)

    def attend(self, query: Any, source: PreparedKeys, alignment: Any = None) -> tuple[Any, Any, Any]:  # type: ignore[override]
        """Context and weights of `query` over a prepared source, and the alignment for the next query."""
        queries = self._queries(query, source)
        B, S = source.keys.array.shape[:2]
        if alignment is None:
            alignment = wrap(np.zeros_like(source.keys.array, shape=(B, S)))
        else:
            self._check("alignment", alignment, (2,), "(batch, source)", source.keys)
            if alignment.array.shape != (B, S):
                self.fail(f"alignment has shape {tuple(alignment.array.shape)}, expected (batch, source) = {(B, S)}")
        if 0 in (queries.array.shape[1], S):  # nothing to look with, or at
            return (*super().attend(query, source), alignment)
        queries = self.query_projection(queries)
        steps = []
        for t in range(queries.array.shape[1]):
            terms = narrow(queries, 1, t, 1) + source.keys + self.alignment_term(alignment)
            mask = source.mask if source.mask is None or source.mask.ndim == 2 else source.mask[:, t]
            context, weights = attend(unsqueeze(matmul(tanh(terms), self.v), 1), source.values, mask)
            context, weights = squeeze(context, 1), squeeze(weights, 1)
            alignment = self.next_alignment(alignment, weights)
            steps.append((context, weights))
        if query.array.ndim == 2:
            return (*steps[0], alignment)
        contexts, all_weights = zip(*steps)
        return stack(list(contexts), 1), stack(list(all_weights), 1), alignment

    def alignment_term(self, alignment: Any) -> Any:
        """(B, S) -> (B, S, A), added to projected query and keys."""
        raise NotImplementedError(f"{type(self).__name__} does not define alignment_term(alignment)")

    def next_alignment(self, alignment: Any, weights: Any) -> Any:
        """What the next query is told, (B, S), after one that looked with `weights` (B, S)."""
        raise NotImplementedError(f"{type(self).__name__} does not define next_alignment(alignment, weights)")


class LocationAwareAttention(AlignedAttention):
    """score(q, k, f) = v . tanh(W q + V k + U f), where f = F * a are features of the weights a of the query before.

    Chorowski et al. 2015, "Attention-based models for speech recognition", eq. 8 and 9.

    Parameters
    ----------
    query_size, key_size, hidden_size : int
        As for AdditiveAttention.
    filters : int
        Number K of filters; F = ``filters`` is (K, width), U = ``filter_projection`` (A, K), drawn uniform in
        +-1/sqrt(width) and +-1/sqrt(K).
    width : int
        Positions that a filter sees, odd.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        hidden_size: int,
        filters: int = 10,
        width: int = 31,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        filters, width = check_counts(filters=filters, width=width)
        if width % 2 == 0:
            raise ValueError(f"width must be odd, for a filter has a middle, got {width}")
        super().__init__(query_size, key_size, hidden_size, device, dtype)
        self.filters = Parameter(empty(filters, width, device=device, dtype=dtype))
        self.filter_projection = Parameter(empty(hidden_size, filters, device=device, dtype=dtype))
        self.reset_parameters()

    def alignment_term(self, alignment: Any) -> Any:
        width = self.filters.array.shape[1]
        windows = unfold(pad(alignment, (width // 2, width // 2)), 1, width, 1)
        return matmul(windows, (self.filter_projection @ self.filters).t())

    def next_alignment(self, alignment: Any, weights: Any) -> Any:
        return weights


class CoverageAttention(AlignedAttention):
    """score(q, k, c) = v . tanh(W q + V k + w c), where c is the sum of the weights of all queries before.

    See et al. 2017, "Get to the point: summarization with pointer-generator networks", eq. 10 and 11. w = ``coverage`` is (A,),
    drawn uniform in +-1/sqrt(A). `CoverageLoss` keeps queries from looking where others have.
    """

    def __init__(self, query_size: int, key_size: int, hidden_size: int, device: Any = None, dtype: Any = None) -> None:
        super().__init__(query_size, key_size, hidden_size, device, dtype)
        self.coverage = Parameter(empty(hidden_size, device=device, dtype=dtype))
        self.reset_parameters()

    def alignment_term(self, alignment: Any) -> Any:
        return unsqueeze(alignment, 2) * self.coverage

    def next_alignment(self, alignment: Any, weights: Any) -> Any:
        return alignment + weights


class CoverageLoss(Module):
    """sum_s min(a_ts, c_ts), where c_t is the sum of the weights a before step t: See et al. 2017, eq. 12.

    ``loss = coverage_loss(weights, lengths=None)``: weights (B, Tq, S) of any attention layer, lengths (B integers) of the
    sequences of queries; the mean over the queries within them.
    """

    def forward(self, weights: Any, lengths: Any = None) -> Any:
        if not isinstance(weights, Tensor) or weights.array.ndim != 3:
            got = f"shape {tuple(weights.shape)}" if isinstance(weights, Tensor) else f"a {type(weights).__name__}"
            self.fail(f"weights are {got}, expected a tensor (batch, queries, source)")
        B, Tq, _ = weights.array.shape
        losses = sum_along(minimum(weights, cumsum(weights, 1) - weights), -1)
        if lengths is None:
            return losses.mean()
        kept = length_mask(checked_lengths(self, lengths, B, Tq, "queries"), Tq)
        return keep_where(kept, losses).sum() / max(int(kept.sum()), 1)
