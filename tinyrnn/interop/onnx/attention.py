"""Attention layers as ONNX nodes: projected keys, scores, softmax over what the masks keep, the mean of the values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn import nn
from tinyrnn.interop.onnx.graph import Graph
from tinyrnn.interop.onnx.reductions import transposed


def attention_layer(
    layer: Any, g: Graph, out: Any, query: Any, keys: Any, values: Any = None, mask: Any = None, lengths: Any = None
) -> list[str]:
    """Context and weights of an attention layer whose scores are in the table below."""
    kept = _kept(g, keys, mask, lengths)
    keys_value = _blanked(g, g.value(keys), kept, keys.array.dtype)
    values_value = keys_value if values is None else _blanked(g, g.value(values), kept, keys.array.dtype)
    single = query.array.ndim == 2
    queries = g("Unsqueeze", g.value(query), g.ints(1)) if single else g.value(query)
    scores = next(score for cls, score in SCORES.items() if isinstance(layer, cls))(g, layer, queries, keys_value)
    weights = masked_softmax(g, scores, kept, keys.array.dtype)
    results = [g("MatMul", weights, values_value), weights]
    return [g("Squeeze", each, g.ints(1)) for each in results] if single else results


# ---- scores: queries (B, Tq, Dq) and keys (B, S, Dk) -> (B, Tq, S) -----------------------------------------------------


def _dot(g: Graph, layer: Any, queries: str, keys: str) -> str:
    return g("MatMul", queries, g("Transpose", keys, perm=[0, 2, 1]))


def _scaled_dot(g: Graph, layer: Any, queries: str, keys: str) -> str:
    size = g("Squeeze", g("Shape", queries, start=2, end=3))
    root = g("Sqrt", g("CastLike", size, queries))
    return g("Div", _dot(g, layer, queries, keys), root)


def _general(g: Graph, layer: Any, queries: str, keys: str) -> str:
    return _dot(g, layer, queries, _projected(g, layer.key_projection, keys))


def _additive(g: Graph, layer: Any, queries: str, keys: str) -> str:
    query = g("Unsqueeze", _projected(g, layer.query_projection, queries), g.ints(2))
    key = g("Unsqueeze", _projected(g, layer.key_projection, keys), g.ints(1))
    return g("MatMul", g("Tanh", g("Add", query, key)), g.value(layer.v))


def _projected(g: Graph, linear: Any, x: str) -> str:
    return g("MatMul", x, transposed(g, linear.weight))


# A class before those that it is derived from. To export another attention layer, enter its scores here.
SCORES = {
    nn.ScaledDotAttention: _scaled_dot,
    nn.DotAttention: _dot,
    nn.GeneralAttention: _general,
    nn.AdditiveAttention: _additive,
}


# ---- masks -----------------------------------------------------------------------------------------------------------


def _kept(g: Graph, keys: Any, mask: Any, lengths: Any) -> str:
    """What mask and lengths keep, bool (B, 1 or Tq, S), or ""."""
    kept = []
    if mask is not None:
        kept.append(g.value(mask) if mask.array.ndim == 3 else g("Unsqueeze", g.value(mask), g.ints(1)))
    if lengths is not None:
        S = g.value(keys.shape[1], np.dtype(np.int64))
        positions = g("Range", g.value(np.int64(0)), S, g.value(np.int64(1)))
        limits = g("Unsqueeze", g.value(lengths, np.dtype(np.int64)), g.ints(1, 2))
        kept.append(g("Less", positions, limits))
    return "" if not kept else kept[0] if len(kept) == 1 else g("And", *kept)


def _blanked(g: Graph, source: str, kept: str, dtype: np.dtype) -> str:
    """(B, S, D) with zeros at the positions that no query keeps."""
    if not kept:
        return source
    as_numbers = g("Cast", kept, to=_INT32)
    any_query = g("ReduceMax", as_numbers, axes=[1], keepdims=0)
    return g("Where", g("Unsqueeze", g("Cast", any_query, to=_BOOL), g.ints(2)), source, g.value(0, dtype))


def masked_softmax(g: Graph, scores: str, kept: str, dtype: np.dtype) -> str:
    """Zeros for a query for which nothing is kept: with the lowest finite number the softmax is no NaN there."""
    if not kept:
        return g("Softmax", scores, axis=-1)
    lowest = g.value(np.finfo(dtype).min, dtype)
    return g("Where", kept, g("Softmax", g("Where", kept, scores, lowest), axis=-1), g.value(0, dtype))


_INT32, _BOOL = 6, 9  # onnx.TensorProto, which is not loaded yet


def stepwise_attention(layer: Any, g: Graph, out: Any, *args: Any, **kwargs: Any) -> list[str]:
    """Attention in which every query is told about the one before."""
    raise NotImplementedError("its queries follow each other in a loop in Python, which a graph cannot express")
