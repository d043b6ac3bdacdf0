"""Weight normalization: a weight as its direction times a length of its own (Salimans & Kingma 2016)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let `module` train, in place of its parameter `name`, a length ``name_g`` and a direction ``name_v``; return it.

    weight = g v / norm(v), computed whenever it is read.

    Parameters
    ----------
    name : of the parameter; of recurrent layers too, such as ``weight_hh_l0``.
    dim : there is one length for each index of this dimension; for None (or -1) one for the whole weight.

    Raises
    ------
    RuntimeError
        If the parameter has a weight norm already.
    AttributeError
        If there is no such parameter.
    """
    if f"{name}_g" in module._parameters:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    weight = module.get_parameter(name)
    compute(module, name, lambda self: normalized(getattr(self, f"{name}_g"), getattr(self, f"{name}_v"), dim))
    module.register_parameter(f"{name}_g", Parameter(length(weight, dim).detach()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Give `module` its parameter `name` back, with the value that it has now; return it.

    Raises
    ------
    ValueError
        If `weight_norm` was not called for it.
    """
    if f"{name}_g" not in module._parameters:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    weight = Parameter(getattr(module, name).detach())
    del module._parameters[f"{name}_g"], module._parameters[f"{name}_v"]
    module.register_parameter(name, weight)
    return module


def compute(module: Module, name: str, function: Callable[[Any], Any], class_name: str | None = None) -> None:
    """Let ``module.<name>`` be ``function(module)`` and no parameter; once that raises AttributeError, what is registered."""
    del module._parameters[name]
    cls = type(module)
    module.__class__ = type(class_name or cls.__name__, (cls,), {name: property(function), "__module__": cls.__module__})


def normalized(g: Any, v: Any, dim: int | None) -> Any:
    """``g v / norm(v)``."""
    return v * (g / length(v, dim))


def length(v: Any, dim: int | None) -> Any:
    """The norm over all dimensions but `dim`, which keeps its size among ones; for None or -1 over all, 0-d."""
    if dim is None or dim == -1:
        return v.norm()
    dim %= v.ndim
    sizes = [size if axis == dim else 1 for axis, size in enumerate(v.shape)]
    return v.transpose(0, dim).reshape(v.shape[dim], -1).norm(2, 1).reshape(sizes)
