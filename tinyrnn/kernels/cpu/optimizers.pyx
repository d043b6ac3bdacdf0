# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Clipping and optimizer steps over all parameters in one call (cpp/optimizers.h).

Contiguous float32 and float64 arrays are computed here, everything else by the reference.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport sqrt
cimport numpy as cnp
import numpy as np

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport data, is_plain, is_wide
from tinyrnn.kernels.cpu.table cimport PARAMETER_CHUNK, AdamOptions, Parameter, SgdOptions

cnp.import_array()


cdef class Parameters:
    """The parameters for one call of a kernel: those of float32 in list 0, those of float64 in list 1."""

    cdef Parameter* of[2]
    cdef long count[2]

    def __cinit__(self, Py_ssize_t most):
        for wide in range(2):
            self.of[wide] = <Parameter*>PyMem_Malloc(max(most, 1) * sizeof(Parameter))
            if self.of[wide] == NULL:
                raise MemoryError()

    def __dealloc__(self):
        for wide in range(2):
            PyMem_Free(self.of[wide])

    cdef Parameter* add(self, object param):
        """A new entry for this array, in the list of its type."""
        cdef bint wide = is_wide(param)
        cdef Parameter* entry = &self.of[wide][self.count[wide]]
        entry.size, entry.param, entry.grad = cnp.PyArray_SIZE(<cnp.ndarray>param), data(param), NULL
        entry.state[0] = entry.state[1] = entry.state[2] = NULL
        self.count[wide] += 1
        return entry


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


cdef double sum_of_squares(Parameters parameters, bint wide):
    """Added up chunk by chunk, in the order of the parameters."""
    cdef Py_ssize_t chunks = 0, k
    cdef double total = 0
    for k in range(parameters.count[wide]):
        chunks += (parameters.of[wide][k].size + PARAMETER_CHUNK - 1) // PARAMETER_CHUNK
    cdef double* sums = <double*>PyMem_Malloc(max(chunks, 1) * sizeof(double))
    if sums == NULL:
        raise MemoryError()
    with nogil:
        kernels(wide).square_sums(parameters.of[wide], parameters.count[wide], sums, threads())
        for k in range(chunks):
            total += sums[k]
    PyMem_Free(sums)
    return total


def global_norm(arrays):
    arrays = list(arrays)
    cdef Parameters parameters = Parameters(len(arrays))
    others = []
    for each in arrays:
        if is_plain(each):
            parameters.add(each)
        else:
            others.append(each)
    cdef double total = sum_of_squares(parameters, False) + sum_of_squares(parameters, True)
    return np.array(sqrt(total + float(reference.global_norm(others)) ** 2 if others else total))


def scale_inplace(arrays, factor):
    arrays = list(arrays)
    cdef Parameters parameters = Parameters(len(arrays))
    cdef double by = factor
    for each in arrays:
        if is_plain(each) and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>each):
            parameters.add(each)
        else:
            reference.scale_inplace([each], factor)
    with nogil:
        for wide in range(2):
            kernels(wide).scale_inplace(parameters.of[wide], parameters.count[wide], by, threads())


def sgd_step(params, grads, momentum_buffers, lr, momentum, dampening, weight_decay, nesterov, maximize):
    params = list(params)
    cdef Parameters parameters = Parameters(len(params))
    cdef Parameter* entry
    cdef SgdOptions options = SgdOptions(lr, momentum, 1 - dampening, weight_decay, bool(nesterov), bool(maximize))
    for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
        buffer = None if momentum_buffers is None else momentum_buffers[index]
        if are_plain(grad, (param, buffer)):
            entry = parameters.add(param)
            entry.grad, entry.state[0] = data(grad), data(buffer)
        else:
            buffers = None if buffer is None else [buffer]
            reference.sgd_step([param], [grad], buffers, lr, momentum, dampening, weight_decay, nesterov, maximize)
    with nogil:
        for wide in range(2):
            kernels(wide).sgd_step(parameters.of[wide], parameters.count[wide], &options, threads())


def adam_step(
    params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize
):
    params = list(params)
    cdef Parameters parameters = Parameters(len(params))
    cdef Parameter* entry
    cdef AdamOptions options
    options.step_size, options.root_correction2 = lr / (1 - beta1**step), sqrt(1 - beta2**step)
    options.rest1, options.beta2, options.rest2, options.eps = 1 - beta1, beta2, 1 - beta2, eps
    options.weight_decay, options.shrink = (0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1)
    options.maximize = bool(maximize)
    states = zip(params, grads, exp_avgs, exp_avg_sqs, strict=True)
    for index, (param, grad, exp_avg, exp_avg_sq) in enumerate(states):
        largest = None if max_exp_avg_sqs is None else max_exp_avg_sqs[index]
        if are_plain(grad, (param, exp_avg, exp_avg_sq, largest)):
            entry = parameters.add(param)
            entry.grad, entry.state[0], entry.state[1], entry.state[2] = (
                data(grad), data(exp_avg), data(exp_avg_sq), data(largest)
            )
        else:
            reference.adam_step(
                [param], [grad], [exp_avg], [exp_avg_sq], None if largest is None else [largest], step,
                lr, beta1, beta2, eps, weight_decay, decoupled, maximize,
            )
    with nogil:
        for wide in range(2):
            kernels(wide).adam_step(parameters.of[wide], parameters.count[wide], &options, threads())
