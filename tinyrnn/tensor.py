"""Tensor: the list of methods and operators, each of them an op from tinyrnn.ops."""

from __future__ import annotations

from tinyrnn.engine import backward as engine
from tinyrnn.engine.base import TensorBase, register_tensor_class
from tinyrnn.ops import activations, arithmetic


class Tensor(TensorBase):
    """An n-dimensional array that can record what is computed from it. See PyTorch's ``torch.Tensor``."""

    __slots__ = ()
    __array_priority__ = 1000  # ndarray * tensor is left to the tensor
    __hash__ = TensorBase.__hash__

    # ---- autograd ----
    def backward(self, gradient=None):
        engine.backward([self], [gradient])

    # ---- arithmetic, comparison (ops/arithmetic.py, ops/comparison.py) ----
    __add__ = add = arithmetic.add
    __sub__ = sub = arithmetic.sub
    __mul__ = mul = arithmetic.mul
    __neg__ = neg = arithmetic.neg

    # ---- activations (ops/activations.py) ----
    tanh = activations.tanh

    # ---- products (ops/products.py) ----

    # ---- reductions, softmax (ops/reductions.py, ops/softmax.py) ----

    # ---- shape (ops/shaping.py) ----

    # ---- indexing, sorting (ops/indexing.py, ops/sorting.py) ----

    # ---- in-place writes (ops/writing.py) ----

    # ---- dtype, device, NumPy (creation and conversion) ----


register_tensor_class(Tensor)
