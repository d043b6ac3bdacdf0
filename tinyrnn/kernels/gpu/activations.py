"""Activations on a GPU, one kernel each; 16-bit numbers are computed with in 32 bits."""

from __future__ import annotations

from tinyrnn.kernels.gpu import elementwise

_PREAMBLE = """
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
template <typename W> __device__ W logsigmoid(W x) { return (x < 0 ? x : W(0)) - log1p(exp(-fabs(x))); }
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


def kernel(inputs, operation, name):
    return elementwise.kernel(inputs, operation, name, _PREAMBLE)


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


def logsigmoid_forward(x):
    return kernel("T x", "logsigmoid(w(x))", "logsigmoid_forward")(x)


def logsigmoid_backward(grad, x):
    return kernel("T grad, T x", "w(grad) * sigmoid(-w(x))", "logsigmoid_backward")(grad, x)


def leaky_relu_forward(x, negative_slope):
    operation = "w(x) > 0 ? w(x) : w(x) * decltype(w(x))(slope)"
    return kernel("T x, float64 slope", operation, "leaky_relu_forward")(x, negative_slope)


def leaky_relu_backward(grad, x, negative_slope):
    operation = "w(x) > 0 ? w(grad) : w(grad) * decltype(w(x))(slope)"
    return kernel("T grad, T x, float64 slope", operation, "leaky_relu_backward")(grad, x, negative_slope)


def elu_forward(x, alpha):
    operation = "w(x) <= 0 ? decltype(w(x))(alpha) * expm1(w(x)) : w(x)"
    return kernel("T x, float64 alpha", operation, "elu_forward")(x, alpha)


def elu_backward(grad, x, alpha):
    operation = "w(x) <= 0 ? w(grad) * (decltype(w(x))(alpha) * exp(w(x))) : w(grad)"
    return kernel("T grad, T x, float64 alpha", operation, "elu_backward")(grad, x, alpha)


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
