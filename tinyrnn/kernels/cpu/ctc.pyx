# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Connectionist temporal classification, a sequence at a time (cpp/ctc.h).

float32 and float64 log-probabilities with contiguous int64 targets and lengths are computed here, everything else by the
reference.
"""

from libc.stdint cimport int64_t
cimport numpy as cnp
import numpy as np

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport are_plain_ids, data, empty, empty_like, is_plain, is_plain_vector, is_wide
from tinyrnn.kernels.cpu.table cimport CtcProblem

cnp.import_array()


cdef object contiguous(object x):
    """A copy of what lies otherwise in memory, such as a batch-first tensor that was transposed."""
    return x.copy() if type(x) is np.ndarray and not is_plain(x) else x


cdef bint is_batch(object x, object targets, object input_lengths, object target_lengths):
    """Whether x is (T, B, C), targets are (B, S) and lengths (B,), all of them plain."""
    if not (is_plain(x) and cnp.PyArray_NDIM(<cnp.ndarray>x) == 3):
        return False
    if not (are_plain_ids(targets) and are_plain_ids(input_lengths) and are_plain_ids(target_lengths)):
        return False
    cdef Py_ssize_t B = cnp.PyArray_DIM(<cnp.ndarray>x, 1)
    return (
        cnp.PyArray_NDIM(<cnp.ndarray>targets) == 2
        and cnp.PyArray_DIM(<cnp.ndarray>targets, 0) == B
        and cnp.PyArray_SIZE(<cnp.ndarray>input_lengths) == B
        and cnp.PyArray_SIZE(<cnp.ndarray>target_lengths) == B
    )


cdef CtcProblem problem_of(cnp.ndarray x, cnp.ndarray targets, object input_lengths, object target_lengths, object blank):
    cdef CtcProblem problem
    problem.T, problem.B, problem.C = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(x, 2)
    problem.S, problem.row = cnp.PyArray_DIM(targets, 1), 2 * cnp.PyArray_DIM(targets, 1) + 3
    problem.targets, problem.blank, problem.log_probs = <const int64_t*>data(targets), blank, data(x)
    problem.input_lengths = <const int64_t*>data(input_lengths)
    problem.target_lengths = <const int64_t*>data(target_lengths)
    return problem


cdef cnp.ndarray memory_for(CtcProblem* problem, Py_ssize_t rows, int count):
    """What `count` threads need to work in; to be held while they do."""
    problem.memory_each = rows * problem.row
    cdef cnp.ndarray memory = np.empty(count * problem.memory_each)
    problem.memory = <double*>data(memory)
    return memory


def ctc_forward(log_probs, targets, input_lengths, target_lengths, blank):
    x = contiguous(log_probs)
    if not is_batch(x, targets, input_lengths, target_lengths):
        return reference.ctc_forward(log_probs, targets, input_lengths, target_lengths, blank)
    cdef CtcProblem problem = problem_of(x, targets, input_lengths, target_lengths, blank)
    cdef int count = threads()
    memory = memory_for(&problem, 7, count)
    losses = empty(problem.B, -1, x)
    problem.losses = data(losses)
    cdef bint wide = is_wide(x)
    with nogil:
        kernels(wide).ctc_forward(&problem, count)
    return losses


def ctc_backward(grad, log_probs, targets, input_lengths, target_lengths, blank):
    x, g = contiguous(log_probs), contiguous(grad)
    if not (is_batch(x, targets, input_lengths, target_lengths) and g is not None and is_plain_vector(g, x, x.shape[1])):
        return reference.ctc_backward(grad, log_probs, targets, input_lengths, target_lengths, blank)
    cdef CtcProblem problem = problem_of(x, targets, input_lengths, target_lengths, blank)
    cdef int count = threads()
    memory = memory_for(&problem, problem.T + 6, count)
    result = empty_like(x)
    problem.grad, problem.grad_log_probs = data(g), data(result)
    cdef bint wide = is_wide(x)
    with nogil:
        kernels(wide).ctc_backward(&problem, count)
    return result
