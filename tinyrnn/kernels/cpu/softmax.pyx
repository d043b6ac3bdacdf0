# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Softmax, log-softmax and cross-entropy, a row at a time, while it is in the cache (cpp/softmax.h).

Contiguous float32 and float64 arrays reduced over their last axis are computed here, everything else by the reference.
"""

from libc.stdint cimport int64_t
cimport numpy as cnp

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport are_plain_ids, data, empty, empty_like, is_plain, is_plain_vector, is_wide
from tinyrnn.kernels.cpu.table cimport CrossEntropyProblem, RowsProblem

cnp.import_array()

ctypedef void (*row_kernel)(const RowsProblem* problem, int threads) noexcept nogil


cdef bint are_rows(object x, object other, object axis):
    """Whether the last axis of `x` is meant, and `other` is a plain array like it."""
    if not (is_plain(x) and is_plain(other)):
        return False
    cdef cnp.ndarray a = <cnp.ndarray>x
    cdef int ndim = cnp.PyArray_NDIM(a)
    return (
        ndim > 0
        and (axis == ndim - 1 or axis == -1)
        and cnp.PyArray_TYPE(a) == cnp.PyArray_TYPE(<cnp.ndarray>other)
        and cnp.PyArray_SAMESHAPE(a, <cnp.ndarray>other)
    )


cdef cnp.ndarray by_rows(row_kernel kernel, cnp.ndarray a, cnp.ndarray b):
    """Run a kernel over the rows of `a` (and `b`)."""
    cdef cnp.ndarray out = empty_like(a)
    cdef RowsProblem problem
    problem.size = cnp.PyArray_DIM(a, cnp.PyArray_NDIM(a) - 1)
    problem.rows = cnp.PyArray_SIZE(a) // problem.size if problem.size else 0
    problem.a, problem.b, problem.out = data(a), data(b), data(out)
    with nogil:
        kernel(&problem, threads())
    return out


def softmax_forward(x, axis):
    if not are_rows(x, x, axis):
        return reference.softmax_forward(x, axis)
    return by_rows(kernels(is_wide(x)).softmax_forward, x, x)


def softmax_backward(grad, y, axis):
    if not are_rows(grad, y, axis):
        return reference.softmax_backward(grad, y, axis)
    return by_rows(kernels(is_wide(y)).softmax_backward, grad, y)


def log_softmax_forward(x, axis):
    if not are_rows(x, x, axis):
        return reference.log_softmax_forward(x, axis)
    return by_rows(kernels(is_wide(x)).log_softmax_forward, x, x)


def log_softmax_backward(grad, y, axis):
    if not are_rows(grad, y, axis):
        return reference.log_softmax_backward(grad, y, axis)
    return by_rows(kernels(is_wide(y)).log_softmax_backward, grad, y)


# ---- cross-entropy -------------------------------------------------------------------------------------------------


cdef bint are_targets(object x, object target, object weight):
    """A plain matrix, an int64 target for each row, and a weight of its type for each column (or None)."""
    if not (is_plain(x) and cnp.PyArray_NDIM(<cnp.ndarray>x) == 2 and are_plain_ids(target)):
        return False
    cdef cnp.ndarray matrix = <cnp.ndarray>x
    return cnp.PyArray_SIZE(<cnp.ndarray>target) == cnp.PyArray_DIM(matrix, 0) and is_plain_vector(
        weight, matrix, cnp.PyArray_DIM(matrix, 1)
    )


cdef CrossEntropyProblem problem_of(cnp.ndarray x, object target, object weight, object ignore_index, object smoothing):
    cdef CrossEntropyProblem problem
    problem.rows, problem.classes = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    problem.target, problem.weight = <const int64_t*>data(target), data(weight)
    problem.ignore_index, problem.smoothing = ignore_index, smoothing
    return problem


def cross_entropy_forward(x, target, weight, ignore_index, label_smoothing):
    if not are_targets(x, target, weight):
        return reference.cross_entropy_forward(x, target, weight, ignore_index, label_smoothing)
    cdef CrossEntropyProblem problem = problem_of(x, target, weight, ignore_index, label_smoothing)
    losses, y = empty(problem.rows, -1, x), empty_like(x)
    problem.x, problem.losses, problem.log_probabilities = data(x), data(losses), data(y)
    cdef bint wide = is_wide(x)
    with nogil:
        kernels(wide).cross_entropy_forward(&problem, threads())
    return losses, y


def cross_entropy_backward(grad, log_probabilities, target, weight, ignore_index, label_smoothing):
    y = log_probabilities
    if not (are_targets(y, target, weight) and grad is not None and is_plain_vector(grad, y, len(y))):
        return reference.cross_entropy_backward(grad, y, target, weight, ignore_index, label_smoothing)
    cdef CrossEntropyProblem problem = problem_of(y, target, weight, ignore_index, label_smoothing)
    result = empty_like(y)
    problem.log_probabilities, problem.grad, problem.grad_x = data(y), data(grad), data(result)
    cdef bint wide = is_wide(y)
    with nogil:
        kernels(wide).cross_entropy_backward(&problem, threads())
    return result
