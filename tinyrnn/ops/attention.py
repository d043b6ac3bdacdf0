"""Attention: how well each query fits each key, and the mean of the values under these weights.

Shapes: queries (B, Tq, D), keys (B, S, D), values (B, S, Dv), scores and weights (B, Tq, S). Masks: True means keep.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyrnn.dtypes import FLOATS
from tinyrnn.ops import autocasting
from tinyrnn.ops.activations import tanh
from tinyrnn.ops.arithmetic import add, mul
from tinyrnn.ops.broadcasting import expand_to, has_shape
from tinyrnn.ops.casting import array, cast
from tinyrnn.ops.dropout import dropout
from tinyrnn.ops.products import matmul
from tinyrnn.ops.repeating import repeat_interleave
from tinyrnn.ops.selection import keep_where
from tinyrnn.ops.shaping import transpose, unsqueeze
from tinyrnn.ops.softmax import masked_softmax, softmax
from tinyrnn.ops.transfer import require_one_device


def dot_scores(query: Any, keys: Any) -> Any:
    """``query . key``: (..., Tq, D), (..., S, D) -> (..., Tq, S). Luong et al. 2015, eq. 8, "dot"."""
    return matmul(query, transpose(keys, -1, -2))


def additive_scores(query: Any, keys: Any, v: Any) -> Any:
    """``v . tanh(query + key)`` of projected queries (B, Tq, A) and keys (B, S, A), with v (A,).

    Bahdanau et al. 2015, appendix A.1.2.
    """
    return matmul(tanh(unsqueeze(query, 2) + unsqueeze(keys, 1)), v)


def attend(scores: Any, values: Any, mask: Any = None, dropout_p: float = 0.0) -> tuple[Any, Any]:
    """The softmax of the scores over the source, and the values averaged with it.

    Parameters
    ----------
    scores : (..., Tq, S).
    values : (..., S, Dv), zero (`blank`) where nothing is kept.
    mask : bool array (..., S) or (..., Tq, S); True = keep. Where nothing is kept for a query, its weights and its context
        are zeros.
    dropout_p : probability with which a weight is dropped.

    Returns
    -------
    context (..., Tq, Dv), weights (..., Tq, S).
    """
    if mask is None:
        weights = softmax(scores, -1)
    else:
        weights = masked_softmax(scores, mask if mask.ndim == array(scores).ndim else mask[..., None, :], -1)
    weights = dropout(weights, dropout_p)
    return matmul(weights, values), weights


def blank(source: Any, mask: Any) -> Any:
    """`source` (..., S, D) with zeros at the positions that no query keeps, whatever they hold (NaN included).

    A weight of zero would not do: 0 * NaN is NaN, in the context as in the gradients.
    """
    if mask is None:
        return source
    kept = mask if mask.ndim < array(source).ndim else mask.any(axis=-2)
    return keep_where(kept[..., None], source)


def length_mask(lengths: np.ndarray, S: int) -> np.ndarray:
    """(B, S), True at the first ``lengths[b]`` positions of row b."""
    return np.arange(S) < lengths[:, None]


# ---- scaled dot products, with PyTorch's masks ----


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """``softmax(query key^T scale + mask) value``. Vaswani et al. 2017, "Attention is all you need", equation 1.

    Parameters
    ----------
    query : (..., Tq, D).
    key, value : (..., S, D) and (..., S, Dv). The dimensions in front of query, key and value are broadcast together.
    attn_mask : (Tq, S), or of any shape that broadcasts to (..., Tq, S)
        Boolean, True = keep; or numbers to be added to the scores, -inf to drop one. Tells which keys a query may use.
    dropout_p : float
        Probability with which a weight is dropped, also in evaluation.
    is_causal : bool
        Let query t use no more than the first t + 1 keys; excludes `attn_mask`.
    scale : float, optional
        1 / sqrt(D) if None.
    enable_gqa : bool
        Let the heads (dimension -3) of key and value, fewer than those of the query, each serve as many of them in a row:
        Ainslie et al. 2023, "GQA: training generalized multi-query transformer models".

    Returns
    -------
    (..., Tq, Dv); zeros for a query that may use no key. Keys and values that no query may use reach neither results nor
    gradients, whatever they hold (NaN included).

    Raises
    ------
    TypeError, ValueError, RuntimeError
        If dtypes, shapes or options do not fit.
    """
    if autocasting.regions:
        query, key, value = autocasting.prepared(_NAME, (query, key, value))
    q, k, v = [_checked(name, x) for name, x in (("query", query), ("key", key), ("value", value))]
    if not q.dtype == k.dtype == v.dtype or q.dtype.kind not in FLOATS:
        raise TypeError(f"{_NAME}: query, key and value are {q.dtype}, {k.dtype} and {v.dtype}, expected one float dtype")
    shapes = f"query, key and value have shapes {q.shape}, {k.shape} and {v.shape}"
    if enable_gqa:
        if min(q.ndim, k.ndim, v.ndim) < 3 or any(not n or q.shape[-3] % n for n in (k.shape[-3], v.shape[-3])):
            raise RuntimeError(
                f"{_NAME}: {shapes}, expected dimensions (..., heads, time, feature) whose heads in key and value divide those "
                f"of the query"
            )
        key, value = [repeat_interleave(x, q.shape[-3] // array(x).shape[-3], -3) for x in (key, value)]
    front = _common_shape(*[array(x).shape[:-2] for x in (query, key, value)])
    if front is None or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            f"{_NAME}: {shapes}, expected (..., Tq, D), (..., S, D) and (..., S, Dv), equal or 1 in every dimension in front"
        )
    require_one_device(query, key, value, attn_mask)
    query, key, value = [expand_to(x, (*front, *array(x).shape[-2:])) for x in (query, key, value)]
    if is_causal and attn_mask is not None:
        raise RuntimeError(f"{_NAME}: Explicit attn_mask should not be set when is_causal=True")
    scores_shape = (*front, q.shape[-2], k.shape[-2])
    bias = None
    if is_causal:
        attn_mask = np.asarray(np.tri(*scores_shape[-2:], dtype=np.bool_), like=q)
    if attn_mask is None:
        return scaled_attention(query, key, value, None, None, dropout_p, scale)[0]
    keep = _checked("attn_mask", attn_mask, 1)
    if keep.dtype not in (bool, np.float32, q.dtype):
        raise TypeError(f"{_NAME}: attn_mask is {keep.dtype}, expected bool (True = keep) or {q.dtype} like the query")
    if _common_shape(keep.shape, scores_shape) != scores_shape:
        raise ValueError(f"{_NAME}: attn_mask has shape {keep.shape}, expected one that broadcasts to {scores_shape}")
    if keep.dtype != bool:
        bias, keep = cast(attn_mask, q.dtype), keep != -np.inf
    keep = keep.reshape((1,) * (len(scores_shape) - keep.ndim) + keep.shape)
    return scaled_attention(query, blank(key, keep), blank(value, keep), keep, bias, dropout_p, scale)[0]


_NAME = "scaled_dot_product_attention"


def _checked(name: str, x: Any, dims: int = 2) -> Any:
    """The array of the argument `name`."""
    data = array(x)
    if not has_shape(data) or data.ndim < dims:
        got = f"a tensor of shape {data.shape}" if has_shape(data) else f"a {type(x).__name__}"
        raise TypeError(f"{_NAME}: {name} is {got}, expected a tensor of at least {dims} dimensions")
    return data


def _common_shape(*shapes: tuple) -> tuple | None:
    """What the shapes broadcast to, None if they do not fit."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


def scaled_attention(
    query: Any, keys: Any, values: Any, keep: Any, bias: Any, dropout_p: float = 0.0, scale: float | None = None
) -> tuple[Any, Any]:
    """Context and weights (`attend`) of ``query . key * scale + bias``; `keep` and `bias` broadcast to them or are None."""
    if scale is None:
        scale = 1 / math.sqrt(max(array(query).shape[-1], 1))
    scores = dot_scores(mul(query, scale), keys)
    return attend(scores if bias is None else add(scores, bias), values, keep, dropout_p)
