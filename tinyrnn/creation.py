"""Making tensors: from Python and NumPy data, and filled with something."""

from __future__ import annotations

import math
import warnings
from collections import deque
from typing import Any

import numpy as np

from tinyrnn import dtypes
from tinyrnn.devices import in_main_memory, is_array, library, of_array, put
from tinyrnn.dtypes import dtype as Dtype
from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.kernels.gpu import loader
from tinyrnn.memory_formats import order_of
from tinyrnn.ops.casting import convert_number
from tinyrnn.size import Size

_NUMBERS = (bool, int, float)


def new(array: Any, requires_grad: bool = False, device: Any = None) -> Any:
    """A tensor around an array that nobody else holds, on a device: None is the default one."""
    result = wrap(put(array, device))
    if requires_grad:
        if array.dtype.kind not in dtypes.FLOATS:
            raise RuntimeError(f"Only Tensors of floating point dtype can require gradients, got {dtypes.of_array(array)}")
        result.tracked = True
    return result


# ---- from data ----


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A new tensor with a copy of `data`: a number, a NumPy array, a tensor, or nested sequences of these.

    Python floats become the default dtype, ints int64, bools bool; arrays, tensors and NumPy scalars keep their dtype.

    Raises
    ------
    ValueError
        If nested sequences have different lengths.
    TypeError, RuntimeError
        If the data is no number, or too large for the dtype.
    """
    if isinstance(data, TensorBase):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() rather than "
            "tinyrnn.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    return new(array_from(data, dtype, True), requires_grad, _device_for(data, device))


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """`data` as a tensor; shares memory with an array, and is the same tensor, where dtype and device allow it."""
    if isinstance(data, TensorBase):
        return data.to(dtype=dtype, device=device)  # type: ignore[attr-defined]
    return new(array_from(data, dtype, False), False, _device_for(data, device))


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False) -> Any:
    """`obj` as a tensor: with its memory if it can be shared, or always (``copy=False``) or never (``copy=True``)."""
    source = obj.detach() if isinstance(obj, TensorBase) else obj  # type: ignore[attr-defined]
    array = put(array_from(source, dtype, bool(copy)), _device_for(source, device))
    memory = getattr(source, "array", source)
    shares = type(memory) is type(array) and np.may_share_memory(array, memory)
    if copy is False and not shares:
        raise ValueError("asarray: copy=False, but this object or dtype cannot be had without a copy")
    return new(array, requires_grad, of_array(array))


def _device_for(data: Any, device: Any) -> Any:
    """Where a tensor of `data` is made: tensors and arrays of a GPU stay where they are if nobody says otherwise."""
    array = data.array if isinstance(data, TensorBase) else data
    return of_array(array) if device is None and is_array(array) and not isinstance(array, np.ndarray) else device


def from_numpy(ndarray: np.ndarray) -> Any:
    """A tensor that shares the memory of a NumPy array: writing to one changes the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtypes.of_array(ndarray)
    if not ndarray.dtype.isnative:
        raise ValueError(
            f"from_numpy: the array has bytes in foreign order ({ndarray.dtype.str}); pass "
            f"array.astype(array.dtype.newbyteorder('='))"
        )
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable; the tensor shares its memory, and writing to it will fail. "
            "Copy the array to be able to write.",
            UserWarning,
            stacklevel=2,
        )
    return wrap(ndarray.view(np.ndarray))


_DLPACK_CUDA = 2  # DLPack's number for GPUs


def from_dlpack(ext_tensor: Any) -> Any:
    """A tensor that shares the memory of anything that speaks DLPack, such as a PyTorch tensor, on a CPU or a GPU.

    Raises
    ------
    RuntimeError
        If it does not.
    TypeError
        If its numbers are of a dtype that cannot be shared.
    """
    if not hasattr(ext_tensor, "__dlpack__") or not hasattr(ext_tensor, "__dlpack_device__"):
        raise RuntimeError(
            f"from_dlpack expects an object that speaks DLPack (with __dlpack__ and __dlpack_device__), such as a tensor, but "
            f"got {type(ext_tensor).__name__}; use tinyrnn.tensor(...) for numbers and lists"
        )
    if ext_tensor.__dlpack_device__()[0] == _DLPACK_CUDA:
        shared = loader.cupy().from_dlpack(ext_tensor)
        dtypes.of_array(shared)
        return wrap(shared)
    try:
        array = np.from_dlpack(ext_tensor)
    except RuntimeError as error:
        raise TypeError(
            f"from_dlpack: {error} NumPy takes integers, bools, float16, float32 and float64; convert it to one of them there"
        ) from error
    dtypes.of_array(array)
    return wrap(array)


def array_from(data: Any, dtype: Any, copy: bool) -> np.ndarray:
    """An array of `data`, with PyTorch's idea of its dtype; a copy if asked for or needed."""
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(data, TensorBase):
        data = data.array
    if isinstance(data, np.ndarray):
        found = wanted or dtypes.of_array(data)
        return np.array(data, dtype=found.numpy, copy=True if copy else None, subok=False)
    if is_array(data):
        return data.astype((wanted or dtypes.of_array(data)).numpy, copy=copy)
    if hasattr(data, "__array__") and not isinstance(data, np.generic):
        return array_from(np.asarray(data), dtype, copy)
    if isinstance(data, deque):
        data = list(data)
    types = _types_in(data)
    if not types.issubset(_NUMBERS):
        data = _arrays_in(data)
    if wanted is None:
        wanted = _inferred(types, data)
    try:
        plain = np.array(data)
        if plain.dtype == object or not types.issubset(_NUMBERS):
            return np.array(data, wanted.numpy)
        if wanted.numpy.kind in "iu" and plain.size and plain.dtype.kind in "iu":
            _check_range(plain, wanted)
        return plain.astype(wanted.numpy)
    except OverflowError:
        raise RuntimeError(f"tensor: a number is too large for {wanted}") from None
    except ValueError:
        _find_ragged(data)
        raise


def _check_range(array: np.ndarray, dtype: Dtype) -> None:
    limits = np.iinfo(dtype.numpy)
    if array.max() > limits.max or array.min() < limits.min:
        worst = array.max() if array.max() > limits.max else array.min()
        raise RuntimeError(f"value {worst} cannot be converted to type {dtype.name} without overflow")


def _types_in(data: Any, depth: int = 0) -> set[type]:
    """The types of the numbers in nested sequences."""
    if isinstance(data, (list, tuple, range)):
        if depth == 64:
            raise ValueError("tensor: the sequences are nested more than 64 deep (or contain themselves)")
        types = set(map(type, data))
        if not types.isdisjoint((list, tuple, range)) or any(issubclass(t, (list, tuple)) for t in types):
            return set().union(*[_types_in(item, depth + 1) for item in data])
    else:
        types = {type(data)}
    for each in types:
        if each not in _NUMBERS and not issubclass(each, (np.generic, np.ndarray, TensorBase, *_NUMBERS)):
            raise TypeError(f"tensor: expected numbers, or sequences or arrays of numbers, got {each.__name__}")
    return types


def _arrays_in(data: Any) -> Any:
    """Nested sequences with arrays in place of tensors."""
    if isinstance(data, (list, tuple)):
        return [_arrays_in(item) for item in data]
    return in_main_memory(data.array) if isinstance(data, TensorBase) else data


def _inferred(types: set[type], data: Any) -> Dtype:
    if float in types and types.issubset(_NUMBERS):
        return dtypes.get_default_dtype()
    if not types:
        return dtypes.get_default_dtype()
    found = dtypes.bool_
    for each in _leaves(data) if not types.issubset(_NUMBERS) else types:
        if isinstance(each, (np.ndarray, np.generic)):
            one = dtypes.of_array(each)
        else:
            kind = each if isinstance(each, type) else type(each)
            one = dtypes.bool_ if kind is bool else dtypes.int64 if issubclass(kind, int) else dtypes.get_default_dtype()
        found = dtypes.promote_types(found, one)
    return found


def _leaves(data: Any) -> Any:
    if isinstance(data, (list, tuple, range)):
        for item in data:
            yield from _leaves(item)
    else:
        yield data


def _find_ragged(data: Any, dim: int = 1) -> None:
    """Say where nested sequences differ in length."""
    if not isinstance(data, (list, tuple)) or not data:
        return
    lengths = [len(item) if isinstance(item, (list, tuple, range)) else None for item in data]
    for number, length in enumerate(lengths):
        if length != lengths[0]:
            got, expected = ["a number" if n is None else f"length {n}" for n in (length, lengths[0])]
            raise ValueError(
                f"expected sequence of {expected} at dim {dim} (got {got}, at position {number}): pad the rows to one length"
            ) from None
    for item in data:
        _find_ragged(item, dim + 1)


def legacy_array(arguments: tuple[Any, ...], dtype: Any = None) -> np.ndarray:
    """The array that ``Tensor(*arguments)`` holds: nothing, sizes, or a copy of data, by default in the default dtype.

    Raises
    ------
    TypeError
        If the arguments are none of these.
    """
    dtype = dtype or dtypes.get_default_dtype()
    if not arguments:
        return np.empty(0, dtype.numpy)
    data = arguments[0]
    if len(arguments) == 1 and isinstance(data, (TensorBase, np.ndarray, list, tuple, range)) and not isinstance(data, Size):
        return array_from(data, dtype, True)
    if not isinstance(data, Size) and not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in arguments):
        given = ", ".join(type(each).__name__ for each in arguments)
        raise TypeError(
            f"Tensor(): expected sizes (ints), or one sequence, array or tensor, got {given}; "
            f"tinyrnn.tensor(data, dtype=..., requires_grad=...) takes numbers too"
        )
    return np.empty(shape_of("Tensor", arguments), dtype.numpy)


# ---- filled with something ----


def shape_of(name: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape from sizes given one by one or as one sequence."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    try:
        shape = tuple([n.__index__() for n in size])
    except (AttributeError, TypeError):
        raise TypeError(f"{name}(): the size must be ints, or one tuple or list of ints, got {size!r}") from None
    if shape and min(shape) < 0:
        raise RuntimeError(f"{name}: Dimension size must be non-negative, got {shape}")
    return shape


def _numpy_dtype(dtype: Any) -> np.dtype:
    return (dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)).numpy


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of zeros; sizes one by one or as one tuple."""
    return new(library(device).zeros(sized("zeros", size), _numpy_dtype(dtype)), requires_grad, device)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of ones; sizes one by one or as one tuple."""
    return new(library(device).ones(sized("ones", size), _numpy_dtype(dtype)), requires_grad, device)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor whose elements are whatever was in memory; sizes one by one or as one tuple."""
    return new(library(device).empty(sized("empty", size), _numpy_dtype(dtype)), requires_grad, device)


def sized(name: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """`shape_of`, for functions that refuse to be called without any size."""
    if not size:
        raise TypeError(f"{name}() missing 1 required positional argument: 'size' (for a 0-d tensor pass an empty tuple)")
    return shape_of(name, size)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of one number; its dtype follows the number unless given."""
    value = fill_value.item() if isinstance(fill_value, TensorBase) else fill_value  # type: ignore[attr-defined]
    found = dtypes.result_type(value) if dtype is None else dtypes.as_dtype(dtype)
    number = convert_number(value, found.numpy)
    return new(library(device).full(shape_of("full", (size,)), number.item(), number.dtype), requires_grad, device)


def arange(
    start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """``start, start + step, ...`` up to `end`, which is not included: ``ceil((end - start) / step)`` numbers.

    int64 if all three are integers, else the default dtype.
    """
    if end is None:
        start, end = 0, start
    start, end, step = (x.item() if hasattr(x, "item") else x for x in (start, end, step))
    floating = isinstance(start, float) or isinstance(end, float) or isinstance(step, float)
    if floating and not all(math.isfinite(x) for x in (start, end, step)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    found = dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype() if floating else dtypes.int64
    if found is dtypes.int64:
        start, end, step, floating = int(start), int(end), int(step), False
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign: arange({start}, {end}, {step})")
    if floating:
        count = math.ceil((end - start) / step)
        if found.numpy.kind in "iu":  # as in PyTorch, whose steps are whole then, though the count is not of whole ones
            start, step = int(start), int(step)
        numbers = np.arange(count, dtype=np.float64) * step + start
    else:
        numbers = np.arange(start, end, step, dtype=np.int64)
    return new(numbers.astype(found.numpy, copy=False), requires_grad, device)


def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """`steps` numbers at equal distances from `start` to `end`, both included."""
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    start, end = (x.item() if hasattr(x, "item") else x for x in (start, end))
    return new(np.linspace(start, end, steps).astype(_numpy_dtype(dtype)), requires_grad, device)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """An (n, m) matrix with ones on the diagonal; m is n by default."""
    rows, columns = shape_of("eye", (n, n if m is None else m))
    return new(np.eye(rows, columns, dtype=_numpy_dtype(dtype)), requires_grad, device)


def _like(function: Any, input: Any, dtype: Any, device: Any, requires_grad: bool, memory_format: Any, *arguments: Any) -> Any:
    """A new array of the shape and the array type of `input`."""
    array = input.array if isinstance(input, TensorBase) else input
    found = array.dtype if dtype is None else dtypes.as_dtype(dtype).numpy
    made = function(array, *arguments, dtype=found, order=order_of(memory_format))
    return new(made, requires_grad, of_array(array) if device is None else device)


def zeros_like(
    input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Any:
    """Zeros of the shape, dtype and device of `input`."""
    return _like(np.zeros_like, input, dtype, device, requires_grad, memory_format)


def ones_like(
    input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Any:
    """Ones of the shape, dtype and device of `input`."""
    return _like(np.ones_like, input, dtype, device, requires_grad, memory_format)


def empty_like(
    input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Any:
    """An uninitialised tensor of the shape, dtype and device of `input`."""
    return _like(np.empty_like, input, dtype, device, requires_grad, memory_format)


def full_like(
    input: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """One number in the shape, dtype and device of `input`."""
    value = fill_value.item() if isinstance(fill_value, TensorBase) else fill_value  # type: ignore[attr-defined]
    found = input.array.dtype if dtype is None else dtypes.as_dtype(dtype).numpy
    return _like(np.full_like, input, dtype, device, requires_grad, memory_format, convert_number(value, found)[()])
