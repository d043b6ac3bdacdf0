# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Elementwise kernels: arithmetic and the bounded activations.

Small contiguous float arrays are computed here, because for them NumPy's ufunc machinery costs more than the numbers do;
everything else goes to the reference, which is NumPy and vectorised.
"""

from libc.math cimport exp, expf, tanh, tanhf
cimport numpy as cnp

from tinyrnn.kernels import reference

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    ADD, SUB, MUL, DIV, TANH, SIGMOID, TANH_BACKWARD, SIGMOID_BACKWARD

# Up to here a call is overhead; beyond, NumPy's vectorised loops win.
cdef Py_ssize_t SMALL = 1024
cdef Py_ssize_t SMALL_TRANSCENDENTAL = 32


cdef inline bint is_plain(object x):
    """An exact, contiguous, native float32 or float64 NumPy array."""
    return (
        cnp.PyArray_CheckExact(x)
        and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x)
        and (cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_DOUBLE)
    )


cdef inline bint is_small_pair(object a, object b):
    """Two plain arrays of the same shape and type, small enough to be computed here."""
    if not (is_plain(a) and is_plain(b)):
        return False
    cdef cnp.ndarray x = <cnp.ndarray>a
    cdef cnp.ndarray y = <cnp.ndarray>b
    return (
        cnp.PyArray_TYPE(x) == cnp.PyArray_TYPE(y)
        and cnp.PyArray_SIZE(x) <= SMALL
        and cnp.PyArray_SAMESHAPE(x, y)
    )


cdef inline cnp.ndarray empty_like(cnp.ndarray x):
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)


cdef inline real tanh_(real x) noexcept nogil:
    return tanhf(x) if real is float else tanh(x)


cdef inline real sigmoid_(real x) noexcept nogil:
    return 1 / (1 + (expf(-x) if real is float else exp(-x)))


cdef inline void compute(int operation, real* a, real* b, real* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if operation == ADD:
        for i in range(n): out[i] = a[i] + b[i]
    elif operation == SUB:
        for i in range(n): out[i] = a[i] - b[i]
    elif operation == MUL:
        for i in range(n): out[i] = a[i] * b[i]
    elif operation == DIV:
        for i in range(n): out[i] = a[i] / b[i]
    elif operation == TANH:
        for i in range(n): out[i] = tanh_(a[i])
    elif operation == SIGMOID:
        for i in range(n): out[i] = sigmoid_(a[i])
    elif operation == TANH_BACKWARD:
        for i in range(n): out[i] = a[i] * (1 - b[i] * b[i])
    elif operation == SIGMOID_BACKWARD:
        for i in range(n): out[i] = a[i] * b[i] * (1 - b[i])


cdef cnp.ndarray run(int operation, cnp.ndarray a, cnp.ndarray b):
    cdef cnp.ndarray out = empty_like(a)
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        compute[float](operation, <float*>cnp.PyArray_DATA(a), <float*>cnp.PyArray_DATA(b), <float*>cnp.PyArray_DATA(out), cnp.PyArray_SIZE(a))
    else:
        compute[double](operation, <double*>cnp.PyArray_DATA(a), <double*>cnp.PyArray_DATA(b), <double*>cnp.PyArray_DATA(out), cnp.PyArray_SIZE(a))
    return out


def add_forward(a, b):
    return run(ADD, a, b) if is_small_pair(a, b) else reference.add_forward(a, b)


def sub_forward(a, b):
    return run(SUB, a, b) if is_small_pair(a, b) else reference.sub_forward(a, b)


def mul_forward(a, b):
    return run(MUL, a, b) if is_small_pair(a, b) else reference.mul_forward(a, b)


def div_forward(a, b):
    return run(DIV, a, b) if is_small_pair(a, b) else reference.div_forward(a, b)


def tanh_forward(x):
    if is_plain(x) and cnp.PyArray_SIZE(x) <= SMALL_TRANSCENDENTAL:
        return run(TANH, x, x)
    return reference.tanh_forward(x)


def tanh_backward(grad, y):
    return run(TANH_BACKWARD, grad, y) if is_small_pair(grad, y) else reference.tanh_backward(grad, y)


def sigmoid_forward(x):
    if is_plain(x) and cnp.PyArray_SIZE(x) <= SMALL_TRANSCENDENTAL:
        return run(SIGMOID, x, x)
    return reference.sigmoid_forward(x)


def sigmoid_backward(grad, y):
    return run(SIGMOID_BACKWARD, grad, y) if is_small_pair(grad, y) else reference.sigmoid_backward(grad, y)
