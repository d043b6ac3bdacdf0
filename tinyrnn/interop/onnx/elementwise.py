"""Operations element by element, activations and casts as ONNX nodes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyrnn import _tensor, conversion, dtypes
from tinyrnn.interop.onnx.graph import Dim
from tinyrnn.interop.onnx.table import Emitter, emits
from tinyrnn.nn import functional
from tinyrnn.ops import activations, arithmetic, comparison, division, elementary, masking, powers, selection, ternary

# ---- arithmetic and comparison ----------------------------------------------------------------------------------------------


def _unary(operator: str) -> Emitter:
    return lambda g, out, input: g(operator, g.value(input, out.array.dtype))


_UNARY: dict[Any, str] = {
    activations.tanh: "Tanh", activations.sigmoid: "Sigmoid", activations.relu: "Relu", elementary.exp: "Exp",
    elementary.log: "Log", elementary.sin: "Sin", elementary.cos: "Cos", elementary.erf: "Erf", elementary.abs: "Abs",
    elementary.sign: "Sign", elementary.floor: "Floor", elementary.ceil: "Ceil", arithmetic.neg: "Neg", powers.sqrt: "Sqrt",
    powers.reciprocal: "Reciprocal", comparison.logical_not: "Not",
}  # fmt: skip
for _function, _operator in _UNARY.items():
    emits(_function)(_unary(_operator))


@emits(comparison.bitwise_not)
def _bitwise_not(g, out, input):
    if out.array.dtype != bool:
        raise NotImplementedError("~ of integers has no operator in ONNX, only that of bools has")
    return g("Not", g.value(input))


_OF_BOOLS = {"Add": "Or", "Mul": "And", "Max": "Or", "Min": "And"}  # which ONNX has for numbers alone


def binary(operator: str, swapped: bool = False) -> Emitter:
    def emit(g, out, a, b, *, alpha=1):
        dtype = out.array.dtype
        if dtype.kind == "b":
            return g(_OF_BOOLS[operator], g.value(a, dtype), g.value(b, dtype))
        right = g.value(b, dtype) if alpha == 1 else g("Mul", g.value(b, dtype), g.value(alpha, dtype))
        left = g.value(a, dtype)
        return g(operator, right, left) if swapped else g(operator, left, right)

    return emit


@emits(ternary.lerp)
def _lerp(g, out, input, end, weight):
    dtype = out.array.dtype
    distance = g("Sub", g.value(end, dtype), g.value(input, dtype))
    return g("Add", g.value(input, dtype), g("Mul", distance, g.value(weight, dtype)))


_BINARY: dict[Any, str] = {
    arithmetic.add: "Add", arithmetic.sub: "Sub", arithmetic.mul: "Mul", powers.pow: "Pow", selection.maximum: "Max",
    selection.minimum: "Min",
}  # fmt: skip
for _function, _operator in _BINARY.items():
    emits(_function)(binary(_operator))

_SWAPPED: dict[Any, str] = {arithmetic.rsub: "Sub", arithmetic.rdiv: "Div", powers.rpow: "Pow"}
for _function, _operator in _SWAPPED.items():
    emits(_function)(binary(_operator, swapped=True))


@emits(arithmetic.div, division.div)
def _div(g, out, a, b, *, rounding_mode=None):
    if rounding_mode == "floor":
        return _floor_divide(g, out, a, b)
    quotient = binary("Div")(g, out, a, b)  # of integers, which are asked for with "trunc" alone, it is rounded towards 0
    if rounding_mode is None or out.array.dtype.kind != "f":
        return quotient
    return g("Mul", g("Sign", quotient), g("Floor", g("Abs", quotient)))


@emits(division.remainder)
def _remainder(g, out, a, b):
    dtype = out.array.dtype
    x, y = g.value(a, dtype), g.value(b, dtype)
    if dtype.kind != "f":
        return g("Mod", x, y)
    rest = g("Mod", x, y, fmod=1)  # with the sign of a
    return g("Where", g("Less", g("Mul", g("Sign", rest), y), g.value(0, dtype)), g("Add", rest, y), rest)


@emits(division.floor_divide)
def _floor_divide(g, out, a, b):
    dtype = out.array.dtype
    x, y = g.value(a, dtype), g.value(b, dtype)
    whole = g("Div", g("Sub", x, _remainder(g, out, a, b)), y)
    if dtype.kind != "f":
        return whole
    return g("Where", g("Equal", y, g.value(0, dtype)), g("Div", x, y), g("Round", whole))


emits(division.rfloordiv)(lambda g, out, a, b: _floor_divide(g, out, b, a))
emits(division.rmod)(lambda g, out, a, b: _remainder(g, out, b, a))


def _comparison(operator: str, negated: bool = False) -> Emitter:
    def emit(g, out, a, b):
        dtype: np.dtype = dtypes.result_type(*[int(x) if isinstance(x, Dim) else x for x in (a, b)]).numpy
        if dtype.kind == "b" and operator != "Equal":
            dtype = np.dtype(np.uint8)
        result = g(operator, g.value(a, dtype), g.value(b, dtype))
        return g("Not", result) if negated else result

    return emit


_COMPARISONS: dict[Any, str] = {
    comparison.eq: "Equal", comparison.equals: "Equal", comparison.lt: "Less", comparison.le: "LessOrEqual",
    comparison.gt: "Greater", comparison.ge: "GreaterOrEqual",
}  # fmt: skip
for _function, _operator in _COMPARISONS.items():
    emits(_function)(_comparison(_operator))
emits(comparison.ne, comparison.differs)(_comparison("Equal", negated=True))


def _logical(operator: str) -> Emitter:
    def emit(g, out, a, b):
        if out.array.dtype != bool:
            raise NotImplementedError("bits of integers have no operator in ONNX, only those of bools have")
        return g(operator, g.value(a, out.array.dtype), g.value(b, out.array.dtype))

    return emit


emits(comparison.logical_and, comparison.bitwise_and)(_logical("And"))
emits(comparison.logical_or, comparison.bitwise_or)(_logical("Or"))
emits(comparison.logical_xor, comparison.bitwise_xor)(_logical("Xor"))


@emits(elementary.round)
def _round(g, out, input, *, decimals=0):
    x, dtype = g.value(input), out.array.dtype
    if decimals == 0 or dtype.kind != "f":
        return x if dtype.kind != "f" else g("Round", x)
    scale, (up, down) = g.value(10.0 ** abs(decimals), dtype), ("Mul", "Div") if decimals > 0 else ("Div", "Mul")
    return g(down, g("Round", g(up, x, scale)), scale)


@emits(powers.square)
def _square(g, out, input):
    x = g.value(input)
    return g("Mul", x, x)


@emits(powers.rsqrt)
def _rsqrt(g, out, input):
    return g("Reciprocal", g("Sqrt", g.value(input, out.array.dtype)))


@emits(arithmetic.positive, functional.clone)
def _same(g, out, input):
    return g.value(input)


@emits(selection.where)
def where(g, out, condition, input, other):
    dtype = out.array.dtype
    return g("Where", g.value(condition), g.value(input, dtype), g.value(other, dtype))


@emits(_tensor.Tensor.where)
def _where_method(g, out, input, condition, other):
    return where(g, out, condition, input, other)


@emits(masking.masked_fill)
def _masked_fill(g, out, input, mask, value):
    return where(g, out, mask, value, input)


@emits(selection.clamp)
def _clamp(g, out, input, min=None, max=None):
    x = g.value(input, out.array.dtype)
    x = x if min is None else g("Max", x, g.value(min, out.array.dtype))
    return x if max is None else g("Min", x, g.value(max, out.array.dtype))


@emits(selection.clamp_min)
def _clamp_min(g, out, input, min):
    return _clamp(g, out, input, min)


@emits(selection.clamp_max)
def _clamp_max(g, out, input, max):
    return _clamp(g, out, input, None, max)


# ---- activations -----------------------------------------------------------------------------------------------------


def _activation(function: Any) -> Callable[[Emitter], Emitter]:
    """Enter an emitter for a function that may write over its input."""

    def enter(emitter: Emitter) -> Emitter:
        @emits(function)
        def emit(g, out, *args, **kwargs):
            given = inspect.signature(function).bind(*args, **kwargs).arguments
            inplace = given.pop("inplace", False)
            value = emitter(g, out, **given)
            if inplace:
                given["input"].trace.check_alone(given["input"])
                given["input"].value = value
            return value

        return emit

    return enter


_activation(functional.relu)(_unary("Relu"))


@_activation(functional.leaky_relu)
def _leaky_relu(g, out, input, negative_slope=0.01):
    return g("LeakyRelu", g.value(input), alpha=float(negative_slope))


@_activation(functional.elu)
def _elu(g, out, input, alpha=1.0):
    return g("Elu", g.value(input), alpha=float(alpha))


@_activation(functional.hardtanh)
def _hardtanh(g, out, input, min_val=-1.0, max_val=1.0):
    return _clamp(g, out, input, min_val, max_val)


@_activation(functional.relu6)
def _relu6(g, out, input):
    return _clamp(g, out, input, 0.0, 6.0)


@_activation(functional.silu)
def _silu(g, out, input):
    x = g.value(input)
    return g("Mul", x, g("Sigmoid", x))


@emits(functional.softplus)
def _softplus(g, out, input, beta=1.0, threshold=20.0):
    x, dtype = g.value(input), out.array.dtype
    scaled = g("Mul", x, g.value(beta, dtype))
    soft = g("Div", g("Softplus", scaled), g.value(beta, dtype))
    return g("Where", g("Greater", scaled, g.value(threshold, dtype)), x, soft)


@emits(functional.logsigmoid)
def _logsigmoid(g, out, input):
    return g("Neg", g("Softplus", g("Neg", g.value(input))))


@emits(functional.gelu)
def _gelu(g, out, input, approximate="none"):
    x, dtype = g.value(input), out.array.dtype

    def times(value: str, factor: float) -> str:
        return g("Mul", value, g.value(factor, dtype))

    if approximate == "none":
        phi = g("Erf", times(x, math.sqrt(0.5)))
        return g("Mul", times(x, 0.5), g("Add", phi, g.value(1.0, dtype)))
    cubic = g("Add", x, times(g("Mul", x, g("Mul", x, x)), 0.044715))
    return g("Mul", x, g("Sigmoid", times(cubic, 2 * math.sqrt(2 / math.pi))))


@_activation(functional.dropout)
def _dropout(g, out, input, p=0.5, training=True):
    if training and p > 0:
        raise NotImplementedError("dropout of training cannot be exported; give it training=self.training")
    return g.value(input)


# ---- other dtypes, numbers -------------------------------------------------------------------------------------------


@emits(conversion.to, conversion.type_, conversion.type_as, conversion.float_, conversion.double, conversion.half)
def _converted(g, out, input, *others, **options):
    return g.cast(g.value(input), input.array.dtype, out.array.dtype)


emits(conversion.long, conversion.int_, conversion.short, conversion.byte, conversion.bool_)(_converted)


@emits(conversion.truth, conversion.to_float, conversion.to_int, conversion.to_index, conversion.item, conversion.tolist)
def _read(g, out, input):
    raise NotImplementedError("it reads numbers that depend on the inputs, and the file would keep those of the example")


emits(conversion.numpy, conversion.to_array)(_read)
