"""Operations as formulas of others that can be exported: norms, similarity, variance, sums with products, and einsum."""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from typing import Any

from tinyrnn.interop.onnx.table import emits
from tinyrnn.nn import functional
from tinyrnn.ops import norms, products, reductions, similarity
from tinyrnn.ops.einsum import einsum, parsed


def composed(*functions: Any) -> Callable:
    """Enter a formula for operations into the table: it is traced, so that it may call all that has an emitter."""

    def enter(formula: Callable) -> Callable:
        emits(*functions)(lambda g, out, *args, **kwargs: g.value(formula(*args, **kwargs)))
        return formula

    return enter


@composed(norms.norm)
def _norm(input, p="fro", dim=None, keepdim=False, *, dtype=None):
    p = 2 if p in (None, "fro") else p
    size = (input if dtype is None else input.to(dtype)).abs()
    if math.isinf(p):
        return (size.amax if p > 0 else size.amin)(() if dim is None else dim, keepdim)
    if p == 0:
        return (size != 0).to(size.dtype).sum(dim, keepdim)
    return (size**p).sum(dim, keepdim) ** (1 / p)


@composed(similarity.normalize)
def _normalize(input, p=2.0, dim=1, eps=1e-12):
    return input / _norm(input, p, dim, True).clamp_min(eps)


@composed(similarity.cosine_similarity)
def _cosine_similarity(x1, x2, dim=1, eps=1e-8):
    return (_normalize(x1, 2, dim, eps) * _normalize(x2, 2, dim, eps)).sum(dim)


@composed(reductions.var)
@reductions.numpy_names
def _var(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = (1 if correction is None else correction) if unbiased is None else int(unbiased)
    count = math.prod(input.shape[axis] for axis in reductions.axes_of(dim, input.ndim))
    return (input - input.mean(dim, True)).square().sum(dim, keepdim) / (count - correction)


@composed(reductions.std)
def _std(*args, **kwargs):
    return _var(*args, **kwargs).sqrt()


@composed(products.addmm, products.baddbmm)
def _plus_product(input, a, b, *, beta=1, alpha=1):
    product = a @ b if alpha == 1 else (a @ b) * alpha
    return product if beta == 0 else input * beta + product


@composed(functional.glu)
def _glu(input, dim=-1):
    half = input.shape[dim] // 2
    return input.narrow(dim, 0, half) * input.narrow(dim, half, half).sigmoid()


@emits(einsum)
def _einsum(g, out, equation, *operands):
    """With letters for the dimensions of an ellipsis, which ONNX Runtime wants in the output too."""
    _, labels, output, tensors = parsed(equation, operands)
    named = f"{','.join(labels)}->{output}"
    free = [letter for letter in string.ascii_letters if letter not in named]
    for letter in sorted({letter for letter in named if letter > "z"}):
        named = named.replace(letter, free.pop())
    return g("Einsum", *[g.value(x, out.array.dtype) for x in tensors], equation=named)
