"""Registry: parameters, buffers and submodules as attributes, and walking over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinyrnn import _lazy
from tinyrnn._tensor import Tensor
from tinyrnn.nn.parameter import Parameter


class Registry:
    """The part of `Module` that knows what the module is made of.

    Parameters, buffers and submodules are assigned as attributes, live in the dictionaries ``_parameters``,
    ``_buffers`` and ``_modules`` by attribute name, and are listed with their paths (``encoder.lstm.weight_ih_l0``).
    """

    def __init__(self) -> None:
        set_plain = super().__setattr__  # the registering one below needs these dictionaries
        set_plain("_parameters", {})
        set_plain("_buffers", {})
        set_plain("_non_persistent_buffers_set", set())
        set_plain("_modules", {})

    # ---- attributes --------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        registries = self.__dict__
        if "_modules" not in registries:
            if isinstance(value, (Parameter, Registry)):
                kind = "parameters" if isinstance(value, Parameter) else "module"
                raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
            return super().__setattr__(name, value)
        if isinstance(value, Parameter):
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Registry):
            self._forget(name, "_modules")
            registries["_modules"][name] = value
        else:
            for registry, kind, allowed in _KINDS:
                if name in registries[registry]:
                    if value is not None and not isinstance(value, allowed):
                        wanted = "Module" if allowed is Registry else allowed.__name__
                        raise TypeError(
                            f"cannot assign '{type(value).__name__}' as {kind} '{name}' ({wanted} or None expected)"
                        )
                    registries[registry][name] = value
                    return None
            super().__setattr__(name, value)
        return None

    def _forget(self, name: str, except_in: str) -> None:
        """Take `name` out of every registry but one: the attribute changes its kind."""
        self.__dict__.pop(name, None)
        self._non_persistent_buffers_set.discard(name)
        for registry, _, _ in _KINDS:
            if registry != except_in:
                self.__dict__[registry].pop(name, None)

    def __getattr__(self, name: str) -> Any:  # only called where normal lookup found nothing
        for registry, _, _ in _KINDS:
            found = self.__dict__.get(registry, ())
            if name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{_lazy.instead_of(name)}")

    def __delattr__(self, name: str) -> None:
        for registry, _, _ in _KINDS:
            if name in self.__dict__[registry]:
                del self.__dict__[registry][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under `name`; None reserves the name (a layer without bias)."""
        self._check_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' (Parameter or None required); "
                f"wrap the tensor in nn.Parameter"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the model's state but is not trained; `persistent`: it is in `state_dict`."""
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (Tensor or None required)")
        self._buffers[name] = tensor
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(name)

    def register_module(self, name: str, module: Registry | None) -> None:
        """Add a submodule under `name`."""
        if module is not None and not isinstance(module, Registry):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name(name, "module", self._modules)
        self._modules[name] = module

    add_module = register_module

    def _check_name(self, name: str, kind: str, registry: dict) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string, got {type(name).__name__}")
        if "." in name or not name:
            raise KeyError(f'{kind} name can\'t contain "." or be empty, got: "{name}"')
        if name not in registry and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    # ---- walking -----------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """This module (named `prefix`) and all below it, with their paths; a shared module once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Any]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """The direct submodules with their names; a shared one once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Any]:
        """The direct submodules."""
        for _, module in self.named_children():
            yield module

    def _named_members(self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator:
        seen = set()
        owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, owner in owners:
            for name, member in owner.__dict__[registry].items():
                if member is not None and member not in seen:
                    if remove_duplicate:
                        seen.add(member)
                    yield _join(path, name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their paths (``encoder.lstm.weight_ih_l0``); a tied one once, under its first name."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters: what an optimizer is given."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their paths."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Any:
        """The submodule with the path `target`; AttributeError if there is none."""
        module: Any = self
        for name in target.split(".") if target else ():
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(f"{type(module).__name__} has no submodule `{name}` (looking for `{target}`)")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the path `target`; AttributeError if there is none."""
        return self._get_member("_parameters", "parameter", target)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the path `target`; AttributeError if there is none."""
        return self._get_member("_buffers", "buffer", target)

    def _get_member(self, registry: str, kind: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        found = owner.__dict__[registry].get(name)
        if found is None:
            raise AttributeError(f"{type(owner).__name__} has no {kind} `{name}` (looking for `{target}`)")
        return found


# Registry, what it holds, and the type of that.
_KINDS: tuple[tuple[str, str, type], ...] = (
    ("_parameters", "parameter", Parameter),
    ("_buffers", "buffer", Tensor),
    ("_modules", "child module", Registry),
)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
