# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Sums and extremes of small contiguous arrays of float32 or float64, for which NumPy's preparations take longer than its work;
and of lines of any length, the sums (cpp/sums.h) and the few best elements.

Everything else goes to the reference, which is NumPy.
"""

cimport numpy as cnp
from libc.stdint cimport int64_t

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport SMALL, data, is_plain, is_wide
from tinyrnn.kernels.cpu.table cimport SUM_PART

cnp.import_array()

cdef Py_ssize_t FEW = 64

ctypedef fused real:
    float
    double


cdef double sum_of_line(const real* x, Py_ssize_t n) noexcept:
    """In four parts, which the processor adds side by side."""
    cdef double first = 0, second = 0, third = 0, fourth = 0
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        first += x[i]
        second += x[i + 1]
        third += x[i + 2]
        fourth += x[i + 3]
        i += 4
    while i < n:
        first += x[i]
        i += 1
    return (first + second) + (third + fourth)


cdef void sum_lines(const real* x, real* out, Py_ssize_t outer, Py_ssize_t n, Py_ssize_t inner) noexcept:
    """`x` (outer, n, inner) summed over n."""
    cdef Py_ssize_t o, i, k
    cdef double total
    for o in range(outer):
        if inner == 1:
            out[o] = <real>sum_of_line(x + o * n, n)
            continue
        for i in range(inner):
            total = 0
            for k in range(n):
                total += x[(o * n + k) * inner + i]
            out[o * inner + i] = <real>total


cdef void extremes_of_lines(
    const real* x, real* out, Py_ssize_t outer, Py_ssize_t n, Py_ssize_t inner, bint largest
) noexcept:
    """The largest or smallest of each line of `x` (outer, n, inner) along n; NaN if it has one."""
    cdef Py_ssize_t o, i, k
    cdef real best, value
    for o in range(outer):
        for i in range(inner):
            best = x[o * n * inner + i]
            for k in range(1, n):
                value = x[(o * n + k) * inner + i]
                if (value > best if largest else value < best) or value != value:
                    best = value
            out[o * inner + i] = best


cdef struct Lines:
    Py_ssize_t outer, n, inner


cdef Py_ssize_t size_of(cnp.npy_intp* shape, int start, int stop) noexcept:
    cdef Py_ssize_t product = 1
    cdef int dim
    for dim in range(start, stop):
        product *= shape[dim]
    return product


cdef cnp.ndarray result_for(object x, tuple axes, Lines* lines):
    """An array for a result for each line; None if `x` is empty or not plain, or the axes are not next to each other."""
    cdef cnp.npy_intp[64] kept
    if not (is_plain(x) and cnp.PyArray_SIZE(<cnp.ndarray>x) > 0 and axes):
        return None
    cdef int first = axes[0], stop = axes[0], ndim = cnp.PyArray_NDIM(<cnp.ndarray>x), dim
    for axis in axes:
        if axis != stop:
            return None
        stop += 1
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(<cnp.ndarray>x)
    for dim in range(first):
        kept[dim] = shape[dim]
    for dim in range(stop, ndim):
        kept[first + dim - stop] = shape[dim]
    lines.outer, lines.n, lines.inner = size_of(shape, 0, first), size_of(shape, first, stop), size_of(shape, stop, ndim)
    return cnp.PyArray_EMPTY(ndim - (stop - first), kept, cnp.PyArray_TYPE(<cnp.ndarray>x), 0)


cdef void sum_long_lines(cnp.ndarray x, Lines lines, cnp.ndarray out):
    cdef cnp.npy_intp count = lines.outer * ((lines.n + SUM_PART - 1) // SUM_PART)
    memory = cnp.PyArray_EMPTY(1, &count, cnp.NPY_DOUBLE, 0)
    cdef double* parts = <double*>data(memory)
    cdef const void* numbers = data(x)
    cdef void* result = data(out)
    cdef bint wide = is_wide(x)
    with nogil:
        kernels(wide).sum_rows(numbers, result, parts, lines.outer, lines.n, threads())


cdef void sum_rows_of_matrices(cnp.ndarray x, Lines lines, cnp.ndarray out):
    cdef const char* numbers = <const char*>data(x)
    cdef char* result = <char*>data(out)
    cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(x), o
    cdef bint wide = is_wide(x)
    with nogil:
        for o in range(lines.outer):
            kernels(wide).sum_columns(
                numbers + o * lines.n * lines.inner * itemsize, result + o * lines.inner * itemsize, lines.n, lines.inner, threads()
            )


def sum_forward(x, tuple axes):
    cdef Lines lines
    out = result_for(x, axes, &lines)
    if out is None:
        return reference.sum_forward(x, axes)
    if cnp.PyArray_SIZE(<cnp.ndarray>x) > SMALL:
        if lines.inner > 1:
            sum_rows_of_matrices(<cnp.ndarray>x, lines, out)
        else:
            sum_long_lines(<cnp.ndarray>x, lines, out)
        return out
    if is_wide(x):
        sum_lines(<const double*>data(x), <double*>data(out), lines.outer, lines.n, lines.inner)
    else:
        sum_lines(<const float*>data(x), <float*>data(out), lines.outer, lines.n, lines.inner)
    return out


def extreme(x, tuple axes, bint largest):
    cdef Lines lines
    out = result_for(x, axes, &lines) if cnp.PyArray_CheckExact(x) and cnp.PyArray_SIZE(<cnp.ndarray>x) <= SMALL else None
    if out is None:
        return reference.extreme(x, axes, largest)
    if is_wide(x):
        extremes_of_lines(<const double*>data(x), <double*>data(out), lines.outer, lines.n, lines.inner, largest)
    else:
        extremes_of_lines(<const float*>data(x), <float*>data(out), lines.outer, lines.n, lines.inner, largest)
    return out


cdef inline bint comes_before(real a, real b, bint largest) noexcept:
    """Whether `a` is better than `b`; NaN counts as the largest."""
    return (a > b or (a != a and b == b)) if largest else (a < b or (a == a and b != b))


cdef void best_of_lines(const real* x, int64_t* out, Py_ssize_t lines, Py_ssize_t n, Py_ssize_t k, bint largest) noexcept:
    """The places of the `k` best elements of each line, kept in order while the line is read."""
    cdef Py_ssize_t line, i, found, place
    cdef const real* values
    cdef int64_t* best
    for line in range(lines):
        values, best = x + line * n, out + line * k
        found = 0
        for i in range(n):
            if found == k and not comes_before(values[i], values[best[k - 1]], largest):
                continue
            place = found if found < k else k - 1
            while place > 0 and comes_before(values[i], values[best[place - 1]], largest):
                best[place] = best[place - 1]
                place -= 1
            best[place] = i
            found += found < k


def topk(x, Py_ssize_t k, int axis, bint largest):
    if not (is_plain(x) and axis == cnp.PyArray_NDIM(<cnp.ndarray>x) - 1 and 0 < k <= FEW):
        return reference.topk(x, k, axis, largest)
    cdef cnp.ndarray values = <cnp.ndarray>x
    cdef Py_ssize_t n = cnp.PyArray_DIM(values, axis), lines = cnp.PyArray_SIZE(values) // n
    cdef cnp.npy_intp[64] shape
    cdef int dim
    for dim in range(axis):
        shape[dim] = cnp.PyArray_DIM(values, dim)
    shape[axis] = k
    out = cnp.PyArray_EMPTY(axis + 1, shape, cnp.NPY_INT64, 0)
    if is_wide(x):
        best_of_lines(<const double*>data(x), <int64_t*>data(out), lines, n, k, largest)
    else:
        best_of_lines(<const float*>data(x), <int64_t*>data(out), lines, n, k, largest)
    return out
