# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Elementwise kernels: arithmetic and the bounded activations.

Small contiguous float arrays are computed here, because for them NumPy's ufunc machinery costs more than the numbers do;
everything else goes to the reference, which is NumPy and vectorised.
"""

from libc.math cimport tanh
cimport numpy as cnp

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.plain cimport is_plain

cdef extern from "vector_math.h" nogil:
    void tinyrnn_tanh_array(const float* x, float* y, Py_ssize_t n)
    double tinyrnn_sigmoid(double x)
    void tinyrnn_sigmoid_array(const float* x, float* y, Py_ssize_t n)

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    ADD, SUB, MUL, DIV, NEG, TANH, SIGMOID, TANH_BACKWARD, SIGMOID_BACKWARD

# Up to here a call is overhead; beyond, NumPy's vectorised loops win.
cdef Py_ssize_t SMALL = 1024
cdef Py_ssize_t SMALL_TANH = 2048  # NumPy's own float32 tanh is vectorised too
cdef Py_ssize_t SMALL_DOUBLE = 32  # the double functions of libm are not


cdef inline bint is_float(object x) noexcept:
    return cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_FLOAT


cdef inline bint is_small_pair(object a, object b) noexcept:
    """Two plain arrays of the same shape and type, small enough to be computed here."""
    return (
        is_plain(a)
        and is_plain(b)
        and cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.PyArray_TYPE(<cnp.ndarray>b)
        and cnp.PyArray_SAMESHAPE(<cnp.ndarray>a, <cnp.ndarray>b)
        and cnp.PyArray_SIZE(<cnp.ndarray>a) <= SMALL
    )


cdef inline cnp.ndarray empty_like(cnp.ndarray x):
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)


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
    elif operation == NEG:
        for i in range(n): out[i] = -a[i]
    elif operation == TANH:
        if real is float:
            tinyrnn_tanh_array(a, out, n)
        else:
            for i in range(n): out[i] = tanh(a[i])
    elif operation == SIGMOID:
        if real is float:
            tinyrnn_sigmoid_array(a, out, n)
        else:
            for i in range(n): out[i] = tinyrnn_sigmoid(a[i])
    elif operation == TANH_BACKWARD:
        for i in range(n): out[i] = a[i] * (1 - b[i] * b[i])
    elif operation == SIGMOID_BACKWARD:
        for i in range(n): out[i] = a[i] * b[i] * (1 - b[i])


cdef cnp.ndarray run(int operation, cnp.ndarray a, cnp.ndarray b):
    cdef cnp.ndarray out = empty_like(a)
    run_into(operation, a, b, out)
    return out


cdef void run_into(int operation, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out) noexcept:
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        compute[float](operation, <float*>cnp.PyArray_DATA(a), <float*>cnp.PyArray_DATA(b), <float*>cnp.PyArray_DATA(out), cnp.PyArray_SIZE(a))
    else:
        compute[double](operation, <double*>cnp.PyArray_DATA(a), <double*>cnp.PyArray_DATA(b), <double*>cnp.PyArray_DATA(out), cnp.PyArray_SIZE(a))


# The shortcuts, which the compiled ops call directly: None if the arrays are not small and plain. Then the op goes its usual
# way, through promotion, broadcasting and dispatch.


cpdef object small_add(object a, object b):
    return run(ADD, a, b) if is_small_pair(a, b) else None


cpdef bint small_add_into(object total, object x) noexcept:
    """Add `x` to `total` in place, if they are small and plain."""
    if not is_small_pair(total, x) or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>total):
        return False
    run_into(ADD, <cnp.ndarray>total, <cnp.ndarray>x, <cnp.ndarray>total)
    return True


cpdef object small_sub(object a, object b):
    return run(SUB, a, b) if is_small_pair(a, b) else None


cpdef object small_mul(object a, object b):
    return run(MUL, a, b) if is_small_pair(a, b) else None


cpdef object small_div(object a, object b):
    return run(DIV, a, b) if is_small_pair(a, b) else None


cpdef object small_neg(object a):
    return run(NEG, a, a) if is_plain(a) and cnp.PyArray_SIZE(<cnp.ndarray>a) <= SMALL else None


cpdef object small_tanh(object x):
    if not is_plain(x) or cnp.PyArray_SIZE(<cnp.ndarray>x) > (SMALL_TANH if is_float(x) else SMALL_DOUBLE):
        return None
    return run(TANH, x, x)


cpdef object small_tanh_backward(object grad, object y):
    return run(TANH_BACKWARD, grad, y) if is_small_pair(grad, y) else None


# The kernels of interface.py.


def add_forward(a, b):
    out = small_add(a, b)
    return reference.add_forward(a, b) if out is None else out


def sub_forward(a, b):
    out = small_sub(a, b)
    return reference.sub_forward(a, b) if out is None else out


def mul_forward(a, b):
    out = small_mul(a, b)
    return reference.mul_forward(a, b) if out is None else out


def div_forward(a, b):
    out = small_div(a, b)
    return reference.div_forward(a, b) if out is None else out


def tanh_forward(x):
    out = small_tanh(x)
    return reference.tanh_forward(x) if out is None else out


def tanh_backward(grad, y):
    out = small_tanh_backward(grad, y)
    return reference.tanh_backward(grad, y) if out is None else out


def sigmoid_forward(x):
    if is_plain(x) and (is_float(x) or cnp.PyArray_SIZE(<cnp.ndarray>x) <= SMALL_DOUBLE):
        return run(SIGMOID, x, x)
    return reference.sigmoid_forward(x)


def sigmoid_backward(grad, y):
    return run(SIGMOID_BACKWARD, grad, y) if is_small_pair(grad, y) else reference.sigmoid_backward(grad, y)
