"""Arithmetic on a GPU where CuPy's would round: 16-bit numbers with a Python number, in 32 bits. And how kernels are made."""

from __future__ import annotations

import functools

from tinyrnn.kernels import reference
from tinyrnn.kernels.gpu import loader
from tinyrnn.kernels.narrow import is_narrow

_WIDE = """
template <typename T> __device__ float w(T x) { return x; } /* also of bfloat16, whose type is only there where it is used */
__device__ inline double w(double x) { return x; }
"""


@functools.cache
def kernel(inputs, operation, name, preamble=""):
    """One for every element; ``w(x)`` is a number of 16 bits in 32."""
    library = loader.cupy()
    return library.ElementwiseKernel(inputs, "T out", f"out = {operation}", f"tinyrnn_{name}", preamble=_WIDE + preamble)


def mul_forward(a, b):
    if _is_beside_16_bits(a, b):
        a, b = b, a
    if _is_beside_16_bits(b, a):
        return kernel("T x, float64 number", "w(x) * float(number)", "mul_by_number")(a, b)
    return reference.mul_forward(a, b)


def div_forward(a, b):
    if _is_beside_16_bits(b, a):
        return kernel("T x, float64 number", "w(x) / float(number)", "div_by_number")(a, b)
    if _is_beside_16_bits(a, b):
        return kernel("T x, float64 number", "float(number) / w(x)", "number_div")(b, a)
    return reference.div_forward(a, b)


def _is_beside_16_bits(number, x):
    """Whether a Python number stands beside 16-bit numbers, whose range may not include it."""
    return not hasattr(number, "dtype") and hasattr(x, "dtype") and is_narrow(x)
