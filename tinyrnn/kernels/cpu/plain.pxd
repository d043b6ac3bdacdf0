# What the kernels compute themselves, and where its numbers lie. There is no plain.pyx: the functions are inline.
cimport numpy as cnp

# Up to so many elements a call is overhead, and not worth giving other Python threads a turn.
cdef enum:
    SMALL = 1024


cdef inline bint is_plain(object x) noexcept:
    """An exact, contiguous, native float32 or float64 NumPy array."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    return (kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x)


cdef inline bint is_plain_like(object x, cnp.ndarray other) noexcept:
    """A plain array of the type of `other`, or None."""
    return x is None or (is_plain(x) and cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.PyArray_TYPE(other))


cdef inline bint is_plain_vector(object x, cnp.ndarray other, Py_ssize_t size) noexcept:
    """A plain array of `size` elements of the type of `other`, or None."""
    return is_plain_like(x, other) and (x is None or cnp.PyArray_SIZE(<cnp.ndarray>x) == size)


cdef inline bint are_plain_ids(object x) noexcept:
    """An exact, contiguous, native int64 NumPy array."""
    return (
        cnp.PyArray_CheckExact(x)
        and cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_INT64
        and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x)
    )


cdef inline bint is_wide(object x) noexcept:
    """0 of float32 and 1 of float64: the place of a plain array's kernel in the table."""
    return cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_DOUBLE


cdef inline void* data(object x) noexcept:
    """The memory of an array, NULL of None."""
    return NULL if x is None else cnp.PyArray_DATA(<cnp.ndarray>x)


cdef inline cnp.ndarray empty_like(cnp.ndarray x):
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)


cdef inline cnp.ndarray empty(Py_ssize_t rows, Py_ssize_t columns, cnp.ndarray x):
    """A new matrix of the type of `x`; with -1 columns, a vector."""
    cdef cnp.npy_intp[2] shape = [rows, columns]
    return cnp.PyArray_EMPTY(1 if columns < 0 else 2, shape, cnp.PyArray_TYPE(x), 0)
