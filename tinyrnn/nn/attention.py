"""Attention layers: dot, scaled dot, general and additive, over a padded source."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinyrnn._tensor import Tensor
from tinyrnn.creation import empty
from tinyrnn.nn import init
from tinyrnn.nn.checks import check_counts
from tinyrnn.nn.lengths import checked_lengths
from tinyrnn.nn.linear import Linear
from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter
from tinyrnn.ops.attention import additive_scores, attend, blank, dot_scores, length_mask
from tinyrnn.ops.autocasting import reconciles
from tinyrnn.ops.casting import array
from tinyrnn.ops.shaping import squeeze, unsqueeze


class PreparedKeys(NamedTuple):
    """A source that is ready to be attended to, step after step: see `Attention.prepare`.

    keys : (B, S, D), projected, zeros where masked. values : (B, S, Dv), likewise. mask : bool array (B, S) or
    (B, Tq, S), True = keep, or None.
    """

    keys: Any
    values: Any
    mask: Any


class Attention(Module):
    """Base of the attention layers.

    ``context, weights = attention(query, keys, values=None, mask=None, lengths=None)``

    Shapes
    ------
    query (B, Tq, Dq), or (B, Dq) for a single step; keys (B, S, Dk); values (B, S, Dv), the keys if None.
    context (B, Tq, Dv), weights (B, Tq, S); for a single step (B, Dv) and (B, S).

    Masks
    -----
    `mask` is boolean, (B, S) or (B, Tq, S), True = keep. `lengths` (B integers) keeps the first positions of every row;
    given both, a position is kept if both keep it. What stands at positions that no query keeps (NaN included) reaches
    neither results nor gradients. A query for which nothing is kept gets zeros as context and weights.

    Decoding step by step, prepare the source once::

        source = attention.prepare(keys, lengths=lengths)
        context, weights = attention.attend(query, source)
    """

    def __init__(self, query_size: int | None = None, key_size: int | None = None) -> None:
        super().__init__()
        self.query_size = query_size
        self.key_size = key_size

    def forward(self, query: Any, keys: Any, values: Any = None, mask: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        return self.attend(query, self.prepare(keys, values, mask, lengths))

    def prepare(self, keys: Any, values: Any = None, mask: Any = None, lengths: Any = None) -> PreparedKeys:
        """Project the keys and blank what is masked, once for any number of calls of `attend`."""
        self._check("keys", keys, (3,), "(batch, source, feature)")
        if self.key_size is not None and keys.array.shape[2] != self.key_size:
            self.fail(f"keys have {keys.array.shape[2]} features, expected key_size={self.key_size}")
        if values is not None:
            self._check("values", values, (3,), "(batch, source, feature)", keys)
            if values.array.shape[:2] != keys.array.shape[:2]:
                self.fail(
                    f"values have shape {tuple(values.array.shape)}, expected {tuple(keys.array.shape[:2])} in front "
                    f"like the keys (batch, source)"
                )
        kept = self._mask(mask, lengths, keys.array)
        keys = blank(keys, kept)
        return PreparedKeys(self.project_keys(keys), keys if values is None else blank(values, kept), kept)

    def attend(self, query: Any, source: PreparedKeys) -> tuple[Any, Any]:
        """Context and weights of `query` over a prepared source."""
        context, weights = attend(self.score(self._queries(query, source), source.keys), source.values, source.mask)
        if query.array.ndim == 3:
            return context, weights
        return squeeze(context, 1), squeeze(weights, 1)

    def _queries(self, query: Any, source: PreparedKeys) -> Any:
        """`query` as (B, Tq, Dq), after it was checked."""
        if not isinstance(source, PreparedKeys):
            self.fail(f"the source is a {type(source).__name__}, expected what prepare(keys) returns", TypeError)
        self._check("query", query, (2, 3), "(batch, feature) or (batch, time, feature)", source.keys)
        shape = query.array.shape
        if self.query_size is not None and shape[-1] != self.query_size:
            self.fail(f"query has {shape[-1]} features, expected query_size={self.query_size}")
        B = source.keys.array.shape[0]
        if shape[0] != B:
            self.fail(f"query has a batch of {shape[0]}, expected {B} like the keys; is it (batch, time, feature)?")
        steps = 1 if query.array.ndim == 2 else shape[1]
        if source.mask is not None and source.mask.ndim == 3 and source.mask.shape[1] != steps:
            self.fail(f"mask of shape {tuple(source.mask.shape)} is for {source.mask.shape[1]} queries, got {steps}")
        return query if query.array.ndim == 3 else unsqueeze(query, 1)

    def project_keys(self, keys: Any) -> Any:
        """What `score` is given for the keys; they themselves unless the layer has a weight for them."""
        return keys

    def score(self, query: Any, keys: Any) -> Any:
        """(B, Tq, Dq) and projected keys (B, S, D) -> (B, Tq, S); every attention layer defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define score(query, keys)")

    def _check(self, name: str, value: Any, ranks: tuple, layout: str, keys: Any = None) -> None:
        """An error unless `value` is a tensor of one of the ranks, of the dtype of `keys` or, if None, of the weights."""
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            self.fail(f"{name} is a {kind}, expected a tensor; convert it with tinyrnn.tensor(...)", TypeError)
        if value.array.ndim not in ranks:
            self.fail(f"got {name} of shape {tuple(value.array.shape)}, expected {layout}")
        like = next(self.parameters(), None) if keys is None else keys
        if like is None:
            if not value.is_floating_point():
                self.fail(f"{name} is {value.dtype}, expected floating-point numbers; convert it with .float()", TypeError)
        elif value.array.dtype != like.array.dtype and not reconciles(value, like):
            whose = "weights" if keys is None else "keys"
            self.fail(f"{name} is {value.dtype}, expected {like.dtype} like the {whose}; convert one with .to(...)", TypeError)

    def _mask(self, mask: Any, lengths: Any, keys: Any) -> Any:
        """`mask` and `lengths` as one bool array of the kind of the array `keys`, or None."""
        B, S = keys.shape[:2]
        kept = None
        if mask is not None:
            kept = array(mask)
            if not hasattr(kept, "dtype") or kept.dtype.kind != "b":
                got = getattr(kept, "dtype", type(kept).__name__)
                self.fail(f"mask is {got}, expected a bool tensor (True = keep); compare it with != 0", TypeError)
            if (kept.ndim != 2 or kept.shape != (B, S)) and (kept.ndim != 3 or kept.shape[::2] != (B, S)):
                self.fail(
                    f"mask has shape {tuple(kept.shape)}, expected (batch, source) = {(B, S)} or (batch, queries, source)"
                )
            kept = np.asarray(kept, like=keys)
        if lengths is None:
            return kept
        valid = length_mask(checked_lengths(self, lengths, B, S, "source positions"), S)
        valid = np.asarray(valid, like=keys)
        return valid if kept is None else kept & (valid if kept.ndim == 2 else valid[:, None, :])


class DotAttention(Attention):
    """score(q, k) = q . k; queries and keys have the same number of features. Luong et al. 2015, eq. 8, "dot"."""

    def __init__(self) -> None:
        super().__init__()

    def score(self, query: Any, keys: Any) -> Any:
        if query.array.shape[2] != keys.array.shape[2]:
            self.fail(
                f"query has {query.array.shape[2]} features and the keys have {keys.array.shape[2]}, expected the same "
                f"number; GeneralAttention takes different ones"
            )
        return dot_scores(query, keys)


class ScaledDotAttention(DotAttention):
    """score(q, k) = q . k / sqrt(D). Vaswani et al. 2017, "Attention is all you need", eq. 1."""

    def score(self, query: Any, keys: Any) -> Any:
        return super().score(query, keys) * (1 / math.sqrt(max(query.array.shape[2], 1)))


class GeneralAttention(Attention):
    """score(q, k) = q . (W k). Luong et al. 2015, "Effective approaches to attention-based NMT", eq. 8, "general".

    Parameters
    ----------
    query_size, key_size : int
        Features of query and keys; W = ``key_projection.weight`` is (query_size, key_size).
    """

    def __init__(self, query_size: int, key_size: int, device: Any = None, dtype: Any = None) -> None:
        query_size, key_size = check_counts(query_size=query_size, key_size=key_size)
        super().__init__(query_size, key_size)
        self.key_projection = Linear(key_size, query_size, bias=False, device=device, dtype=dtype)

    def project_keys(self, keys: Any) -> Any:
        return self.key_projection(keys)

    def score(self, query: Any, keys: Any) -> Any:
        return dot_scores(query, keys)


class AdditiveAttention(Attention):
    """score(q, k) = v . tanh(W q + U k). Bahdanau et al. 2015, "Neural machine translation by jointly learning to align
    and translate", appendix A.1.2.

    Parameters
    ----------
    query_size, key_size : int
        Features of query and keys.
    hidden_size : int
        Size A of the space in which they are compared; W = ``query_projection.weight`` is (A, query_size),
        U = ``key_projection.weight`` (A, key_size), ``v`` (A,), drawn uniform in +-1/sqrt(A).

    The comparison takes B * Tq * S * A numbers of memory.
    """

    def __init__(self, query_size: int, key_size: int, hidden_size: int, device: Any = None, dtype: Any = None) -> None:
        sizes = check_counts(query_size=query_size, key_size=key_size, hidden_size=hidden_size)
        query_size, key_size, hidden_size = sizes
        super().__init__(query_size, key_size)
        self.query_projection = Linear(query_size, hidden_size, bias=False, device=device, dtype=dtype)
        self.key_projection = Linear(key_size, hidden_size, bias=False, device=device, dtype=dtype)
        self.v = Parameter(empty(hidden_size, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw v anew, and what a subclass adds (the projections draw their own weights)."""
        for parameter in self._parameters.values():
            bound = 1 / math.sqrt(parameter.array.shape[-1])
            init.uniform_(parameter, -bound, bound)

    def project_keys(self, keys: Any) -> Any:
        return self.key_projection(keys)

    def score(self, query: Any, keys: Any) -> Any:
        return additive_scores(self.query_projection(query), keys, self.v)
