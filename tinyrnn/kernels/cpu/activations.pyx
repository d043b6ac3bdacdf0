# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Activations, exp, log and erf, element by element (cpp/activations.h), of float arrays in any layout; 16 bits in 32.

The reference is for everything else.
"""

cimport numpy as cnp

import numpy as np

from tinyrnn.kernels import reference
from tinyrnn.kernels.narrow import is_narrow, native

from tinyrnn.kernels.cpu.elementwise cimport (
    are_a_pair, is_easily_made_plain, run_one, run_one_small, run_with_numbers
)
from tinyrnn.kernels.cpu.operands cimport is_number
from tinyrnn.kernels.cpu.plain cimport is_plain
from tinyrnn.kernels.cpu.table cimport (
    ELU, ELU_BACKWARD, ERF, EXP, GELU, GELU_BACKWARD, GELU_TANH, GELU_TANH_BACKWARD, LEAKY_RELU, LEAKY_RELU_BACKWARD, LOG,
    LOG_SIGMOID, LOG_SIGMOID_BACKWARD, RELU, RELU_BACKWARD, SIGMOID, SIGMOID_BACKWARD, SILU, SILU_BACKWARD, SOFTPLUS,
    SOFTPLUS_BACKWARD, TANH, TANH_BACKWARD
)

cnp.import_array()


# The shortcuts, which the compiled ops call directly: None if the arrays are not small and of one type and shape.


cpdef object small_tanh(object x):
    return run_one_small(TANH, x)


cpdef object small_tanh_backward(object grad, object y):
    if not (is_easily_made_plain(grad) and is_easily_made_plain(y)):
        return None
    first, second = plain_of(grad), plain_of(y)
    return run_with_numbers(TANH_BACKWARD, first, second, 0, 0) if are_a_pair(first, second) else None


# How the kernels of interface.py run.


cdef object plain_of(object x):
    """`x` itself or a plain copy, in 32 bits of 16; None of what holds no floats, or not NumPy's."""
    if is_plain(x):
        return x
    if not cnp.PyArray_CheckExact(x):
        return None
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    if kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE:
        return x.astype(native(x.dtype), order="C")  # always a copy: what is unaligned may be contiguous
    return x.astype(np.float32, order="C") if is_narrow(x) else None


cdef object in_dtype_of(object x, cnp.ndarray result):
    """A result in the 16 bits of `x`, if that has 16."""
    if cnp.PyArray_ITEMSIZE(<cnp.ndarray>x) != 2:
        return result
    with np.errstate(over="ignore"):  # of float16: inf, without a warning
        return result.astype(native(x.dtype))


cdef object of_one(int function, object kernel, object x):
    plain = plain_of(x)
    return kernel(x) if plain is None else in_dtype_of(x, run_one(function, plain))


cdef object of_two_and_numbers(int function, object a, object b, object p, object q):
    """None where the reference has to take over."""
    first, second = plain_of(a), plain_of(b)
    if not (are_a_pair(first, second) and is_number(p) and is_number(q)):
        return None
    return in_dtype_of(a, run_with_numbers(function, first, second, p, q))


cdef object of_two(int function, object kernel, object a, object b):
    result = of_two_and_numbers(function, a, b, 0, 0)
    return kernel(a, b) if result is None else result


# The kernels.


def exp_forward(x):
    return of_one(EXP, reference.exp_forward, x)


def log_forward(x):
    return of_one(LOG, reference.log_forward, x)


def erf_forward(x):
    return of_one(ERF, reference.erf_forward, x)


def tanh_forward(x):
    return of_one(TANH, reference.tanh_forward, x)


def tanh_backward(grad, y):
    return of_two(TANH_BACKWARD, reference.tanh_backward, grad, y)


def sigmoid_forward(x):
    return of_one(SIGMOID, reference.sigmoid_forward, x)


def sigmoid_backward(grad, y):
    return of_two(SIGMOID_BACKWARD, reference.sigmoid_backward, grad, y)


def logsigmoid_forward(x):
    return of_one(LOG_SIGMOID, reference.logsigmoid_forward, x)


def logsigmoid_backward(grad, x):
    return of_two(LOG_SIGMOID_BACKWARD, reference.logsigmoid_backward, grad, x)


def relu_forward(x):
    return of_one(RELU, reference.relu_forward, x)


def relu_backward(grad, y):
    return of_two(RELU_BACKWARD, reference.relu_backward, grad, y)


def leaky_relu_forward(x, negative_slope):
    result = of_two_and_numbers(LEAKY_RELU, x, x, negative_slope, 0)
    return reference.leaky_relu_forward(x, negative_slope) if result is None else result


def leaky_relu_backward(grad, x, negative_slope):
    result = of_two_and_numbers(LEAKY_RELU_BACKWARD, grad, x, negative_slope, 0)
    return reference.leaky_relu_backward(grad, x, negative_slope) if result is None else result


def elu_forward(x, alpha):
    result = of_two_and_numbers(ELU, x, x, alpha, 0)
    return reference.elu_forward(x, alpha) if result is None else result


def elu_backward(grad, x, alpha):
    result = of_two_and_numbers(ELU_BACKWARD, grad, x, alpha, 0)
    return reference.elu_backward(grad, x, alpha) if result is None else result


def softplus_forward(x, beta, threshold):
    result = of_two_and_numbers(SOFTPLUS, x, x, beta, threshold)
    return reference.softplus_forward(x, beta, threshold) if result is None else result


def softplus_backward(grad, x, beta, threshold):
    result = of_two_and_numbers(SOFTPLUS_BACKWARD, grad, x, beta, threshold)
    return reference.softplus_backward(grad, x, beta, threshold) if result is None else result


def silu_forward(x):
    return of_one(SILU, reference.silu_forward, x)


def silu_backward(grad, x):
    return of_two(SILU_BACKWARD, reference.silu_backward, grad, x)


def gelu_forward(x, approximate):
    plain = plain_of(x)
    if plain is None:
        return reference.gelu_forward(x, approximate)
    return in_dtype_of(x, run_one(GELU if approximate == "none" else GELU_TANH, plain))


def gelu_backward(grad, x, approximate):
    result = of_two_and_numbers(GELU_BACKWARD if approximate == "none" else GELU_TANH_BACKWARD, grad, x, 0, 0)
    return reference.gelu_backward(grad, x, approximate) if result is None else result
