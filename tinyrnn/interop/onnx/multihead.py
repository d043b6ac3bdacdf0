"""MultiheadAttention as ONNX nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.interop.onnx.attention import masked_softmax
from tinyrnn.interop.onnx.graph import Graph


def multihead_layer(
    layer: Any,
    g: Graph,
    out: Any,
    query: Any,
    key: Any,
    value: Any,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> list[str]:
    """The output, and the weights if they are wanted."""
    dtype, unbatched = query.array.dtype, query.array.ndim == 2
    weights, biases = _input_projections(layer)
    q, k, v = [
        _heads(g, layer, _projected(g, _batch_first(g, layer, x), weight, bias))
        for x, weight, bias in zip((query, key, value), weights, biases)
    ]
    batch = g("Shape", q, start=0, end=1)
    k, v = _appended(g, layer, k, layer.bias_k, batch), _appended(g, layer, v, layer.bias_v, batch)
    kept, added = _masks(g, layer, key_padding_mask, attn_mask, unbatched, dtype)
    scale = g.value(np.array(layer.head_dim**-0.5, dtype))
    scores = g("MatMul", g("Mul", q, scale), g("Transpose", k, perm=[0, 1, 3, 2]))
    attention = masked_softmax(g, g("Add", scores, added) if added else scores, kept, dtype)
    context = g("Transpose", g("MatMul", attention, v), perm=[0, 2, 1, 3])
    joined = g("Reshape", context, g.ints(0, 0, layer.embed_dim))
    bias = layer.out_proj.bias
    output = _projected(g, joined, layer.out_proj.weight.array, None if bias is None else bias.array)
    results = [output if layer.batch_first or unbatched else g("Transpose", output, perm=[1, 0, 2])]
    if need_weights:
        results.append(g("ReduceMean", attention, axes=[1], keepdims=0) if average_attn_weights else attention)
    return [g("Squeeze", each, g.ints(0)) for each in results] if unbatched else results


def _batch_first(g: Graph, layer: Any, x: Any) -> str:
    if x.array.ndim == 2:
        return g("Unsqueeze", g.value(x), g.ints(0))
    return g.value(x) if layer.batch_first else g("Transpose", g.value(x), perm=[1, 0, 2])


def _input_projections(layer: Any) -> tuple[list, list]:
    """The weights and biases of query, key and value, as arrays; a bias may be None."""
    shared, bias = layer.in_proj_weight, layer.in_proj_bias
    apart = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight]
    weights = [each.array for each in apart] if shared is None else np.split(shared.array, 3)
    return weights, [None] * 3 if bias is None else np.split(bias.array, 3)


def _projected(g: Graph, x: str, weight: Any, bias: Any) -> str:
    product = g("MatMul", x, g.constant(np.ascontiguousarray(weight.T)))
    return product if bias is None else g("Add", product, g.constant(bias))


def _heads(g: Graph, layer: Any, x: str) -> str:
    """(B, T, E) -> (B, N, T, E / N)."""
    return g("Transpose", g("Reshape", x, g.ints(0, 0, layer.num_heads, layer.head_dim)), perm=[0, 2, 1, 3])


def _appended(g: Graph, layer: Any, x: str, learned: Any, batch: str) -> str:
    """Keys or values with the learned one and zeros behind them."""
    rows = [] if learned is None else [learned.array]
    rows += [np.zeros(layer.embed_dim, layer.out_proj.weight.array.dtype)] if layer.add_zero_attn else []
    shape = layer.num_heads, 1, layer.head_dim
    all_shapes = g("Concat", batch, g.ints(*shape), axis=0) if rows else ""
    parts = [g("Expand", g.constant(np.ascontiguousarray(row.reshape(shape))), all_shapes) for row in rows]
    return g("Concat", x, *parts, axis=2) if parts else x


def _masks(g: Graph, layer: Any, key_padding_mask: Any, attn_mask: Any, unbatched: bool, dtype: np.dtype) -> tuple[str, str]:
    """What is kept, and what is added to the scores, (B or 1, N or 1, T or 1, S) each, or ""."""
    kept, added = [], []
    for mask, axes in ((key_padding_mask, (0, 1, 2) if unbatched else (1, 2)), (attn_mask, (0, 1))):
        if mask is None:
            continue
        if mask is attn_mask and mask.array.ndim == 3:
            times = g("Shape", g.value(mask), start=1, end=3)
            laid = g("Reshape", g.value(mask), g("Concat", g.ints(-1, layer.num_heads), times, axis=0))
        else:
            laid = g("Unsqueeze", g.value(mask), g.ints(*axes))
        if mask.array.dtype == bool:
            kept.append(g("Not", laid))
        else:
            kept.append(g("Not", g("Equal", laid, g.value(np.array(-np.inf, dtype)))))
            added.append(laid)
    extra = (layer.bias_k is not None) + layer.add_zero_attn
    return _padded_bool(g, _all("And", g, kept), extra), _padded(g, _all("Add", g, added), extra, np.array(0, dtype))


def _all(operator: str, g: Graph, values: list[str]) -> str:
    return "" if not values else values[0] if len(values) == 1 else g(operator, *values)


def _padded(g: Graph, x: str, extra: int, value: np.ndarray) -> str:
    """With `extra` positions more of the source."""
    return g("Pad", x, g.ints(*[0] * 7, extra), g.value(value)) if x and extra else x


def _padded_bool(g: Graph, x: str, extra: int) -> str:
    if not (x and extra):
        return x
    numbers = _padded(g, g.cast(x, np.dtype(bool), np.dtype(np.int32)), extra, np.array(1, np.int32))
    return g.cast(numbers, np.dtype(np.int32), np.dtype(bool))
