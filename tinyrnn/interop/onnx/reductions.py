"""Products, the functions of layers, reductions and softmax as ONNX nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn.interop.onnx.elementwise import binary
from tinyrnn.interop.onnx.graph import Graph
from tinyrnn.interop.onnx.table import Emitter, emits
from tinyrnn.nn import functional
from tinyrnn.ops import embedding, extremes, normalization, products, reductions, softmax, sorting
from tinyrnn.ops.slicing import wrap_dims

# ---- products, layers of nn.functional -------------------------------------------------------------------------------


@emits(products.matmul, products.mm, products.bmm, products.mv, products.dot)
def _matmul(g, out, a, b):
    return g("MatMul", g.value(a), g.value(b))


@emits(products.rmatmul)
def _rmatmul(g, out, a, b):
    return _matmul(g, out, b, a)


@emits(products.linear)
def linear(g, out, input, weight, bias=None):
    """x W^T + b. The transposition is a node, so that a tied weight is stored once; runtimes fold it into the weight."""
    matrix = g.value(weight) if weight.array.ndim == 1 else transposed(g, weight)
    product = g("MatMul", g.value(input), matrix)
    return product if bias is None else g("Add", product, g.value(bias))


def transposed(g: Graph, weight: Any) -> str:
    return g("Transpose", g.value(weight), perm=[1, 0])


@emits(embedding.embedding)
def _embedding(g, out, input, weight, padding_idx=None, *defaults, **more_defaults):
    return g("Gather", g.value(weight), g.value(input))


@emits(embedding.one_hot)
def _one_hot(g, out, tensor, num_classes=-1):
    if num_classes < 0:
        raise NotImplementedError("the number of classes depends on the input; pass num_classes=")
    return g("OneHot", g.value(tensor), g.value(np.int64(num_classes)), g.ints(0, 1))


@emits(normalization.layer_norm)
def layer_norm(g, out, input, normalized_shape, weight=None, bias=None, eps=1e-5):
    shape, dtype = tuple(map(int, np.atleast_1d(normalized_shape))), out.array.dtype
    scale = g.constant(np.ones(shape, dtype)) if weight is None else g.value(weight)
    shift = [] if bias is None else [g.value(bias)]
    return g("LayerNormalization", g.value(input), scale, *shift, axis=-len(shape), epsilon=float(eps))


# ---- reductions ------------------------------------------------------------------------------------------------------


def _reduction(operator: str) -> Emitter:
    @reductions.numpy_names
    def emit(g, out, input, dim=None, keepdim=False, *, dtype=None):
        if out.array.dtype.kind == "b":
            return _quantifier(operator)(g, out, input, dim, keepdim)
        ndim = input.array.ndim
        axes = sorted(wrap_dims(range(ndim) if dim is None or dim == () else dim, ndim))
        x = g.value(input, out.array.dtype)
        if operator == "ReduceSum":  # the first that takes its axes as an input
            return g(operator, x, g.ints(*axes), keepdims=int(keepdim))
        return g(operator, x, axes=axes, keepdims=int(keepdim))

    return emit


_REDUCTIONS: dict[Any, str] = {
    reductions.sum: "ReduceSum", reductions.mean: "ReduceMean", reductions.prod: "ReduceProd",
    reductions.logsumexp: "ReduceLogSumExp", extremes.amax: "ReduceMax", extremes.amin: "ReduceMin",
}  # fmt: skip
for _function, _operator in _REDUCTIONS.items():
    emits(_function)(_reduction(_operator))


def _extreme(operator: str, elementwise: str) -> Emitter:
    @reductions.numpy_names
    def emit(g, out, input, dim=None, keepdim=False, *, other=None):
        other = dim if hasattr(dim, "array") else other
        if other is not None:
            return binary(elementwise)(g, out, input, other)
        if dim is None:
            return _reduction(f"Reduce{elementwise}")(g, out, input)
        arg = g(f"Arg{elementwise}", g.value(input), axis=dim, keepdims=int(keepdim))
        return g(f"Reduce{elementwise}", g.value(input), axes=[dim], keepdims=int(keepdim)), arg

    return emit


emits(extremes.max)(_extreme("ReduceMax", "Max"))
emits(extremes.min)(_extreme("ReduceMin", "Min"))


def _arg_extreme(operator: str) -> Emitter:
    @reductions.numpy_names
    def emit(g, out, input, dim=None, keepdim=False):
        x = g.value(input)
        if dim is None:
            x, dim, keepdim = g("Reshape", x, g.ints(-1)), 0, False
        return g(operator, x, axis=dim, keepdims=int(keepdim))

    return emit


emits(extremes.argmax)(_arg_extreme("ArgMax"))
emits(extremes.argmin)(_arg_extreme("ArgMin"))


def _quantifier(operator: str) -> Emitter:
    @reductions.numpy_names
    def emit(g, out, input, dim=None, keepdim=False):
        bools = g.cast(g.value(input), input.array.dtype, np.dtype(bool))
        axes = None if dim is None else list(wrap_dims(dim, input.array.ndim))
        reduced = g(operator, g.cast(bools, np.dtype(bool), np.dtype(np.int32)), axes=axes, keepdims=int(keepdim))
        return g.cast(reduced, np.dtype(np.int32), np.dtype(bool))

    return emit


emits(reductions.all)(_quantifier("ReduceMin"))
emits(reductions.any)(_quantifier("ReduceMax"))


@emits(reductions.cumsum)
@reductions.numpy_names
def _cumsum(g, out, input, dim, *, dtype=None):
    return g("CumSum", g.value(input, out.array.dtype), g.value(np.int64(dim)))


@emits(sorting.topk)
def _topk(g, out, input, k, dim=-1, largest=True, sorted=True):
    size = g.size(k)
    return g("TopK", g.value(input), size, outputs=2, axis=dim, largest=int(largest), sorted=1)


@emits(sorting.sort)
@reductions.numpy_names
def _sort(g, out, input, dim=-1, descending=False, stable=False):
    return _topk(g, out, input, input.shape[dim], dim, descending)


@emits(sorting.argsort)
@reductions.numpy_names
def _argsort(g, out, *args, **kwargs):
    return _sort(g, out, *args, **kwargs)[1]


@emits(softmax.softmax)
@reductions.numpy_names
def _softmax(g, out, input, dim, dtype=None):
    return g("Softmax", g.value(input, out.array.dtype), axis=dim)


@emits(softmax.log_softmax)
@reductions.numpy_names
def _log_softmax(g, out, input, dim, dtype=None):
    return g("LogSoftmax", g.value(input, out.array.dtype), axis=dim)


@emits(functional.softmax)
def _functional_softmax(g, out, input, dim=None, _stacklevel=3, dtype=None):
    return _softmax(g, out, input, functional.implicit_dim(out.array.ndim) if dim is None else dim)


@emits(functional.log_softmax)
def _functional_log_softmax(g, out, input, dim=None, _stacklevel=3, dtype=None):
    return _log_softmax(g, out, input, functional.implicit_dim(out.array.ndim) if dim is None else dim)
