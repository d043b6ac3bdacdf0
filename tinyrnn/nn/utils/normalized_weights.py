"""Weight normalization: a weight as its direction times a length of its own (Salimans & Kingma 2016)."""

from __future__ import annotations

from typing import Any

from tinyrnn.nn.module import Module
from tinyrnn.nn.parameter import Parameter


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let `module` train, in place of its parameter `name`, a length ``name_g`` and a direction ``name_v``; return it.

    weight = g v / norm(v), which is computed anew whenever the module is called; ``layer.step(...)`` is no call, and sees it
    anew only with `nn.utils.parametrizations.weight_norm`.

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
    if _hook_of(module, name) is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    weight = module.get_parameter(name)
    hook = _Normalized(name, dim)
    del module._parameters[name]
    module.register_parameter(f"{name}_g", Parameter(length(weight, dim).detach()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Give `module` its parameter `name` back, with the value that it has now; return it.

    Raises
    ------
    ValueError
        If `weight_norm` was not called for it.
    """
    key = _hook_of(module, name)
    if key is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    weight = module._forward_pre_hooks.pop(key)[0].weight(module)
    delattr(module, name)
    del module._parameters[f"{name}_g"], module._parameters[f"{name}_v"]
    module.register_parameter(name, Parameter(weight.detach()))
    return module


class _Normalized:
    """The hook that puts the weight together before every call."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = dim

    def weight(self, module: Module) -> Any:
        return normalized(getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v"), self.dim)

    def __call__(self, module: Module, inputs: tuple) -> None:
        setattr(module, self.name, self.weight(module))


def _hook_of(module: Module, name: str) -> Any:
    hooks = module._forward_pre_hooks.items()
    return next((key for key, (hook, _) in hooks if isinstance(hook, _Normalized) and hook.name == name), None)


def normalized(g: Any, v: Any, dim: int | None) -> Any:
    """``g v / norm(v)``."""
    return v * (g / length(v, dim))


def length(v: Any, dim: int | None) -> Any:
    """The norm over all dimensions but `dim`, which keeps its size among ones; for None or -1 over all, 0-d."""
    if dim is None or dim == -1:
        return v.norm()
    sizes = [size if axis == dim else 1 for axis, size in enumerate(v.shape)]
    return v.transpose(0, dim).reshape(v.shape[dim], -1).norm(2, 1).reshape(sizes)
