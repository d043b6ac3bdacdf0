"""Parameters computed from others whenever they are read."""

from __future__ import annotations

from typing import Any

from tinyrnn import _lazy
from tinyrnn.nn.container import ModuleDict
from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter
from tinyrnn.nn.utils.normalized_weights import compute, length, normalized

__all__ = ["weight_norm"]

__getattr__ = _lazy.answering(__name__)


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """`nn.utils.weight_norm`, whose two parameters are ``parametrizations.<name>.original0`` and ``original1``.

    Raises
    ------
    AttributeError
        If there is no such parameter.
    """
    weight = module.get_parameter(name)
    class_name = module._get_name()
    if "parametrizations" not in module._modules:
        module.register_module("parametrizations", ModuleDict())
        class_name = f"Parametrized{class_name}"
    module.parametrizations[name] = _WeightNorm(weight, dim)
    compute(module, name, lambda self: self.parametrizations[name](), class_name)
    return module


class _WeightNorm(Module):
    def __init__(self, weight: Any, dim: int | None) -> None:
        super().__init__()
        self.dim = dim
        self.original0 = Parameter(length(weight, dim).detach())
        self.original1 = Parameter(weight.detach())

    def forward(self) -> Any:
        return normalized(self.original0, self.original1, self.dim)
