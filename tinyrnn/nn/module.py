"""Module: the base of every layer and model. It finds parameters, buffers and submodules among its attributes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tinyrnn import dtypes
from tinyrnn._tensor import Tensor
from tinyrnn.engine.base import wrap
from tinyrnn.grad_modes import no_grad
from tinyrnn.hooks import RemovableHandle
from tinyrnn.nn.registry import Registry
from tinyrnn.zero_grad import zero_gradients


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict(strict=False)` did not find a match for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module(Registry):
    """Base class of all layers and models, with the interface of PyTorch's ``torch.nn.Module``.

    Subclasses call ``super().__init__()`` first, assign parameters and submodules as attributes, and define `forward`.
    How they are kept and listed: `Registry`.
    """

    training: bool

    def __init__(self) -> None:
        super().__init__()
        self.training = True
        self._forward_pre_hooks: dict = {}
        self._forward_hooks: dict = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # ---- calling -----------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if not self._forward_pre_hooks and not self._forward_hooks:
                return self.forward(*args, **kwargs)
            return self._call_with_hooks(args, kwargs)
        except Exception as error:
            if hasattr(error, "layer"):
                _name_layer(error, self)
            raise

    def _call_with_hooks(self, args: tuple, kwargs: dict) -> Any:
        for hook, with_kwargs in list(self._forward_pre_hooks.values()):
            if with_kwargs:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    args, kwargs = changed
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        output = self.forward(*args, **kwargs)
        for hook, with_kwargs in list(self._forward_hooks.values()):
            changed = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
            output = output if changed is None else changed
        return output

    def register_forward_pre_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call ``hook(module, args)`` before every `forward`; what it returns, unless None, replaces the arguments.

        With `with_kwargs` the hook is ``hook(module, args, kwargs)`` and returns None or both.
        """
        return _register_hook(self._forward_pre_hooks, hook, prepend, with_kwargs)

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after every `forward`; what it returns, unless None, replaces the output.

        With `with_kwargs` the hook is ``hook(module, args, kwargs, output)``.
        """
        return _register_hook(self._forward_hooks, hook, prepend, with_kwargs)

    def fail(self, message: str, kind: Callable[[str], Exception] = ValueError) -> NoReturn:
        """Raise `kind` with `message` after the name of this layer.

        On its way out through the modules that called this one, the error is given the path of the layer as seen from
        the outermost of them: ``encoder.lstm: input has 128 features, expected input_size=64; ...``.
        """
        error: Any = kind(f"{self._get_name()}: {message}")
        error.layer, error.message = self, message
        raise error

    # ---- changing everything at once ---------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], None]) -> Module:
        """Call ``fn(module)`` for every module below this one and then for this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all below it to training (dropout on), or with False to evaluation."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch to evaluation: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze (False) or unfreeze every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of every parameter, or with ``set_to_none=False`` fill them with zeros."""
        zero_gradients(self.parameters(), set_to_none)

    def to(self, *args: Any, **kwargs: Any) -> Module:
        """Move to a device, or convert floating-point parameters and buffers to a dtype, in place.

        ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(tensor)``, also by keyword.
        """
        device, dtype = _device_and_dtype(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
        moves = {} if device is None else {"device": device}
        converts = moves if dtype is None else {**moves, "dtype": dtype}
        if not converts:
            return self
        return self._apply(lambda t: t.to(**converts) if t.is_floating_point() else t.to(**moves) if moves else t)

    def type(self, dst_type: Any) -> Module:
        """Convert every parameter and buffer to the dtype `dst_type`."""
        return self._apply(lambda tensor: tensor.to(dst_type))

    def float(self) -> Module:
        """Convert floating-point parameters and buffers to float32."""
        return self.to(dtypes.float32)

    def double(self) -> Module:
        """Convert floating-point parameters and buffers to float64."""
        return self.to(dtypes.float64)

    def half(self) -> Module:
        """Convert floating-point parameters and buffers to float16."""
        return self.to(dtypes.float16)

    def bfloat16(self) -> Module:
        """Convert floating-point parameters and buffers to bfloat16, which needs the package ml_dtypes."""
        return self.to(dtypes.bfloat16)

    def cpu(self) -> Module:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Module:
        """Move to a GPU."""
        return self.to("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    def _apply(self, fn: Callable) -> Module:
        for module in self.modules():
            for parameter in module._parameters.values():
                if parameter is not None:
                    parameter.data = fn(parameter.data)  # the same object: its optimizer knows it
                    if parameter.grad is not None:
                        parameter.grad.data = fn(parameter.grad.data)
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = fn(buffer)
        return self

    # ---- state -------------------------------------------------------------------------------------------------

    def state_dict(self, *, destination: dict | None = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """All parameters and persistent buffers by path, as detached tensors that share memory with the model.

        A tied parameter is listed under each of its names. `keep_vars`: the parameters themselves, not detached.
        """
        destination = OrderedDict() if destination is None else destination
        for name, tensor in self._own_state():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return destination

    def _own_state(self) -> Iterator[tuple[str, Any]]:
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                yield name, buffer

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy the values in `state_dict` into the parameters and buffers of the same path.

        Values are tensors or NumPy arrays and are converted to the dtype of the parameter. With `assign` nothing is
        copied: parameters and buffers take over the memory and the dtype of the values, and parameters, which stay the
        same objects, forget their gradients.

        If anything is wrong, one error lists all of it and nothing is loaded; PyTorch raises the same error after it has
        loaded what fits.

        Returns
        -------
        ``(missing_keys, unexpected_keys)``, both empty if `strict`.

        Raises
        ------
        RuntimeError
            For a wrong shape, or a value that is not a tensor; if `strict`, also for missing and unexpected keys.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict).__name__}.")
        own = self.state_dict(keep_vars=True)
        keys = IncompatibleKeys([k for k in own if k not in state_dict], [k for k in state_dict if k not in own])
        problems = []
        if strict:
            for kind, names in zip(("Missing", "Unexpected"), keys, strict=True):
                if names:
                    problems.append(f"{kind} key(s) in state_dict: {', '.join(map(_quoted, names))}. ")
        values = {}
        for key, tensor in own.items():
            if key in state_dict:
                values[key] = value = _as_tensor(state_dict[key])
                if value is None:
                    problems.append(f'"{key}": expected a tensor, got {type(state_dict[key]).__name__}.')
                elif value.array.shape != tensor.array.shape:
                    problems.append(
                        f"size mismatch for {key}: copying a param with shape {value.array.shape} from checkpoint, "
                        f"the shape in current model is {tensor.array.shape}."
                    )
                elif assign and tensor.requires_grad and not value.is_floating_point():
                    problems.append(f'"{key}": expected a floating-point tensor to assign, got {value.dtype}.')
        if problems:
            raise RuntimeError("\n\t".join([f"Error(s) in loading state_dict for {self._get_name()}:", *problems]))
        with no_grad():
            for key, value in values.items():
                if assign:
                    own[key].grad = None
                    own[key].data = value
                else:
                    own[key].copy_(value)
        return keys

    # ---- printing ----------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of this module's own line in ``repr``."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        if len(extra_lines) == 1 and not child_lines:
            return f"{self._get_name()}({extra_lines[0]})"
        lines = extra_lines + child_lines
        return self._get_name() + "(" + ("\n  " + "\n  ".join(lines) + "\n" if lines else "") + ")"


def indented(text: str) -> str:
    """`text` with every line but the first moved in by two."""
    return text.replace("\n", "\n  ")


def _quoted(name: str) -> str:
    return f'"{name}"'


def _register_hook(hooks: dict, hook: Callable, prepend: bool, with_kwargs: bool) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    others = dict(hooks)
    if prepend:
        hooks.clear()
    hooks[handle.key] = (hook, with_kwargs)
    if prepend:
        hooks.update(others)
    return handle


def _name_layer(error: Any, module: Module) -> None:
    """Rewrite an error raised by `fail` so that it starts with the path of its layer, as seen from `module`."""
    for path, layer in module.named_modules():
        if layer is error.layer and path:
            error.args = (f"{path}: {error.message}",)
            return


def _device_and_dtype(*args: Any, **kwargs: Any) -> tuple[Any, dtypes.dtype | None]:
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    kwargs.pop("non_blocking", None)  # a hint: every copy here is complete when it returns
    if kwargs:
        raise TypeError(f"Module.to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    for value in args:
        if isinstance(value, Tensor):
            device, dtype = getattr(value, "device", None), dtypes.of_array(value.array)
        elif isinstance(value, (dtypes.dtype, np.dtype, type)):
            dtype = value
        elif value is not None and not isinstance(value, bool):
            device = value
    return device, None if dtype is None else dtypes.as_dtype(dtype)


def _as_tensor(value: Any) -> Any:
    """A tensor for `value`, a tensor or something NumPy can turn into a numeric array; else None."""
    if isinstance(value, Tensor):
        return value
    if not hasattr(value, "__array__"):
        return None
    return wrap(np.asarray(value))
