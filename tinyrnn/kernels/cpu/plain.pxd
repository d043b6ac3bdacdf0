# What the kernels compute themselves, and where its numbers lie. There is no plain.pyx: the functions are inline.
cimport numpy as cnp


cdef inline bint is_plain(object x) noexcept:
    """An exact, contiguous, native float32 or float64 NumPy array."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    return (kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x)


cdef inline void* data(object x) noexcept:
    """The memory of an array, NULL of None."""
    return NULL if x is None else cnp.PyArray_DATA(<cnp.ndarray>x)
