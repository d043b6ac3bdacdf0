"""dtypes under PyTorch's names, and PyTorch's rules for the dtype of a result."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinyrnn.engine.base import TensorBase

FLOATS = "fV"  # NumPy's `kind` of a floating-point dtype: its own, and bfloat16, which comes from ml_dtypes


class dtype:  # noqa: N801 (PyTorch's name)
    """The type of a tensor's elements, e.g. ``tinyrnn.float32``. `numpy` is the NumPy dtype behind it."""

    __slots__ = ("category", "name", "numpy")

    def __init__(self, name: str, numpy_type: Any, category: int) -> None:
        self.name = name
        self.numpy = np.dtype(numpy_type)
        self.category = category

    @property
    def is_floating_point(self) -> bool:
        return self.category == _FLOAT

    @property
    def is_complex(self) -> bool:
        return False

    @property
    def is_signed(self) -> bool:
        return self.category == _FLOAT or self.numpy.kind == "i"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    def __repr__(self) -> str:
        return f"tinyrnn.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return named, (self.name,)


class _FromMLDtypes(dtype):
    """A dtype that NumPy has not; ml_dtypes is loaded when arrays of it are first asked for."""

    __slots__ = ()
    itemsize = 2

    def __init__(self, name: str, category: int) -> None:
        self.name = name
        self.category = category

    @property
    def numpy(self) -> np.dtype:
        try:
            import ml_dtypes
        except ImportError as error:
            raise ImportError(f'NumPy has no {self.name} of its own: pip install "tinyrnn[bfloat16]"') from error
        return np.dtype(getattr(ml_dtypes, self.name))


# Categories, in the order in which PyTorch promotes.
_BOOL, _INT, _FLOAT = range(3)

bool_ = dtype("bool", np.bool_, _BOOL)
uint8 = dtype("uint8", np.uint8, _INT)
int8 = dtype("int8", np.int8, _INT)
int16 = short = dtype("int16", np.int16, _INT)
int32 = int_ = dtype("int32", np.int32, _INT)
int64 = long = dtype("int64", np.int64, _INT)
bfloat16 = _FromMLDtypes("bfloat16", _FLOAT)
float16 = half = dtype("float16", np.float16, _FLOAT)
float32 = float_ = dtype("float32", np.float32, _FLOAT)
float64 = double = dtype("float64", np.float64, _FLOAT)

ALL = (bool_, uint8, int8, int16, int32, int64, bfloat16, float16, float32, float64)
_BY_NUMPY = {each.numpy: each for each in ALL if each is not bfloat16}
_default = float32


def named(name: str) -> dtype:
    """The dtype called `name`, e.g. ``"float32"``: the way back from a file."""
    for each in ALL:
        if each.name == name:
            return each
    raise TypeError(f"there is no dtype {name!r}; there are {', '.join(each.name for each in ALL)}")


def get_default_dtype() -> dtype:
    """The dtype of new floating-point tensors: float32 unless `set_default_dtype` said otherwise."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the dtype of new floating-point tensors."""
    global _default
    d = as_dtype(d)
    if not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d}")
    numpy_finfo(d.numpy)  # if its package is missing, an error now and not at some later tensor
    _default = d


def of_array(array: Any) -> dtype:
    """The dtype of a NumPy or CuPy array.

    Raises
    ------
    TypeError
        If tensors cannot hold it (complex numbers, strings, objects, unsigned integers of more than 8 bits).
    """
    found = _of_numpy(array.dtype)
    if found is None:
        names = ", ".join(each.name for each in ALL)
        raise TypeError(f"tensors of NumPy dtype {array.dtype} are not supported; supported are {names}")
    return found


def _of_numpy(found: np.dtype) -> dtype | None:
    if found.kind == "V":
        return bfloat16 if found.name == "bfloat16" else None
    return _BY_NUMPY.get(found) or _BY_NUMPY.get(found.newbyteorder("="))


def as_dtype(value: Any) -> dtype:
    """A dtype from a dtype, a NumPy dtype, or Python's bool, int and float (int64 and the default float, as in PyTorch)."""
    if isinstance(value, dtype):
        return value
    if value is float:
        return _default
    if isinstance(value, (np.dtype, type)):
        found = _of_numpy(np.dtype(value))
        if found is not None:
            return found
    raise TypeError(f"expected a dtype such as tinyrnn.float32, got {value!r}")


def _of_number(value: Any) -> dtype:
    if isinstance(value, (bool, np.bool_)):
        return bool_
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, (float, np.floating)) or (isinstance(value, np.generic) and value.dtype.kind == "V"):
        return _default
    raise TypeError(f"expected a tensor or a number, got {type(value).__name__}; convert it with tinyrnn.tensor(...)")


def promote_types(first: dtype, second: dtype) -> dtype:
    """The smallest dtype to which both may be converted, by PyTorch's table.

    Integers of the same width and different sign go to the next signed type, a float beats every integer whatever the
    widths (int64 with float16 is float16), and float16 with bfloat16 is float32.
    """
    if first is second:
        return first
    if first.category != second.category:
        return first if first.category > second.category else second
    if uint8 in (first, second):
        other = second if first is uint8 else first
        return int16 if other is int8 else other
    if first.category == _FLOAT and first.itemsize == second.itemsize == 2:
        return float32
    return first if first.itemsize >= second.itemsize else second


def can_cast(source: dtype, target: dtype) -> bool:
    """Whether results of one dtype may be written into the other: never down a category (bool, integer, float)."""
    return source.category <= target.category


def result_type(*operands: Any) -> dtype:
    """The dtype of an operation on tensors, arrays and Python or NumPy numbers.

    As in PyTorch, tensors with dimensions decide within their category (bool < integer < float); 0-d tensors, and after
    them numbers, only count if their category is higher. NumPy's own rules differ: there int64 * 0.5 is float64.
    """
    ranked: list[dtype | None] = [None, None, None]  # tensors with dimensions, 0-d tensors, numbers
    for operand in operands:
        array = operand.array if isinstance(operand, TensorBase) else operand
        if hasattr(array, "dtype") and not isinstance(array, np.generic):
            rank, found = (0 if array.ndim else 1), of_array(array)
        else:
            rank, found = 2, _of_number(array)
        before = ranked[rank]
        ranked[rank] = found if before is None else promote_types(before, found)
    result: dtype | None = None
    for found_or_none in ranked:
        if found_or_none is not None and (result is None or found_or_none.category > result.category):
            result = found_or_none
    assert result is not None, "result_type needs an operand"
    return result


@functools.cache
def numpy_finfo(found: np.dtype) -> Any:
    """NumPy's limits of a floating-point dtype, or those of ml_dtypes."""
    if found.kind != "V":
        return np.finfo(found)
    import ml_dtypes

    return ml_dtypes.finfo(found)


class finfo:  # noqa: N801 (PyTorch's name)
    """Limits of a floating-point dtype: `eps`, `max`, `min`, `tiny`, `smallest_normal`, `resolution`, `bits`, `dtype`."""

    def __init__(self, type: dtype | None = None) -> None:
        found = _default if type is None else as_dtype(type)
        if not found.is_floating_point:
            raise TypeError(f"finfo() requires a floating-point dtype, got {found}; use iinfo")
        info = numpy_finfo(found.numpy)
        self.bits, self.eps, self.resolution = int(info.bits), float(info.eps), float(f"1e-{info.precision}")
        self.max, self.min = float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.dtype = found.name

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{name}={getattr(self, name):g}' for name in names)}, dtype={self.dtype})"


class iinfo:  # noqa: N801 (PyTorch's name)
    """Limits of an integer dtype: `max`, `min`, `bits`, `dtype`."""

    def __init__(self, type: dtype) -> None:
        found = as_dtype(type)
        if found.category != _INT:
            raise TypeError(f"iinfo() requires an integer dtype, got {found}; use finfo")
        info = np.iinfo(found.numpy)
        self.bits, self.max, self.min = int(info.bits), int(info.max), int(info.min)
        self.dtype = found.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
