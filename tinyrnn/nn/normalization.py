"""LayerNorm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tinyrnn.creation import empty
from tinyrnn.nn import functional, init
from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter


class LayerNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, mean and var over the last dimensions.

    Ba, Kiros & Hinton 2016, "Layer normalization", equation 3; var is the biased variance.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Sizes of the dimensions that are normalized together, the last of the input.
    eps : float
        Added to the variance.
    elementwise_affine, bias : bool
        Whether weight (ones at first) and bias (zeros) of shape `normalized_shape` are there.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, Iterable) else (normalized_shape,)
        self.normalized_shape = tuple([int(size) for size in sizes])
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, present in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            values = Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if present else None
            self.register_parameter(name, values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to ones and bias to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        found = tuple(input.shape)[-len(self.normalized_shape) :]
        if found != self.normalized_shape:
            self.fail(
                f"input of shape {tuple(input.shape)} ends in {found}, expected normalized_shape="
                f"{self.normalized_shape} as its last dimensions"
            )
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )
