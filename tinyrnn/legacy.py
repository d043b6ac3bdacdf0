"""FloatTensor, LongTensor and so on: a tensor of one dtype, as programs named it before PyTorch 0.4."""

from __future__ import annotations

from typing import Any

from tinyrnn import creation, devices, dtypes
from tinyrnn.engine.base import TensorBase, wrap


class TensorType:
    """``FloatTensor(2, 3)`` or ``FloatTensor([1, 2])``: what ``Tensor(...)`` makes, in this dtype.

    ``isinstance(x, FloatTensor)`` asks whether a tensor is of the dtype, ``x.type(FloatTensor)`` converts to it.
    """

    def __init__(self, name: str, dtype: dtypes.dtype) -> None:
        self.name = name
        self.dtype = dtype

    def __call__(self, *data: Any) -> Any:
        return wrap(creation.legacy_array(data, self.dtype))

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, TensorBase) and dtypes.of_array(value.array) == self.dtype

    def __repr__(self) -> str:
        return f"<class '{self.name}'>"


FloatTensor = TensorType("torch.FloatTensor", dtypes.float32)
DoubleTensor = TensorType("torch.DoubleTensor", dtypes.float64)
HalfTensor = TensorType("torch.HalfTensor", dtypes.float16)
BFloat16Tensor = TensorType("torch.BFloat16Tensor", dtypes.bfloat16)
ByteTensor = TensorType("torch.ByteTensor", dtypes.uint8)
CharTensor = TensorType("torch.CharTensor", dtypes.int8)
ShortTensor = TensorType("torch.ShortTensor", dtypes.int16)
IntTensor = TensorType("torch.IntTensor", dtypes.int32)
LongTensor = TensorType("torch.LongTensor", dtypes.int64)
BoolTensor = TensorType("torch.BoolTensor", dtypes.bool_)

_ALL = (
    FloatTensor, DoubleTensor, HalfTensor, BFloat16Tensor, ByteTensor, CharTensor, ShortTensor, IntTensor, LongTensor,
    BoolTensor,
)  # fmt: skip


def name_of(dtype: dtypes.dtype) -> str:
    """``"torch.FloatTensor"`` for float32."""
    return next(each.name for each in _ALL if each.dtype == dtype)


def dtype_of(value: Any) -> dtypes.dtype:
    """The dtype meant by a dtype, by one of the types here, or by the name of one.

    Raises
    ------
    ValueError
        For any other string.
    """
    if isinstance(value, str):
        if value.startswith("torch.cuda."):
            devices.available("cuda")
        found = [each.dtype for each in _ALL if each.name == value]
        if not found:
            raise ValueError(f"invalid type: {value!r}; expected a dtype such as tinyrnn.float32")
        return found[0]
    if isinstance(value, type) and issubclass(value, TensorBase):  # ``x.type(torch.Tensor)``
        return dtypes.get_default_dtype()
    return value.dtype if isinstance(value, TensorType) else dtypes.as_dtype(value)


def set_default_tensor_type(t: Any, /) -> None:
    """`set_default_dtype` for one of the types here or its name: ``"torch.DoubleTensor"``."""
    dtypes.set_default_dtype(dtype_of(t))
