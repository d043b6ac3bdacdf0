"""PyTorch's weights: state dicts both ways, in memory and through safetensors files.

Names, shapes and gate orders are the same on both sides, so a state dict of one is a state dict of the other. Pickle files
(.pt) are not read: save them from PyTorch with `save_file`, or with ``safetensors.torch.save_model``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, numpy

from tinyrnn._tensor import Tensor
from tinyrnn.dtypes import bfloat16
from tinyrnn.engine.base import wrap
from tinyrnn.files import stored_array, write_atomically
from tinyrnn.nn.module import IncompatibleKeys, Module

__all__ = ["from_torch", "load_file", "load_torch", "save_file", "to_torch"]


def from_torch(source: Any) -> dict[str, Tensor]:
    """The state dict of a PyTorch module, or a state dict of PyTorch's tensors, as tensors of ours: copies, on the CPU.

    Raises
    ------
    TypeError
        If `source` is neither, or holds something else than tensors.
    """
    return {name: wrap(_array(name, value)) for name, value in _state(source).items()}


def load_torch(model: Module, source: Any, strict: bool = True) -> IncompatibleKeys:
    """Load the weights of a PyTorch module or state dict into a model of ours; see `Module.load_state_dict`."""
    return model.load_state_dict(from_torch(source), strict)


def to_torch(source: Module | Mapping[str, Any]) -> dict[str, Any]:
    """The state dict of a module of ours, or a state dict of our tensors, as PyTorch's tensors: copies, on the CPU.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError
        As for `from_torch`.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch makes PyTorch's tensors; install it with: pip install torch") from error
    return {name: _torch_tensor(torch, _array(name, value)) for name, value in _state(source).items()}


def _torch_tensor(torch: Any, array: np.ndarray) -> Any:
    if array.dtype.kind == "V":  # PyTorch takes no bfloat16 from NumPy; by way of float32 every bit is kept
        return torch.from_numpy(array.astype(np.float32)).bfloat16()
    return torch.from_numpy(array)


def save_file(source: Any, path: str | os.PathLike[str]) -> None:
    """Write the weights of a module or state dict, ours or PyTorch's, to a safetensors file, which both sides read.

    Tensors that share their memory, as tied weights do, are written once, under the first of their names; the header says so
    as ``safetensors.torch.save_model`` does.

    Raises
    ------
    TypeError
        As for `from_torch`.
    OSError
        If the file cannot be written; what was there is then as it was.
    """
    arrays, aliases = {}, {}
    first_with: dict[Any, str] = {}
    for name, value in _state(source).items():
        first = first_with.setdefault(_place(value), name)
        if first == name:
            arrays[name] = _array(name, value)
        else:
            aliases[name] = first
    write_atomically(Path(path), numpy.save(arrays, metadata=aliases or None))


def load_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the state dict in a safetensors file of either side; what was written once comes back under each of its names.

    Raises
    ------
    ValueError
        If it is not a safetensors file.
    """
    from safetensors import safe_open

    try:
        with safe_open(os.fspath(path), "np") as file:
            tensors = {name: wrap(stored_array(file, name)) for name in file.keys()}  # noqa: SIM118 (it is no dict)
            names = file.metadata() or {}
    except TypeError as error:  # a dtype that NumPy has not
        raise TypeError(f"{os.fspath(path)}: {error}; save the tensors as float32 (model.float()) there") from error
    except SafetensorError as error:
        raise ValueError(
            f"{os.fspath(path)}: expected a safetensors file, got something else ({error}); a .pt file is a pickle, which is "
            f"never read: load it in PyTorch and save it with tinyrnn.interop.torch.save_file(model, path)"
        ) from error
    if "tinyrnn" in names:
        raise ValueError(f"{os.fspath(path)} was written by tinyrnn.save, expected a state dict alone; use tinyrnn.load(path)")
    return tensors | {alias: tensors[first] for alias, first in names.items() if first in tensors}


def _state(source: Any) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    if hasattr(source, "state_dict"):
        return source.state_dict()
    raise TypeError(f"expected a module or a state dict, got {type(source).__name__}; pass model or model.state_dict()")


def _array(name: str, value: Any) -> np.ndarray:
    """A copy of a tensor of either side."""
    if not hasattr(value, "detach") or not hasattr(value, "numpy"):
        raise TypeError(f"{name!r} is a {type(value).__name__}, expected a tensor; keep other things out of the state dict")
    try:
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            return np.array(value.float().numpy(), bfloat16.numpy, order="C")
        return np.array(value.numpy(), order="C")
    except (TypeError, RuntimeError, NotImplementedError) as error:  # complex, sparse, without data: we have no such thing
        raise TypeError(
            f"{name!r} is {getattr(value, 'dtype', type(value))} and cannot be taken over ({error}); pass .float()"
        ) from error


def _place(value: Any) -> Any:
    """What two tensors have in common only if they are the same piece of memory."""
    if hasattr(value, "data_ptr"):
        address, strides = value.data_ptr(), tuple(value.stride())
    else:
        return object()  # an error comes later
    return (address, tuple(value.shape), strides) if value.numel() else object()
