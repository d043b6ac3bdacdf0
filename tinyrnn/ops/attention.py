"""Attention: how well each query fits each key, and the mean of the values under these weights.

Shapes: queries (B, Tq, D), keys (B, S, D), values (B, S, Dv), scores and weights (B, Tq, S). Masks: True means keep.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.ops.activations import tanh
from tinyrnn.ops.products import matmul
from tinyrnn.ops.selection import keep_where
from tinyrnn.ops.shaping import transpose, unsqueeze
from tinyrnn.ops.softmax import masked_softmax, softmax


def dot_scores(query: Any, keys: Any) -> Any:
    """``query . key``: (B, Tq, D), (B, S, D) -> (B, Tq, S). Luong et al. 2015, eq. 8, "dot"."""
    return matmul(query, transpose(keys, 1, 2))


def additive_scores(query: Any, keys: Any, v: Any) -> Any:
    """``v . tanh(query + key)`` of projected queries (B, Tq, A) and keys (B, S, A), with v (A,).

    Bahdanau et al. 2015, appendix A.1.2.
    """
    return matmul(tanh(unsqueeze(query, 2) + unsqueeze(keys, 1)), v)


def attend(scores: Any, values: Any, mask: Any = None) -> tuple[Any, Any]:
    """The softmax of the scores over the source, and the values averaged with it.

    Parameters
    ----------
    scores : (B, Tq, S).
    values : (B, S, Dv), zero (`blank`) where nothing is kept.
    mask : bool array (B, S) or (B, Tq, S); True = keep. Where nothing is kept for a query, its weights and its context
        are zeros.

    Returns
    -------
    context (B, Tq, Dv), weights (B, Tq, S).
    """
    if mask is None:
        weights = softmax(scores, -1)
    else:
        weights = masked_softmax(scores, mask if mask.ndim == 3 else mask[:, None, :], -1)
    return matmul(weights, values), weights


def blank(source: Any, mask: Any) -> Any:
    """`source` (B, S, D) with zeros at the positions that no query keeps, whatever they hold (NaN included).

    A weight of zero would not do: 0 * NaN is NaN, in the context as in the gradients.
    """
    if mask is None:
        return source
    kept = mask if mask.ndim == 2 else mask.any(axis=1)
    return keep_where(kept[:, :, None], source)


def length_mask(lengths: np.ndarray, S: int) -> np.ndarray:
    """(B, S), True at the first ``lengths[b]`` positions of row b."""
    return np.arange(S) < lengths[:, None]
