# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Layer normalization, a row at a time (cpp/normalization.h).

Contiguous float32 and float64 arrays are computed here, everything else by the reference.
"""

cimport numpy as cnp

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport data, empty, empty_like, is_plain, is_plain_vector, is_wide
from tinyrnn.kernels.cpu.table cimport LAYER_NORM_PARTS, LayerNormProblem

cnp.import_array()


cdef bint are_rows(object x, object weight, object bias):
    """A plain matrix and, for each column, one number of its type in `weight` and `bias` (or None)."""
    if not (is_plain(x) and cnp.PyArray_NDIM(<cnp.ndarray>x) == 2):
        return False
    cdef Py_ssize_t size = cnp.PyArray_DIM(<cnp.ndarray>x, 1)
    return is_plain_vector(weight, x, size) and is_plain_vector(bias, x, size)


cdef LayerNormProblem problem_of(cnp.ndarray x, object weight):
    cdef LayerNormProblem problem
    problem.rows, problem.size = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    problem.x, problem.weight = data(x), data(weight)
    return problem


def layer_norm_forward(x, weight, bias, eps):
    if not are_rows(x, weight, bias):
        return reference.layer_norm_forward(x, weight, bias, eps)
    cdef LayerNormProblem problem = problem_of(x, weight)
    y, mean, rstd = empty_like(x), empty(problem.rows, 1, x), empty(problem.rows, 1, x)
    problem.bias, problem.eps = data(bias), eps
    problem.y, problem.mean, problem.rstd = data(y), data(mean), data(rstd)
    cdef bint wide = is_wide(x)
    with nogil:
        kernels(wide).layer_norm_forward(&problem, threads())
    return y, mean, rstd


def layer_norm_backward(grad, x, mean, rstd, weight):
    if not (
        are_rows(x, weight, None)
        and all([each is not None for each in (grad, mean, rstd)])
        and is_plain_vector(grad, x, x.size)
        and is_plain_vector(mean, x, len(x))
        and is_plain_vector(rstd, x, len(x))
    ):
        return reference.layer_norm_backward(grad, x, mean, rstd, weight)
    cdef LayerNormProblem problem = problem_of(x, weight)
    grad_x, parts = empty_like(x), empty(2 * LAYER_NORM_PARTS, problem.size, x)
    grad_weight, grad_bias = empty(problem.size, -1, x), empty(problem.size, -1, x)
    problem.grad, problem.mean, problem.rstd, problem.parts = data(grad), data(mean), data(rstd), data(parts)
    problem.grad_x, problem.grad_weight, problem.grad_bias = data(grad_x), data(grad_weight), data(grad_bias)
    cdef bint wide = is_wide(x)
    with nogil:
        kernels(wide).layer_norm_backward(&problem, threads())
    return grad_x, grad_weight, grad_bias
