# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Clipping and optimizer steps: one pass over every parameter, where NumPy would take one per operation of the formula.

Contiguous float32 and float64 arrays are computed here, everything else by the reference.
"""

from libc.math cimport sqrt, sqrtf
cimport numpy as cnp
import numpy as np

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.plain cimport data, is_plain

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    LANES = 8  # independent partial sums, so that the compiler can add in vectors


cdef bint are_plain(object grad, tuple written):
    """Whether all are plain arrays of one type and shape, and those that will be written allow it; None is left out."""
    if not is_plain(grad):
        return False
    for each in written:
        if each is None:
            continue
        if not is_plain(each) or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>each):
            return False
        if cnp.PyArray_TYPE(<cnp.ndarray>each) != cnp.PyArray_TYPE(<cnp.ndarray>grad):
            return False
        if not cnp.PyArray_SAMESHAPE(<cnp.ndarray>each, <cnp.ndarray>grad):
            return False
    return True


cdef inline real root(real x) noexcept nogil:
    return sqrtf(x) if real is float else sqrt(x)


cdef double sum_of_squares(real* x, Py_ssize_t n) noexcept nogil:
    cdef double[LANES] sums
    cdef Py_ssize_t i, lane
    cdef double total = 0
    for lane in range(LANES):
        sums[lane] = 0
    for i in range(n // LANES):
        for lane in range(LANES):
            sums[lane] += <double>x[i * LANES + lane] * <double>x[i * LANES + lane]
    for i in range(n - n % LANES, n):
        total += <double>x[i] * <double>x[i]
    for lane in range(LANES):
        total += sums[lane]
    return total


cdef void multiply(real* x, Py_ssize_t n, real factor) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] *= factor


cdef void sgd(
    real* param, const real* grad, real* buffer, Py_ssize_t n, real lr, real momentum, real undamped, bint nesterov,
    real weight_decay, real sign,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real g
    for i in range(n):
        g = sign * grad[i]
        if weight_decay != 0:
            g += weight_decay * param[i]
        if buffer != NULL:
            buffer[i] = momentum * buffer[i] + undamped * g
            g = g + momentum * buffer[i] if nesterov else buffer[i]
        param[i] -= lr * g


cdef void adam(
    real* param, const real* grad, real* exp_avg, real* exp_avg_sq, real* max_exp_avg_sq, Py_ssize_t n, real step_size,
    real rest1, real beta2, real rest2, real root_correction2, real eps, real weight_decay, real shrink, real sign,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real g, second
    for i in range(n):
        g = sign * grad[i]
        if weight_decay != 0:
            g += weight_decay * param[i]
        exp_avg[i] += rest1 * (g - exp_avg[i])
        exp_avg_sq[i] = beta2 * exp_avg_sq[i] + rest2 * g * g
        second = exp_avg_sq[i]
        if max_exp_avg_sq != NULL:
            if not (second <= max_exp_avg_sq[i]):  # a NaN goes through
                max_exp_avg_sq[i] = second
            second = max_exp_avg_sq[i]
        param[i] = shrink * param[i] - step_size * exp_avg[i] / (root(second) / root_correction2 + eps)


def global_norm(arrays):
    cdef double total = 0, norm
    cdef cnp.ndarray x
    for each in arrays:
        if is_plain(each):
            x = each
            if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
                total += sum_of_squares[float](<float*>cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x))
            else:
                total += sum_of_squares[double](<double*>cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x))
        else:
            norm = reference.global_norm([each])
            total += norm * norm
    return np.array(sqrt(total))


def scale_inplace(arrays, factor):
    cdef double by = factor
    cdef cnp.ndarray x
    for each in arrays:
        if not (is_plain(each) and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>each)):
            reference.scale_inplace([each], factor)
            continue
        x = each
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
            multiply[float](<float*>cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x), <float>by)
        else:
            multiply[double](<double*>cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x), by)


def sgd_step(params, grads, momentum_buffers, lr, momentum, dampening, weight_decay, nesterov, maximize):
    cdef Py_ssize_t index, n
    cdef bint look_ahead = nesterov
    cdef double rate = lr, carried = momentum, undamped = 1 - dampening, decay = weight_decay, sign = -1 if maximize else 1
    cdef void* p
    cdef void* g
    cdef void* b
    for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
        buffer = None if momentum_buffers is None else momentum_buffers[index]
        if not are_plain(grad, (param, buffer)):
            buffers = None if buffer is None else [buffer]
            reference.sgd_step([param], [grad], buffers, lr, momentum, dampening, weight_decay, nesterov, maximize)
            continue
        n = cnp.PyArray_SIZE(<cnp.ndarray>param)
        p = data(param)
        g = data(grad)
        b = data(buffer)
        if cnp.PyArray_TYPE(<cnp.ndarray>param) == cnp.NPY_FLOAT:
            sgd[float](<float*>p, <float*>g, <float*>b, n, rate, carried, undamped, look_ahead, decay, sign)
        else:
            sgd[double](<double*>p, <double*>g, <double*>b, n, rate, carried, undamped, look_ahead, decay, sign)


def adam_step(
    params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize
):
    cdef Py_ssize_t index, n
    cdef double rest1 = 1 - beta1, second = beta2, rest2 = 1 - beta2, tiny = eps, sign = -1 if maximize else 1
    cdef double decay = 0 if decoupled else weight_decay, shrink = 1 - lr * weight_decay if decoupled else 1
    cdef double step_size = lr / (1 - beta1**step), root_correction2 = sqrt(1 - beta2**step)
    cdef void* p
    cdef void* g
    cdef void* m
    cdef void* v
    cdef void* top
    states = zip(params, grads, exp_avgs, exp_avg_sqs, strict=True)
    for index, (param, grad, exp_avg, exp_avg_sq) in enumerate(states):
        maximum = None if max_exp_avg_sqs is None else max_exp_avg_sqs[index]
        if not are_plain(grad, (param, exp_avg, exp_avg_sq, maximum)):
            reference.adam_step(
                [param], [grad], [exp_avg], [exp_avg_sq], None if maximum is None else [maximum], step,
                lr, beta1, beta2, eps, weight_decay, decoupled, maximize,
            )
            continue
        n = cnp.PyArray_SIZE(<cnp.ndarray>param)
        p = data(param)
        g = data(grad)
        m = data(exp_avg)
        v = data(exp_avg_sq)
        top = data(maximum)
        if cnp.PyArray_TYPE(<cnp.ndarray>param) == cnp.NPY_FLOAT:
            adam[float](
                <float*>p, <float*>g, <float*>m, <float*>v, <float*>top, n,
                step_size, rest1, second, rest2, root_correction2, tiny, decay, shrink, sign,
            )
        else:
            adam[double](
                <double*>p, <double*>g, <double*>m, <double*>v, <double*>top, n,
                step_size, rest1, second, rest2, root_correction2, tiny, decay, shrink, sign,
            )
