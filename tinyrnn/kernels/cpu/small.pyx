# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A shortcut for small arrays, for which NumPy's ufunc machinery costs more than the numbers do.

Each function takes exact, contiguous, small float32 or float64 arrays (two of the same shape and type), and returns None
for anything else: then the ops go the usual way, through promotion, broadcasting and dispatch.
"""

from libc.math cimport tanh, tanhf
cimport numpy as cnp

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum Operation:
    ADD, SUB, MUL, DIV, NEG, TANH, TANH_BACKWARD

cdef Py_ssize_t LIMIT = 1024  # elements; beyond, NumPy's vectorised loops win
cdef Py_ssize_t LIMIT_TANH = 64


cdef inline bint is_plain(object x) noexcept:
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    return (kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x)


cdef inline bint is_small_pair(object a, object b) noexcept:
    return (
        is_plain(a)
        and is_plain(b)
        and cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.PyArray_TYPE(<cnp.ndarray>b)
        and cnp.PyArray_SAMESHAPE(<cnp.ndarray>a, <cnp.ndarray>b)
        and cnp.PyArray_SIZE(<cnp.ndarray>a) <= LIMIT
    )


cdef inline void compute(Operation operation, real* a, real* b, real* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if operation == ADD:
        for i in range(n):
            out[i] = a[i] + b[i]
    elif operation == SUB:
        for i in range(n):
            out[i] = a[i] - b[i]
    elif operation == MUL:
        for i in range(n):
            out[i] = a[i] * b[i]
    elif operation == DIV:
        for i in range(n):
            out[i] = a[i] / b[i]
    elif operation == NEG:
        for i in range(n):
            out[i] = -a[i]
    elif operation == TANH:
        for i in range(n):
            out[i] = tanhf(a[i]) if real is float else tanh(a[i])
    elif operation == TANH_BACKWARD:
        for i in range(n):
            out[i] = a[i] * (1 - b[i] * b[i])


cdef cnp.ndarray run(Operation operation, cnp.ndarray a, cnp.ndarray b):
    cdef cnp.ndarray out = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a), 0)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(a)
    cdef void* x = cnp.PyArray_DATA(a)
    cdef void* y = cnp.PyArray_DATA(b)
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        compute[float](operation, <float*>x, <float*>y, <float*>cnp.PyArray_DATA(out), n)
    else:
        compute[double](operation, <double*>x, <double*>y, <double*>cnp.PyArray_DATA(out), n)
    return out


cpdef object small_add(object a, object b):
    return run(ADD, a, b) if is_small_pair(a, b) else None


cpdef object small_sub(object a, object b):
    return run(SUB, a, b) if is_small_pair(a, b) else None


cpdef object small_mul(object a, object b):
    return run(MUL, a, b) if is_small_pair(a, b) else None


cpdef object small_div(object a, object b):
    return run(DIV, a, b) if is_small_pair(a, b) else None


cpdef object small_neg(object a):
    return run(NEG, a, a) if is_plain(a) and cnp.PyArray_SIZE(<cnp.ndarray>a) <= LIMIT else None


cpdef object small_tanh(object a):
    return run(TANH, a, a) if is_plain(a) and cnp.PyArray_SIZE(<cnp.ndarray>a) <= LIMIT_TANH else None


cpdef object small_tanh_backward(object grad, object y):
    return run(TANH_BACKWARD, grad, y) if is_small_pair(grad, y) else None
