# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Softmax, log-softmax and cross-entropy: a row at a time, while it is in the cache.

Contiguous float32 and float64 arrays reduced over their last axis are computed here, everything else by the reference. A row
is summed by one loop in one order, in double precision.
"""

from libc.math cimport INFINITY, exp, expf, log
cimport numpy as cnp

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.plain cimport data, is_plain

cnp.import_array()

ctypedef fused real:
    float
    double

ctypedef void (*row_kernel)(void* a, void* b, void* out, Py_ssize_t rows, Py_ssize_t size) noexcept nogil


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


cdef inline real exponential(real x) noexcept nogil:
    return expf(x) if real is float else exp(x)


cdef inline real largest(real* x, Py_ssize_t size) noexcept nogil:
    """The largest element; NaN if there is one."""
    cdef real top = -INFINITY
    cdef Py_ssize_t i
    for i in range(size):
        if x[i] > top or x[i] != x[i]:
            top = x[i]
    return top


cdef void softmax_rows(real* x, real* unused, real* y, Py_ssize_t rows, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t r, i
    cdef real top, scale
    cdef double total
    for r in range(rows):
        top = largest(x, size)
        total = 0
        for i in range(size):
            y[i] = exponential(x[i] - top)
            total += y[i]
        scale = <real>(1 / total)
        for i in range(size):
            y[i] *= scale
        x += size
        y += size


cdef void softmax_backward_rows(real* grad, real* y, real* out, Py_ssize_t rows, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t r, i
    cdef double total
    for r in range(rows):
        total = 0
        for i in range(size):
            total += <double>grad[i] * y[i]
        for i in range(size):
            out[i] = y[i] * (grad[i] - <real>total)
        grad += size
        y += size
        out += size


cdef void log_softmax_rows(real* x, real* unused, real* y, Py_ssize_t rows, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t r, i
    cdef real top
    cdef double total
    for r in range(rows):
        top = largest(x, size)
        total = 0
        for i in range(size):
            y[i] = x[i] - top
            total += exponential(y[i])
        total = log(total)
        for i in range(size):
            y[i] -= <real>total
        x += size
        y += size


cdef void log_softmax_backward_rows(real* grad, real* y, real* out, Py_ssize_t rows, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t r, i
    cdef double total
    for r in range(rows):
        total = 0
        for i in range(size):
            total += grad[i]
        for i in range(size):
            out[i] = grad[i] - exponential(y[i]) * <real>total
        grad += size
        y += size
        out += size


cdef cnp.ndarray by_rows(row_kernel single, row_kernel wide, cnp.ndarray a, cnp.ndarray b):
    """Run the float32 or the float64 form of a kernel over the rows of `a` (and `b`)."""
    cdef int ndim = cnp.PyArray_NDIM(a)
    cdef cnp.ndarray out = cnp.PyArray_EMPTY(ndim, cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a), 0)
    cdef Py_ssize_t size = cnp.PyArray_DIM(a, ndim - 1)
    cdef Py_ssize_t rows = cnp.PyArray_SIZE(a) // size if size else 0
    cdef void* x = cnp.PyArray_DATA(a)
    cdef void* y = cnp.PyArray_DATA(b)
    cdef void* result = cnp.PyArray_DATA(out)
    cdef row_kernel kernel = single if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT else wide
    with nogil:
        kernel(x, y, result, rows, size)
    return out


def softmax_forward(x, axis):
    if not are_rows(x, x, axis):
        return reference.softmax_forward(x, axis)
    return by_rows(<row_kernel>softmax_rows[float], <row_kernel>softmax_rows[double], x, x)


def softmax_backward(grad, y, axis):
    if not are_rows(grad, y, axis):
        return reference.softmax_backward(grad, y, axis)
    return by_rows(<row_kernel>softmax_backward_rows[float], <row_kernel>softmax_backward_rows[double], grad, y)


def log_softmax_forward(x, axis):
    if not are_rows(x, x, axis):
        return reference.log_softmax_forward(x, axis)
    return by_rows(<row_kernel>log_softmax_rows[float], <row_kernel>log_softmax_rows[double], x, x)


def log_softmax_backward(grad, y, axis):
    if not are_rows(grad, y, axis):
        return reference.log_softmax_backward(grad, y, axis)
    return by_rows(<row_kernel>log_softmax_backward_rows[float], <row_kernel>log_softmax_backward_rows[double], grad, y)


# ---- cross-entropy -------------------------------------------------------------------------------------------------


cdef struct Options:
    Py_ssize_t rows
    Py_ssize_t size
    cnp.int64_t ignore_index
    double smoothing


cdef bint are_targets(object x, object target, object weight):
    """A plain matrix, an int64 target for each row, and a weight of its type for each column (or None)."""
    if not (is_plain(x) and cnp.PyArray_NDIM(<cnp.ndarray>x) == 2 and cnp.PyArray_CheckExact(target)):
        return False
    if not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>target) or cnp.PyArray_TYPE(<cnp.ndarray>target) != cnp.NPY_INT64:
        return False
    if weight is None:
        return True
    return is_plain(weight) and cnp.PyArray_TYPE(<cnp.ndarray>weight) == cnp.PyArray_TYPE(<cnp.ndarray>x)


cdef Options options_of(cnp.ndarray x, object ignore_index, object label_smoothing):
    return Options(cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), ignore_index, label_smoothing)


cdef void losses_of_rows(real* y, cnp.int64_t* target, real* weight, real* losses, Options options) noexcept nogil:
    cdef Py_ssize_t r, i
    cdef double everywhere, loss
    for r in range(options.rows):
        losses[r] = 0
        if target[r] != options.ignore_index:
            loss = -y[target[r]]
            if weight != NULL:
                loss *= weight[target[r]]
            if options.smoothing != 0:
                everywhere = 0
                for i in range(options.size):
                    everywhere += y[i] if weight == NULL else <double>y[i] * weight[i]
                loss = (1 - options.smoothing) * loss - options.smoothing / options.size * everywhere
            losses[r] = <real>loss
        y += options.size


cdef void gradients_of_rows(
    real* grad, real* y, cnp.int64_t* target, real* weight, real* out, Options options
) noexcept nogil:
    cdef Py_ssize_t r, i
    cdef double share = options.smoothing / options.size
    cdef double aim, total = 0  # what the rows' log-probabilities count for: at the target, and all together
    cdef real slope
    for i in range(options.size):
        total += share if weight == NULL else share * weight[i]
    for r in range(options.rows):
        if target[r] == options.ignore_index:
            for i in range(options.size):
                out[i] = 0
        else:
            aim = (1 - options.smoothing) * (1 if weight == NULL else weight[target[r]])
            slope = <real>(grad[r] * (total + aim))
            for i in range(options.size):
                out[i] = slope * exponential(y[i])
            if share != 0:
                for i in range(options.size):
                    out[i] -= <real>(grad[r] * share) * (1 if weight == NULL else weight[i])
            out[target[r]] -= <real>(grad[r] * aim)
        y += options.size
        out += options.size


def cross_entropy_forward(x, target, weight, ignore_index, label_smoothing):
    if not are_targets(x, target, weight):
        return reference.cross_entropy_forward(x, target, weight, ignore_index, label_smoothing)
    y = log_softmax_forward(x, 1)
    cdef Options options = options_of(x, ignore_index, label_smoothing)
    cdef cnp.npy_intp rows = options.rows
    losses = cnp.PyArray_EMPTY(1, &rows, cnp.PyArray_TYPE(<cnp.ndarray>x), 0)
    cdef void* a = data(y)
    cdef cnp.int64_t* goal = <cnp.int64_t*>data(target)
    cdef void* w = data(weight)
    cdef void* out = data(losses)
    if cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_FLOAT:
        with nogil:
            losses_of_rows[float](<float*>a, goal, <float*>w, <float*>out, options)
    else:
        with nogil:
            losses_of_rows[double](<double*>a, goal, <double*>w, <double*>out, options)
    return losses, y


def cross_entropy_backward(grad, log_probabilities, target, weight, ignore_index, label_smoothing):
    y = log_probabilities
    if not (
        are_targets(y, target, weight)
        and is_plain(grad)
        and cnp.PyArray_TYPE(<cnp.ndarray>grad) == cnp.PyArray_TYPE(<cnp.ndarray>y)
    ):
        return reference.cross_entropy_backward(grad, y, target, weight, ignore_index, label_smoothing)
    cdef cnp.ndarray like = y
    result = cnp.PyArray_EMPTY(2, cnp.PyArray_DIMS(like), cnp.PyArray_TYPE(like), 0)
    cdef Options options = options_of(like, ignore_index, label_smoothing)
    cdef void* g = data(grad)
    cdef void* a = data(y)
    cdef cnp.int64_t* goal = <cnp.int64_t*>data(target)
    cdef void* w = data(weight)
    cdef void* out = data(result)
    if cnp.PyArray_TYPE(like) == cnp.NPY_FLOAT:
        with nogil:
            gradients_of_rows[float](<float*>g, <float*>a, goal, <float*>w, <float*>out, options)
    else:
        with nogil:
            gradients_of_rows[double](<double*>g, <double*>a, goal, <double*>w, <double*>out, options)
    return result
