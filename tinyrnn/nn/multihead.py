"""MultiheadAttention: PyTorch's layer, with PyTorch's masks (True = ignore)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn._tensor import Tensor
from tinyrnn.creation import empty
from tinyrnn.nn import functional, init
from tinyrnn.nn.checks import check_count, check_counts, check_probability
from tinyrnn.nn.linear import Linear
from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter
from tinyrnn.ops.attention import scaled_attention
from tinyrnn.ops.autocasting import reconciles
from tinyrnn.ops.padding import pad
from tinyrnn.ops.selection import keep_where
from tinyrnn.ops.shaping import expand, permute, reshape, squeeze, unsqueeze
from tinyrnn.ops.slicing import cat, chunk
from tinyrnn.ops.transfer import require_one_device


class MultiheadAttention(Module):
    """Attention in `num_heads` subspaces at once: ``concat(head_1, ..., head_N) W_out + b_out``, where
    ``head_n = softmax(q_n k_n^T / sqrt(embed_dim / num_heads)) v_n`` of projections q, k, v cut into N parts.

    Vaswani et al. 2017, "Attention is all you need", section 3.2.2.

    Parameters
    ----------
    embed_dim : int
        Features of query and output, cut into equal parts by the heads.
    num_heads : int
        Number of heads N.
    dropout : float
        Probability with which a weight is dropped in training. The weights that are returned are those after dropout.
    bias : bool
        Whether the projections have biases.
    add_bias_kv : bool
        Append a learned key and value to every source.
    add_zero_attn : bool
        Append a key and value of zeros to every source.
    kdim, vdim : int, optional
        Features of key and value; embed_dim if None.
    batch_first : bool
        (B, T, E) instead of (T, B, E).

    Attributes
    ----------
    in_proj_weight : (3 E, E), for query, key and value; None if kdim or vdim is another size than E, and then there are
    q_proj_weight : (E, E), k_proj_weight : (E, kdim), v_proj_weight : (E, vdim)
        Xavier uniform.
    in_proj_bias : (3 E,), or None
        Zeros.
    bias_k, bias_v : (1, 1, E), or None
        Xavier normal.
    out_proj : Linear(E, E)
        Its bias starts as zeros.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        embed_dim, num_heads = check_counts(embed_dim=embed_dim, num_heads=num_heads)
        self.kdim = embed_dim if kdim is None else check_count("kdim", kdim)
        self.vdim = embed_dim if vdim is None else check_count("vdim", vdim)
        if embed_dim % num_heads:
            self.fail(f"embed_dim={embed_dim} must be divisible by num_heads={num_heads}")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.dropout = check_probability("dropout", dropout, "the probability of a weight being dropped")
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        shared = self.kdim == self.vdim == embed_dim
        shapes = {
            "in_proj_weight": (3 * embed_dim, embed_dim) if shared else None,
            "q_proj_weight": None if shared else (embed_dim, embed_dim),
            "k_proj_weight": None if shared else (embed_dim, self.kdim),
            "v_proj_weight": None if shared else (embed_dim, self.vdim),
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            self.register_parameter(name, Parameter(empty(shape, device=device, dtype=dtype)) if shape else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the input projections and the appended key and value anew, and zero the biases."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for appended in (self.bias_k, self.bias_v):
            if appended is not None:
                init.xavier_normal_(appended)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """Attend from every query position to the source (key, value).

        Parameters
        ----------
        query : (T, B, E), key : (S, B, kdim), value : (S, B, vdim)
            (B, T, E) and so on with `batch_first`; without a batch (T, E) and so on.
        key_padding_mask : (B, S), or (S,) without a batch
            Boolean, True = ignore this position; or numbers to be added to the scores, -inf to ignore one.
        need_weights : bool
            Whether the weights are returned; None stands in their place otherwise.
        attn_mask : (T, S) or (B * num_heads, T, S)
            Which source positions a query ignores, given like `key_padding_mask`. Gradients flow to a mask of numbers.
        average_attn_weights : bool
            Whether the weights that are returned are the mean over the heads.
        is_causal : bool
            States that `attn_mask`, which must be given, is causal. What counts is the mask: this changes no result.

        Returns
        -------
        output : (T, B, E), or as the query is given.
        weights : (B, T, S), or (B, num_heads, T, S); without the first dimension if there is no batch.
            S counts what `add_bias_kv` and `add_zero_attn` append.

        A query for which all is masked gets weights and a context of zeros, so that its output is ``out_proj.bias``; in
        PyTorch both are NaN (if ``need_weights=True``). Positions that no query may use are read as zeros
        if they hold NaN or infinity, in self-attention also as queries: such padding reaches neither results nor gradients.
        """
        self._check(query, key, value)
        unbatched = query.array.ndim == 2
        if unbatched:  # one tensor in several places stays one
            batches = {id(x): unsqueeze(x, 0) for x in (query, key, value)}
            query, key, value = batches[id(query)], batches[id(key)], batches[id(value)]
        batch_first = self.batch_first or unbatched
        (B, T), S = query.array.shape[:2] if batch_first else query.array.shape[1::-1], key.array.shape[batch_first]
        keep, bias = self._masks(key_padding_mask, attn_mask, is_causal, unbatched, B, T, S, query)
        if keep is not None:
            query, key, value = self._without_poison(query, key, value, keep, batch_first)
        q, k, v = [self._heads(each, batch_first) for each in self._projected(query, key, value)]
        k, v = self._appended(k, self.bias_k), self._appended(v, self.bias_v)
        extra = k.array.shape[2] - S
        if extra and keep is not None:
            keep = np.concatenate([keep, np.ones_like(keep, shape=(*keep.shape[:3], extra))], -1)
        if extra and bias is not None:
            bias = pad(bias, (0, extra))
        context, weights = scaled_attention(q, k, v, keep, bias, self.dropout if self.training else 0.0)
        context = permute(context, (0, 2, 1, 3) if batch_first else (2, 0, 1, 3))
        output = self.out_proj(reshape(context, (*context.array.shape[:2], self.embed_dim)))
        if need_weights:
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            weights = None
        if not unbatched:
            return output, weights
        return squeeze(output, 0), None if weights is None else squeeze(weights, 0)

    def _projected(self, query: Any, key: Any, value: Any) -> Any:
        """q, k and v: with one product if all three are the same tensor."""
        if self.in_proj_weight is not None and query is key is value:
            return chunk(functional.linear(query, self.in_proj_weight, self.in_proj_bias), 3, -1)
        weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        weights = weights if self.in_proj_weight is None else chunk(self.in_proj_weight, 3)
        biases = (None, None, None) if self.in_proj_bias is None else chunk(self.in_proj_bias, 3)
        return [functional.linear(*each) for each in zip((query, key, value), weights, biases)]

    def _heads(self, x: Any, batch_first: bool) -> Any:
        """(B, T, E) or (T, B, E) -> (B, N, T, E / N)."""
        x = reshape(x, (*x.array.shape[:2], self.num_heads, self.head_dim))
        return permute(x, (0, 2, 1, 3) if batch_first else (1, 2, 0, 3))

    def _appended(self, x: Any, learned: Any) -> Any:
        """Keys or values (B, N, S, E / N), with the learned one and zeros behind them."""
        shape = (x.array.shape[0], self.num_heads, 1, self.head_dim)
        parts = [x]
        if learned is not None:
            parts.append(expand(reshape(learned, (1, *shape[1:])), shape))
        if self.add_zero_attn:
            parts.append(x.new_zeros(shape))
        return cat(parts, 2) if len(parts) > 1 else x

    def _without_poison(self, query: Any, key: Any, value: Any, keep: Any, batch_first: bool) -> list:
        """Query, key and value with zeros where positions that nobody keeps are not finite.

        A weight of zero would not do: 0 * NaN is NaN. Finite padding has a result of its own, as a query.
        """
        used = keep.any(axis=(1, 2))
        used = used if batch_first else used.T
        clean = {id(x): keep_where((used | np.isfinite(x.array).all(-1))[..., None], x) for x in (key, value)}
        return [clean.get(id(x), x) for x in (query, key, value)]

    # ---- checks ------------------------------------------------------------------------------------------------

    def _check(self, query: Any, key: Any, value: Any) -> None:
        layout = "(batch, time, feature)" if self.batch_first else "(time, batch, feature)"
        given = {"query": (query, "embed_dim"), "key": (key, "kdim"), "value": (value, "vdim")}
        for name, (x, size) in given.items():
            if not isinstance(x, Tensor):
                kind = type(x).__name__
                self.fail(f"{name} is a {kind}, expected a tensor; convert it with tinyrnn.tensor(...)", TypeError)
            shape = x.array.shape
            if len(shape) not in (2, 3) or len(shape) != query.array.ndim:
                self.fail(f"got {name} of shape {shape}, expected {layout}, or (time, feature) for all of query, key and value")
            if shape[-1] != getattr(self, size):
                self.fail(f"{name} has {shape[-1]} features, expected {size}={getattr(self, size)}; its shape is {shape}")
            if x.array.dtype != self.out_proj.weight.array.dtype and not reconciles(x, self.out_proj.weight):
                expected = self.out_proj.weight.dtype
                self.fail(f"{name} is {x.dtype}, expected {expected} like the weights; convert one with .to(...)", TypeError)
        if key.array.shape[:-1] != value.array.shape[:-1]:
            self.fail(f"key and value have shapes {key.array.shape} and {value.array.shape}, which differ before the features")
        if query.array.ndim == 3:
            batch = 0 if self.batch_first else 1
            if query.array.shape[batch] != key.array.shape[batch]:
                self.fail(
                    f"query has a batch of {query.array.shape[batch]} and key of {key.array.shape[batch]}, expected the same; "
                    f"are they {layout}, as batch_first={self.batch_first} says?"
                )

    def _masks(
        self, key_padding_mask: Any, attn_mask: Any, is_causal: bool, unbatched: bool, B: int, T: int, S: int, like: Any
    ) -> tuple[Any, Any]:
        """What is kept, a bool array, and what is added to the scores, a tensor: each (B | 1, N | 1, T | 1, S) or None."""
        if is_causal and attn_mask is None:
            self.fail("is_causal=True needs the attn_mask of which it says that it is causal; pass it, too")
        N = self.num_heads
        keep, bias = None, None
        for name, mask, shapes in (
            ("key_padding_mask", key_padding_mask, {((S,) if unbatched else (B, S)): (B, 1, 1, S)}),
            ("attn_mask", attn_mask, {(T, S): (1, 1, T, S), (B * N, T, S): (B, N, T, S)}),
        ):
            if mask is None:
                continue
            fits = isinstance(mask, Tensor) and (mask.array.dtype in (bool, like.array.dtype) or reconciles(mask, like))
            if not fits:
                got = mask.dtype if isinstance(mask, Tensor) else f"a {type(mask).__name__}"
                numbers = self.out_proj.weight.dtype
                self.fail(f"{name} is {got}, expected a bool tensor (True = ignore) or {numbers} like the query", TypeError)
            require_one_device(like, mask)
            if mask.array.shape not in shapes:
                self.fail(f"{name} has shape {mask.array.shape}, expected {' or '.join(map(str, shapes))}")
            mask = reshape(mask, shapes[mask.array.shape])
            if mask.array.dtype == bool:
                kept = ~mask.array
            else:
                kept = mask.array != -np.inf
                bias = mask if bias is None else bias + mask
            keep = kept if keep is None else keep & kept
        return keep, bias
