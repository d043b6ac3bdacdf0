# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Dropout by a counter-based random generator (cpp/dropout.h); what is not float32 or float64 goes to the reference."""

cimport numpy as cnp
import numpy as np

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport data, empty_like, is_plain, is_wide
from tinyrnn.kernels.cpu.table cimport DropoutProblem

cnp.import_array()


cdef void run(cnp.ndarray x, bint ones, cnp.ndarray out, object p, object scale, object seed, object call):
    """Into `out`: `x`, or ones, times `scale` or 0."""
    cdef DropoutProblem problem
    problem.size, problem.x, problem.y = cnp.PyArray_SIZE(out), NULL if ones else data(x), data(out)
    problem.p, problem.scale, problem.seed, problem.call = p, scale, seed, call
    cdef bint wide = is_wide(out)
    with nogil:
        kernels(wide).dropout(&problem, threads())


def dropout_forward(x, p, seed, call):
    if type(x) is np.ndarray and not is_plain(x):  # such as a sum's gradient, which is one number, repeated
        x = x.copy()
    if not is_plain(x):
        return reference.dropout_forward(x, p, seed, call)
    out = empty_like(x)
    run(x, False, out, p, 1 / (1 - p) if p < 1 else 0, seed, call)
    return out


def dropout_backward(grad, p, seed, call):
    return dropout_forward(grad, p, seed, call)


def keep_mask(like, shape, p, scale, seed, call):
    if not is_plain(like):
        return reference.keep_mask(like, shape, p, scale, seed, call)
    out = np.empty(shape, like.dtype)
    run(out, True, out, p, scale, seed, call)
    return out
