"""Activations on a GPU, and products with a number, one kernel each; 16-bit numbers are computed with in 32 bits."""

from __future__ import annotations

import functools

from tinyrnn.kernels import reference
from tinyrnn.kernels.gpu import loader
from tinyrnn.kernels.narrow import is_narrow

_PREAMBLE = """
template <typename T> __device__ float w(T x) { return x; } /* also of bfloat16, whose type is only there where it is used */
__device__ inline double w(double x) { return x; }
template <typename W> __device__ W sigmoid(W x) { return 1 / (1 + exp(-x)); }
/* The normal distribution function, and what it is approximated by. */
template <typename W> __device__ W exact(W x) { return W(0.5) * (1 + erf(x * W(0.7071067811865476))); }
/* (1 + tanh(z / 2)) / 2 is sigmoid(z), which keeps its digits where the tanh is nearly -1. */
template <typename W> __device__ W twice_inner(W x) { return W(1.5957691216057308) * (x + W(0.044715) * x * x * x); }
template <typename W> __device__ W by_tanh(W x) { return sigmoid(twice_inner(x)); }
template <typename W> __device__ W gelu_slope(W x) {
    return exact(x) + x * exp(W(-0.5) * x * x) * W(0.3989422804014327);
}
template <typename W> __device__ W gelu_slope_by_tanh(W x) {
    const W cdf = by_tanh(x);
    return cdf + x * 2 * cdf * sigmoid(-twice_inner(x)) * W(0.7978845608028654) * (1 + W(3 * 0.044715) * x * x);
}
template <typename W> __device__ W softplus(W x, W beta, W threshold) {
    const W z = x * beta;
    return z > threshold ? x : ((z > 0 ? z : W(0)) + log1p(exp(-fabs(z)))) / beta;
}
template <typename W> __device__ W softplus_slope(W x, W beta, W threshold) {
    return x * beta > threshold ? W(1) : sigmoid(x * beta);
}
template <typename W> __device__ W silu_slope(W x) {
    const W s = sigmoid(x);
    return s * (1 + x * (1 - s));
}
"""


@functools.cache
def kernel(inputs, operation, name):
    """One for every element; ``w(x)`` is a number of 16 bits in 32."""
    return loader.cupy().ElementwiseKernel(inputs, "T out", f"out = {operation}", f"tinyrnn_{name}", preamble=_PREAMBLE)


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


def tanh_backward(grad, y):
    return kernel("T grad, T y", "w(grad) * (1 - w(y) * w(y))", "tanh_backward")(grad, y)


def sigmoid_forward(x):
    return kernel("T x", "sigmoid(w(x))", "sigmoid_forward")(x)


def sigmoid_backward(grad, y):
    return kernel("T grad, T y", "w(grad) * w(y) * (1 - w(y))", "sigmoid_backward")(grad, y)


def relu_forward(x):
    return kernel("T x", "w(x) <= 0 ? T(0) : x", "relu_forward")(x)


def relu_backward(grad, y):
    return kernel("T grad, T y", "w(y) <= 0 ? T(0) : grad", "relu_backward")(grad, y)


def softplus_forward(x, beta, threshold):
    operation = "softplus(w(x), decltype(w(x))(beta), decltype(w(x))(threshold))"
    return kernel("T x, float64 beta, float64 threshold", operation, "softplus_forward")(x, beta, threshold)


def softplus_backward(grad, x, beta, threshold):
    operation = "w(grad) * softplus_slope(w(x), decltype(w(x))(beta), decltype(w(x))(threshold))"
    return kernel("T grad, T x, float64 beta, float64 threshold", operation, "softplus_backward")(grad, x, beta, threshold)


def silu_forward(x):
    return kernel("T x", "w(x) * sigmoid(w(x))", "silu_forward")(x)


def silu_backward(grad, x):
    return kernel("T grad, T x", "w(grad) * silu_slope(w(x))", "silu_backward")(grad, x)


def gelu_forward(x, approximate):
    operation = "w(x) * exact(w(x))" if approximate == "none" else "w(x) * by_tanh(w(x))"
    return kernel("T x", operation, f"gelu_forward_{approximate}")(x)


def gelu_backward(grad, x, approximate):
    operation = f"w(grad) * {'gelu_slope' if approximate == 'none' else 'gelu_slope_by_tanh'}(w(x))"
    return kernel("T grad, T x", operation, f"gelu_backward_{approximate}")(grad, x)


def erf_forward(x):
    return kernel("T x", "erf(w(x))", "erf_forward")(x)
