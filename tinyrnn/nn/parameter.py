"""Parameter: a tensor that a module trains."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn import dtypes
from tinyrnn._tensor import Tensor
from tinyrnn.engine.base import TensorBase, version_of


class Parameter(Tensor):
    """A leaf tensor that is listed by `Module.parameters()` once it is an attribute of a module.

    Parameters
    ----------
    data : Tensor, array or None
        The initial values; a tensor's memory is shared, as in PyTorch. None is an empty tensor.
    requires_grad : bool
        Whether backward collects a gradient in ``.grad``.
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        if data is None:
            data = np.empty(0, dtypes.get_default_dtype().numpy)
        if not isinstance(data, TensorBase) and not hasattr(data, "dtype"):
            raise TypeError(f"Parameter: expected a tensor, got {type(data).__name__}; convert it with tinyrnn.tensor(...)")
        array = data.array if isinstance(data, TensorBase) else data
        dtype = dtypes.of_array(array)
        if requires_grad and not dtype.is_floating_point:
            raise RuntimeError(
                f"Parameter: only tensors of floating point dtype can require gradients, got {dtype}; "
                f"pass requires_grad=False or convert the tensor with .float()"
            )
        TensorBase.__init__(self, array, bool(requires_grad))
        if isinstance(data, TensorBase):
            self.version = version_of(data)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()
