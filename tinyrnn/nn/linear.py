"""Linear and Identity."""

from __future__ import annotations

import math
from typing import Any

from tinyrnn._tensor import Tensor
from tinyrnn.creation import empty
from tinyrnn.nn import functional, init
from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter
from tinyrnn.ops.autocasting import reconciles


class Identity(Module):
    """Returns its input; takes and ignores any arguments, so that it can stand in for another layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input


class Linear(Module):
    """y = x W^T + b.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last dimension of input and output: (..., in_features) -> (..., out_features).
    bias : bool
        Whether b is there.

    Attributes
    ----------
    weight : (out_features, in_features)
    bias : (out_features,), or None
        Both start uniform in +-1/sqrt(in_features).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in_features), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Any) -> Any:
        if not isinstance(input, Tensor):
            self.fail(f"input is {type(input).__name__}, expected a tensor; convert it with tinyrnn.tensor(...)", TypeError)
        shape = input.array.shape
        if not shape or shape[-1] != self.in_features:
            self.fail(
                f"input has {shape[-1]} features, expected in_features={self.in_features}; its shape is {shape}, "
                f"the last dimension must be the features"
                if shape
                else f"input is a single number, expected (..., in_features={self.in_features})"
            )
        if input.array.dtype != self.weight.array.dtype and not reconciles(input, self.weight):
            other_way = f" or the model with model.to({input.dtype})" if input.is_floating_point() else ""
            self.fail(
                f"input is {input.dtype}, expected {self.weight.dtype} like the weight; convert it with "
                f"x.to({self.weight.dtype}){other_way}",
                TypeError,
            )
        return functional.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
