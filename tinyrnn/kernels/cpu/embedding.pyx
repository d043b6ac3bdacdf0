# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Embedding: rows of a table by their ids, and the sums of gradients by id (cpp/embedding.h).

Contiguous float32 and float64 tables with contiguous int64 ids are computed here, everything else by the reference.
"""

from libc.stdint cimport int64_t
cimport numpy as cnp

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport SMALL, are_plain_ids, data, empty, is_plain, is_wide
from tinyrnn.kernels.cpu.table cimport EmbeddingProblem

cnp.import_array()


def extent(ids):
    if not are_plain_ids(ids) or cnp.PyArray_SIZE(<cnp.ndarray>ids) > SMALL:
        return reference.extent(ids)  # NumPy is quick with many
    cdef const int64_t* numbers = <const int64_t*>data(ids)
    cdef int64_t smallest = numbers[0], largest = numbers[0]
    cdef Py_ssize_t i
    for i in range(cnp.PyArray_SIZE(<cnp.ndarray>ids)):
        smallest = min(smallest, numbers[i])
        largest = max(largest, numbers[i])
    return smallest, largest


def embedding_forward(weight, ids):
    if not (is_plain(weight) and cnp.PyArray_NDIM(<cnp.ndarray>weight) == 2 and are_plain_ids(ids)):
        return reference.embedding_forward(weight, ids)
    cdef Py_ssize_t count = cnp.PyArray_SIZE(<cnp.ndarray>ids), width = cnp.PyArray_DIM(<cnp.ndarray>weight, 1)
    result = empty(count, width, weight)
    cdef const void* table = data(weight)
    cdef const int64_t* numbers = <const int64_t*>data(ids)
    cdef void* rows = data(result)
    cdef Py_ssize_t row_bytes = width * cnp.PyArray_ITEMSIZE(<cnp.ndarray>weight)
    with nogil:
        kernels(False).embedding_forward(table, numbers, rows, count, row_bytes, threads())
    return result.reshape(ids.shape + (width,))


cdef bint are_rows_of(cnp.ndarray grad, cnp.ndarray ids) noexcept:
    """Whether `grad` has the shape of `ids` and one dimension more."""
    cdef int ndim = cnp.PyArray_NDIM(ids)
    return cnp.PyArray_NDIM(grad) == ndim + 1 and cnp.PyArray_CompareLists(
        cnp.PyArray_DIMS(grad), cnp.PyArray_DIMS(ids), ndim
    )


def embedding_backward(grad, ids, num_embeddings, padding_idx):
    if not (is_plain(grad) and are_plain_ids(ids) and are_rows_of(grad, ids)):
        return reference.embedding_backward(grad, ids, num_embeddings, padding_idx)
    cdef EmbeddingProblem problem
    problem.count, problem.V = cnp.PyArray_SIZE(<cnp.ndarray>ids), num_embeddings
    problem.E = cnp.PyArray_DIM(<cnp.ndarray>grad, cnp.PyArray_NDIM(<cnp.ndarray>ids))
    problem.padding_idx = -1 if padding_idx is None else padding_idx
    result = empty(problem.V, problem.E, grad)
    problem.ids, problem.grad, problem.out = <const int64_t*>data(ids), data(grad), data(result)
    cdef bint wide = is_wide(grad)
    with nogil:
        kernels(wide).embedding_backward(&problem, threads())
    return result
