"""What a tensor says about itself, and how it becomes something else: dtypes, Python numbers, NumPy arrays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinyrnn import creation, devices, dtypes, legacy
from tinyrnn.engine.base import TensorBase, as_array, version_of, wrap
from tinyrnn.engine.tape import requires_grad
from tinyrnn.kernels.gpu import loader
from tinyrnn.memory_formats import order_of
from tinyrnn.ops.casting import cast
from tinyrnn.ops.transfer import transfer
from tinyrnn.size import Size

# ---- shape and dtype ----


def size(self, dim: int | None = None) -> Any:
    """The shape, or the size of one dimension."""
    return Size(self.array.shape) if dim is None else self.array.shape[_dimension(self, dim)]


def stride(self, dim: int | None = None) -> Any:
    """Steps from one element to the next along every dimension, or one, counted in elements."""
    steps = tuple([step // self.array.itemsize for step in self.array.strides])
    return steps if dim is None else steps[_dimension(self, dim)]


def _dimension(self, dim: int) -> int:
    ndim = self.array.ndim
    low, high = (-ndim, ndim - 1) if ndim else (-1, 0)
    if ndim == 0 or not low <= dim <= high:
        raise IndexError(f"Dimension out of range (expected to be in range of [{low}, {high}], but got {dim})")
    return dim % ndim


def data_ptr(self) -> int:
    """The address of the first element: that of two tensors is the same if they share their memory from there on."""
    array = self.array
    return array.__array_interface__["data"][0] if isinstance(array, np.ndarray) else array.data.ptr


def dim(self) -> int:
    """The number of dimensions."""
    return self.array.ndim


def numel(input) -> int:
    """The number of elements."""
    return int(input.array.size)


def element_size(self) -> int:
    """Bytes of one element."""
    return self.array.itemsize


def is_floating_point(input) -> bool:
    """Whether the dtype is bfloat16, float16, float32 or float64."""
    return input.array.dtype.kind in dtypes.FLOATS


def is_complex(input: Any) -> bool:
    """False: no tensor is."""
    return False


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, TensorBase)


# ---- to Python ----


def item(self) -> Any:
    """The only element as a Python number."""
    if self.array.size != 1:
        raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
    return self.array.item()


def tolist(self) -> Any:
    """Nested lists of Python numbers; a number for a 0-d tensor."""
    return self.array.tolist()


def truth(self) -> bool:
    if self.array.size != 1:
        number = "no values" if self.array.size == 0 else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {number} is ambiguous; use .any() or .all()")
    return bool(self.array.item())


def _only(self) -> Any:
    if self.array.size != 1:
        raise ValueError(f"only one element tensors can be converted to Python scalars, this one has shape {self.array.shape}")
    return self.array.item()


def to_float(self) -> float:
    return float(_only(self))


def to_int(self) -> int:
    return int(_only(self))


def to_index(self) -> int:
    if self.array.size != 1 or self.array.dtype.kind in dtypes.FLOATS:
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(self.array.item())


def formatted(self, spec: str) -> str:
    return format(self.array.item(), spec) if self.array.ndim == 0 else object.__format__(self, spec)


# ---- to NumPy and DLPack ----


def numpy(self, *, force: bool = False) -> np.ndarray:
    """The array, sharing memory with the tensor; with `force`, also of a tensor that requires a gradient."""
    if not force and requires_grad(self):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    if not isinstance(self.array, np.ndarray):
        if not force:
            raise TypeError(
                f"can't convert {devices.of_array(self.array)} device type tensor to numpy. Use Tensor.cpu() to copy the "
                f"tensor to host memory first."
            )
        return devices.in_main_memory(self.array)
    return self.array


def to_array(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """NumPy's protocol: ``np.asarray(tensor)``."""
    return np.asarray(numpy(self), dtype=dtype, copy=copy)


def wrap_array(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
    """NumPy's protocol: ``np.exp(tensor)`` is a tensor (without history)."""
    return wrap(as_array(array))


def to_dlpack(self, **options: Any) -> Any:
    """The DLPack capsule of the tensor's memory."""
    if requires_grad(self):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self.array.dtype.kind == "V" and isinstance(self.array, np.ndarray):
        raise BufferError("__dlpack__: NumPy does not export bfloat16; use tensor.float(), or tinyrnn.interop.torch.to_torch")
    return self.array.__dlpack__(**options)


def dlpack_device(self) -> tuple[int, int]:
    """DLPack's numbers for the device."""
    return self.array.__dlpack_device__()


def cuda_array_interface(self) -> Any:
    """The protocol by which CuPy, Numba and PyTorch share the memory of a GPU; AttributeError in main memory."""
    if isinstance(self.array, np.ndarray):
        raise AttributeError("a tensor in main memory has no __cuda_array_interface__; use tensor.numpy()")
    if requires_grad(self):
        raise RuntimeError("Can't get __cuda_array_interface__ on a tensor that requires grad; use tensor.detach()")
    return self.array.__cuda_array_interface__


def pin_memory(self, device: Any = None) -> Any:
    """A copy in page-locked main memory, from which a GPU copies faster.

    Raises
    ------
    RuntimeError
        If there is no GPU to copy to, or the tensor lies on it already.
    """
    if not isinstance(self.array, np.ndarray):
        raise RuntimeError("pin_memory: only tensors in main memory can be pinned, and this one lies on a GPU")
    return wrap(loader.pinned(self.array))


def get_device(self) -> int:
    """The number of the GPU that the tensor lies on; -1 in main memory."""
    found = devices.of_array(self.array)
    return -1 if found.type == "cpu" else int(found.index or 0)


# ---- to other dtypes and devices ----


def to(self, *args: Any, **kwargs: Any) -> Any:
    """``to(dtype)``, ``to(device, dtype)`` or ``to(other)``: the same tensor if nothing changes, else a recorded copy.

    Parameters
    ----------
    dtype, device : what to change.
    other : a tensor whose dtype and device are taken.
    non_blocking : allowed, because programs pass it; every copy here is done when the call returns.
    copy : copy even if nothing changes.
    memory_format : `tinyrnn.contiguous_format`, or by default `tinyrnn.preserve_format`.
    """
    order = order_of(kwargs.pop("memory_format", None))
    device, dtype, copy = _destination(args, kwargs)
    result = self if dtype is None else cast(self, dtype.numpy)
    result = result if device is None else transfer(result, device)
    result = self.clone() if copy and result is self else result
    return result.contiguous() if order == "C" else result


def _destination(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, bool]:
    """The device and the dtype (or None), and whether to copy, from the forms that `to` takes."""
    names = ("dtype", "device", "other", "non_blocking", "copy")
    unknown = [name for name in kwargs if name not in names]
    if unknown:
        raise TypeError(f"to() got an unexpected keyword argument {unknown[0]!r}; it takes {', '.join(names)}, memory_format")
    given = dict(kwargs)
    flags = []
    for value in args:
        if isinstance(value, bool):
            flags.append(value)
        elif isinstance(value, TensorBase):
            given["other"] = value
        elif isinstance(value, (str, int, devices.device)):
            given["device"] = value
        elif value is not None:
            given["dtype"] = value
    given.update(zip(("non_blocking", "copy"), flags))
    other = given.get("other")
    if other is not None:
        given.setdefault("dtype", dtypes.of_array(other.array))
        given.setdefault("device", devices.of_array(other.array))
    device, dtype = given.get("device"), given.get("dtype")
    return (
        None if device is None else devices.available(device),
        None if dtype is None else dtypes.as_dtype(dtype),
        bool(given.get("copy", False)),
    )


def type_(self, dtype: Any = None) -> Any:
    """``type(dtype)`` converts; ``type()`` names the type as PyTorch does, e.g. ``"torch.FloatTensor"``."""
    if dtype is None:
        name = legacy.name_of(dtypes.of_array(self.array))
        return name if isinstance(self.array, np.ndarray) else name.replace("torch.", "torch.cuda.")
    return to(self, legacy.dtype_of(dtype))


def type_as(self, other: Any) -> Any:
    """The tensor in the dtype of another."""
    return to(self, dtypes.of_array(other.array))


def float_(self):
    """In float32."""
    return cast(self, dtypes.float32.numpy)


def double(self):
    """In float64."""
    return cast(self, dtypes.float64.numpy)


def half(self):
    """In float16."""
    return cast(self, dtypes.float16.numpy)


def bfloat16(self):
    """In bfloat16, which needs the package ml_dtypes."""
    return cast(self, dtypes.bfloat16.numpy)


def long(self):
    """In int64."""
    return cast(self, dtypes.int64.numpy)


def int_(self):
    """In int32."""
    return cast(self, dtypes.int32.numpy)


def short(self):
    """In int16."""
    return cast(self, dtypes.int16.numpy)


def bool_(self):
    """In bool: whether an element is not 0."""
    return cast(self, dtypes.bool_.numpy)


def byte(self):
    """In uint8."""
    return cast(self, dtypes.uint8.numpy)


def cpu(self):
    """In main memory: the same tensor if it is there, else a recorded copy."""
    return transfer(self, devices.CPU)


def cuda(self, device: Any = None, non_blocking: bool = False):
    """On a GPU, the current one unless `device` says which; `non_blocking` is a hint, as in `to`."""
    target = devices.available("cuda" if device is None else device)
    if target.type != "cuda":
        raise RuntimeError(f"cuda(): {device!r} is not a GPU")
    return transfer(self, target)


# ---- tensors like this one ----


def new(self, *data: Any):
    """Like the constructor ``Tensor(...)``, in this tensor's dtype: from sizes, uninitialised, or a copy of a sequence."""
    return creation.new(creation.legacy_array(data, dtypes.of_array(self.array)), device=devices.of_array(self.array))


def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False):
    """``tinyrnn.tensor(data)`` in this tensor's dtype, on its device."""
    device = devices.of_array(self.array) if device is None else device
    return creation.tensor(data, dtype=dtype or dtypes.of_array(self.array), device=device, requires_grad=requires_grad)


def _new(function):
    def method(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False):
        dtype = dtypes.of_array(self.array) if dtype is None else dtype
        device = devices.of_array(self.array) if device is None else device
        return function(*size, dtype=dtype, device=device, requires_grad=requires_grad)

    method.__name__ = method.__qualname__ = f"new_{function.__name__}"
    method.__doc__ = f"``tinyrnn.{function.__name__}`` in this tensor's dtype, on its device."
    return method


new_zeros, new_ones, new_empty, new_full = map(_new, (creation.zeros, creation.ones, creation.empty, creation.full))


# ---- the same memory without history ----


def detach(self):
    """A tensor of the same memory that requires no gradient; writing to one is a write to both."""
    result = wrap(self.array)
    result.version = version_of(self)
    return result


def replace_data(self, value: Any) -> None:
    """``p.data = value``: the tensor takes the memory of another and keeps its place on the tape."""
    if not isinstance(value, TensorBase):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    self.array = value.array
    self.version = version_of(value)
    self.version.count += 1  # what was saved of the old memory must not be taken for the new: backward says so


def resize_(self, *sizes: Any) -> Any:
    """Give the tensor this shape, and memory of its own; elements are kept as far as they go, the rest is whatever was there.

    Raises
    ------
    RuntimeError
        If it requires a gradient.
    """
    if requires_grad(self):
        raise RuntimeError(
            "resize_: the tensor requires a gradient, expected one that does not; use reshape, or x.data.resize_"
        )
    resized = np.empty_like(self.array, order="C", shape=creation.shape_of("resize_", sizes))
    count = min(resized.size, self.array.size)
    resized.reshape(-1)[:count] = self.array.reshape(-1)[:count]
    replace_data(self, wrap(resized))
    return self


def shallow_copy(self) -> Any:
    """A tensor on the same memory, of the same class and ``requires_grad``, without ``.grad``; it has no history."""
    result = self.__class__.__new__(self.__class__)
    TensorBase.__init__(result, self.array, requires_grad(self))
    result.version = version_of(self)
    for name, value in getattr(self, "__dict__", {}).items():
        vars(result).setdefault(name, value)
    return result


def deep_copy(self, memo: dict[int, Any]) -> Any:
    """A leaf with a copy of the numbers and of ``.grad``; keeps the class and ``requires_grad``."""
    if id(self) in memo:
        return memo[id(self)]
    if self.node is not None:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment: "
            "use tensor.detach().clone()"
        )
    result = self.__class__.__new__(self.__class__)
    memo[id(self)] = result
    TensorBase.__init__(result, self.array.copy(), self.tracked)
    result.grad = copy.deepcopy(self.grad, memo)
    for name, value in getattr(self, "__dict__", {}).items():
        if name not in vars(result):
            vars(result)[name] = copy.deepcopy(value, memo)
    return result
