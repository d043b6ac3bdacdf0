"""Products of vectors, matrices and batches of matrices.

Everything comes down to `product`, one matrix product with either side transposed or not: the four layouts (NN, NT, TN,
TT) are closed under differentiation, so its gradients are products again, and nothing is ever copied to transpose it.
"""

from __future__ import annotations

import math

import numpy as np

from tinyrnn.dtypes import FLOATS
from tinyrnn.engine.base import as_array
from tinyrnn.engine.tape import record
from tinyrnn.kernels.dispatch import backend
from tinyrnn.ops import autocasting
from tinyrnn.ops.arithmetic import add, if_wanted, mul
from tinyrnn.ops.broadcasting import broadcast_shape, has_shape, sum_to
from tinyrnn.ops.casting import array
from tinyrnn.ops.shaping import reshape
from tinyrnn.ops.transfer import require_one_device


def product(a, b, transpose_a=False, transpose_b=False):
    """a b, with the last two dimensions of either side swapped on request; dimensions before them broadcast.

    Shapes: (..., N, K) and (..., K, M) give (..., N, M).
    """
    x, y = array(a), array(b)
    x = np.swapaxes(x, -1, -2) if transpose_a else x
    y = np.swapaxes(y, -1, -2) if transpose_b else y
    out = as_array(backend(array(a)).matmul_forward(x, y))
    saved = (if_wanted(a, b), if_wanted(b, a), x.shape, y.shape, transpose_a, transpose_b)
    return record(product_backward, (a, b), out, saved)


def product_backward(node, g, a, b, a_shape, b_shape, transpose_a, transpose_b):
    # With A and B the sides as they were multiplied: dA = G B^T and dB = A^T G. If a side was stored transposed, its
    # gradient is the transpose of that, which is the product of the transposes in the other order.
    grad_a = grad_b = None
    if node.needs(0):
        grad_a = product(b, g, transpose_b, True) if transpose_a else product(g, b, False, not transpose_b)
        grad_a = sum_to(grad_a, _stored(a_shape, transpose_a))
    if node.needs(1):
        grad_b = product(g, a, True, transpose_a) if transpose_b else product(a, g, not transpose_a, False)
        grad_b = sum_to(grad_b, _stored(b_shape, transpose_b))
    return grad_a, grad_b


def _stored(shape, transposed):
    return (*shape[:-2], shape[-1], shape[-2]) if transposed else shape


def matmul(input, other):
    """The matrix product, ``input @ other``.

    Two vectors give their dot product; a matrix and a vector, a vector; otherwise the last two dimensions are matrices
    and those before them are broadcast: (..., N, K) @ (..., K, M) -> (..., N, M).

    Raises
    ------
    RuntimeError
        If the inner sizes, the dtypes or the batch dimensions do not fit, or one side has no dimension.
    NotImplementedError
        For bool tensors.
    """
    if autocasting.regions:
        input, other = autocasting.prepared("matmul", (input, other))
    x, y = array(input), array(other)
    if not (has_shape(x) and has_shape(y)):
        raise TypeError(f"matmul: expected two tensors, got {type(x).__name__} and {type(y).__name__}; use *")
    if x.ndim == 0 or y.ndim == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D; use * for numbers"
        )
    _check("matmul", x, y, y.shape[-2] if y.ndim > 1 else y.shape[0])
    if x.ndim == y.ndim == 2:
        return product(input, other)
    batch = broadcast_shape(x.shape[:-2], y.shape[:-2])
    if x.ndim > 1 and y.ndim > 2:
        return product(input, other)
    shape = (*batch, *x.shape[-2:-1], *(y.shape[-1:] if y.ndim > 1 else ()))
    left = reshape(input, (1, x.shape[0])) if x.ndim == 1 else input
    right = reshape(other, (y.shape[0], 1)) if y.ndim == 1 else other
    if x.ndim > 2 and y.ndim <= 2:  # one product for all matrices of the batch
        left = _rows(input)
    return reshape(product(left, right), shape)


def _rows(x):
    """All dimensions but the last folded into one."""
    shape = array(x).shape
    return reshape(x, (math.prod(shape[:-1]), shape[-1]))


def mm(input, mat2):
    """The product of two matrices, (N, K) and (K, M). Nothing is broadcast; see `matmul`."""
    _check_dims("mm", ("input", input, 2), ("mat2", mat2, 2))
    return matmul(input, mat2)


def bmm(input, mat2):
    """The products of two batches of matrices, (B, N, K) and (B, K, M). Nothing is broadcast; see `matmul`."""
    _check_dims("bmm", ("input", input, 3), ("mat2", mat2, 3))
    x, y = array(input), array(mat2)
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[1]:
        raise RuntimeError(f"bmm: expected mat2 of shape ({x.shape[0]}, {x.shape[2]}, M) for input {x.shape}, got {y.shape}")
    return matmul(input, mat2)


def mv(input, vec):
    """The product of a matrix (N, K) and a vector (K,)."""
    _check_dims("mv", ("input", input, 2), ("vec", vec, 1))
    return _apart("mv", input, vec) if autocasting.regions else matmul(input, vec)


def dot(input, tensor):
    """The dot product of two vectors of one length, a 0-d tensor."""
    _check_dims("dot", ("input", input, 1), ("tensor", tensor, 1))
    return _apart("dot", input, tensor) if autocasting.regions else matmul(input, tensor)


def _apart(op, *operands):
    """The product of what autocast makes of the operands for an `op` that is not on the same list as `matmul`."""
    return autocasting.outside(matmul)(*autocasting.prepared(op, operands))


def outer(input, vec2):
    """The outer product of two vectors, (N,) and (M,): (N, M)."""
    _check_dims("outer", ("input", input, 1), ("vec2", vec2, 1))
    return mul(reshape(input, (array(input).shape[0], 1)), vec2)


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta * input + alpha * (mat1 @ mat2), `input` broadcast to the shape of the product; `beta` 0 ignores it."""
    if autocasting.regions:
        input, mat1, mat2 = autocasting.prepared("addmm", (input, mat1, mat2))
    return _plus_product(input, mm(mat1, mat2), beta, alpha)


def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """`addmm` for batches of matrices."""
    if autocasting.regions:
        input, batch1, batch2 = autocasting.prepared("baddbmm", (input, batch1, batch2))
    return _plus_product(input, bmm(batch1, batch2), beta, alpha)


def _plus_product(input, multiplied, beta, alpha):
    x, y = array(input), array(multiplied)
    require_one_device(x, y)
    if x.dtype != y.dtype:
        raise RuntimeError(f"expected input and the product to have the same dtype, but got {x.dtype} and {y.dtype}")
    if broadcast_shape(x.shape, y.shape) != y.shape:
        raise RuntimeError(f"expected input to broadcast to the shape of the product, {y.shape}, but got {x.shape}")
    if y.dtype.kind not in FLOATS:
        alpha, beta = int(alpha), int(beta)
    scaled = multiplied if alpha == 1 else mul(multiplied, alpha)
    if beta == 0:
        return scaled
    return add(input if beta == 1 else mul(input, beta), scaled)


def linear(input, weight, bias=None):
    """x W^T + b: a dense layer.

    Parameters
    ----------
    input : (..., I), any dimensions before the last.
    weight : (O, I), or (I,) for a single output without a dimension of its own.
    bias : (O,), or None.

    Returns
    -------
    (..., O). Forward is one matrix product over all leading dimensions, and so is each gradient.

    Raises
    ------
    RuntimeError
        If sizes or dtypes do not fit.
    """
    if autocasting.regions:
        input, weight, bias = autocasting.prepared("linear", (input, weight, bias))
    x, w = array(input), array(weight)
    if x.ndim == 0 or w.ndim not in (1, 2):
        raise RuntimeError(f"linear: expected input (..., I) and weight (O, I), got {x.shape} and {w.shape}")
    _check("linear", x, w, w.shape[-1], fix="the last dimension of input must be in_features, the last one of weight")
    if w.ndim == 1:
        out = matmul(input, weight)
        return out if bias is None else add(out, bias)
    b = None if bias is None else array(bias)
    if b is not None and type(b) is not type(x):
        require_one_device(x, b)
    if b is not None and (b.dtype != x.dtype or broadcast_shape(b.shape, w.shape[:1]) != w.shape[:1]):
        raise RuntimeError(f"linear: expected bias of shape {w.shape[:1]} and {x.dtype}, got {b.shape} and {b.dtype}")
    out = backend(x).linear_forward(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), w, b)
    out = out.reshape(*x.shape[:-1], w.shape[0])
    bias_shape = None if b is None else b.shape
    saved = (if_wanted(input, weight), if_wanted(weight, input), x.shape, bias_shape)
    return record(linear_backward, (input, weight) if b is None else (input, weight, bias), out, saved)


def linear_backward(node, g, x, weight, shape, bias_shape):
    rows = _rows(g)
    grad_x = reshape(product(rows, weight), shape) if node.needs(0) else None
    grad_weight = product(rows, _rows(x), transpose_a=True) if node.needs(1) else None
    if bias_shape is None:
        return grad_x, grad_weight
    return grad_x, grad_weight, sum_to(rows, bias_shape) if node.needs(2) else None


def rmatmul(input, other):
    """other @ input."""
    return matmul(other, input)


def _check_dims(op, *expected):
    for name, x, ndim in expected:
        found = getattr(array(x), "ndim", None)
        if found != ndim:
            raise RuntimeError(
                f"{op}: expected {name} to have {ndim} dimensions, got {found}"
                f"{'' if found is None else f' (shape {array(x).shape})'}; matmul takes any number"
            )


def _check(op, x, y, inner, fix="the last dimension of the first must equal the last but one of the second"):
    if type(x) is not type(y):
        require_one_device(x, y)
    if x.dtype != y.dtype:
        raise RuntimeError(f"{op}: expected both tensors to have the same dtype, got {x.dtype} and {y.dtype}; cast one")
    if x.dtype.kind == "b":
        raise NotImplementedError(f"{op} is not implemented for bool tensors; convert with x.int() or x.float() first")
    if x.shape[-1] != inner:
        raise RuntimeError(f"{op}: mat1 and mat2 shapes cannot be multiplied ({_sizes(x)} and {_sizes(y)}): {fix}")


def _sizes(x):
    return "x".join(map(str, x.shape))
