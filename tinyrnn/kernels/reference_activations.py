"""The reference kernels of activations, exp, log and erf, element by element."""

from __future__ import annotations

import functools
import math

import numpy as np

from tinyrnn.kernels.narrow import in_32_bits as _in_32_bits

_quiet = np.errstate(all="ignore")


@_quiet
def exp_forward(x):
    return np.exp(x)


@_quiet
@_in_32_bits
def log_forward(x):
    return np.log(x)


@_quiet
def tanh_forward(x):
    return np.tanh(x)


@_quiet
@_in_32_bits
def tanh_backward(grad, y):
    return grad * (1 - y * y)


@_quiet
@_in_32_bits
def sigmoid_forward(x):
    # exp only ever sees -|x|, so it cannot overflow
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


@_quiet
@_in_32_bits
def sigmoid_backward(grad, y):
    return grad * y * (1 - y)


@_quiet
@_in_32_bits
def logsigmoid_forward(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


@_quiet
@_in_32_bits
def logsigmoid_backward(grad, x):
    return grad * sigmoid_forward(-x)


@_quiet
def relu_forward(x):
    return np.maximum(x, 0)


@_quiet
def relu_backward(grad, y):
    return np.where(y <= 0, 0, grad)


@_quiet
@_in_32_bits
def leaky_relu_forward(x, negative_slope):
    return np.where(x > 0, x, x * negative_slope).astype(x.dtype, copy=False)


@_quiet
@_in_32_bits
def leaky_relu_backward(grad, x, negative_slope):
    return np.where(x > 0, grad, grad * negative_slope).astype(grad.dtype, copy=False)


@_quiet
@_in_32_bits
def elu_forward(x, alpha):
    return np.where(x <= 0, alpha * np.expm1(np.minimum(x, 0)), x).astype(x.dtype, copy=False)


@_quiet
@_in_32_bits
def elu_backward(grad, x, alpha):
    # the exponential never sees x > 0: inf times the 0 of the branch not taken would be NaN
    return np.where(x <= 0, grad * (alpha * np.exp(np.minimum(x, 0))), grad).astype(grad.dtype, copy=False)


@_quiet
@_in_32_bits
def softplus_forward(x, beta, threshold):
    z = x * beta
    return np.where(z > threshold, x, np.logaddexp(0, z) / beta)


@_quiet
@_in_32_bits
def softplus_backward(grad, x, beta, threshold):
    z = x * beta
    return np.where(z > threshold, grad, grad * sigmoid_forward(z))


@_quiet
@_in_32_bits
def silu_forward(x):
    return x * sigmoid_forward(x)


@_quiet
@_in_32_bits
def silu_backward(grad, x):
    s = sigmoid_forward(x)
    return grad * (s * (1 + x * (1 - s)))


@_quiet
@_in_32_bits
def gelu_forward(x, approximate):
    return x * _normal_cdf(x, approximate)


@_quiet
@_in_32_bits
def gelu_backward(grad, x, approximate):
    cdf = _normal_cdf(x, approximate)
    if approximate == "none":
        density = np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    else:  # the derivative of the sigmoid in _normal_cdf
        density = 2 * cdf * _normal_cdf(-x, approximate) * (math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x))
    return grad * (cdf + x * density)


def _normal_cdf(x, approximate):
    if approximate == "none":
        return 0.5 * (1 + erf_forward(x * math.sqrt(0.5)))
    # (1 + tanh(z / 2)) / 2 is sigmoid(z), which keeps its digits where the tanh is nearly -1
    return 1 / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


# W. J. Cody, "Rational Chebyshev approximation for the error function", Mathematics of Computation 23 (1969), 631-637;
# the coefficients, highest power first, are those of his CALERF (SPECFUN, www.netlib.org/specfun/erf).
_ERF_SMALL = (
    (
        1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
_ERFC_MIDDLE = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
_ERFC_LARGE = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1.0, 2.56852019228982242e0, 1.87295284992346047e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip


@_quiet
@_in_32_bits
def erf_forward(x):
    size = np.abs(x)
    # each formula only sees its own range; beyond 6 the result is 1 in float64
    small = x * _ratio(_ERF_SMALL, np.minimum(size, 0.46875) ** 2)
    middle = np.clip(size, 0.46875, 4.0)
    erfc_middle = np.exp(-middle * middle) * _ratio(_ERFC_MIDDLE, middle)
    large = np.clip(size, 4.0, 6.0)
    inverse = 1 / (large * large)
    erfc_large = np.exp(-large * large) / large * (1 / math.sqrt(math.pi) - inverse * _ratio(_ERFC_LARGE, inverse))
    outside = np.copysign(1 - np.where(size <= 4.0, erfc_middle, erfc_large), x)
    return np.where(np.isnan(x) | (size <= 0.46875), small, outside)


def _ratio(polynomials, x):
    """The quotient of two polynomials, by Horner's rule."""
    above, below = (functools.reduce(lambda value, c: value * x + c, p[1:], p[0]) for p in polynomials)
    return above / below
