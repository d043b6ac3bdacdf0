# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Elementwise kernels: arithmetic and activations of contiguous float arrays of one type and shape (cpp/elementwise.h).

Everything else goes to the reference, which is NumPy.
"""

cimport numpy as cnp

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport data, empty_like, is_plain, is_wide
from tinyrnn.kernels.cpu.table cimport (
    ADD, DIV, EXP, MUL, NEG, RELU, RELU_BACKWARD, SIGMOID, SIGMOID_BACKWARD, SILU, SILU_BACKWARD, SUB, TANH, TANH_BACKWARD
)

cnp.import_array()

# Up to here a call is overhead, and not worth giving other Python threads a turn.
cdef Py_ssize_t SMALL = 1024


cdef inline bint are_a_pair(object a, object b) noexcept:
    """Two plain arrays of the same shape and type."""
    return (
        is_plain(a)
        and is_plain(b)
        and cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.PyArray_TYPE(<cnp.ndarray>b)
        and cnp.PyArray_SAMESHAPE(<cnp.ndarray>a, <cnp.ndarray>b)
    )


cdef inline bint is_small(object x) noexcept:
    return cnp.PyArray_SIZE(<cnp.ndarray>x) <= SMALL


cdef void run_into(int function, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out) noexcept:
    cdef void* first = data(a)
    cdef void* second = data(b)
    cdef void* result = data(out)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(a)
    cdef bint wide = is_wide(a)
    if n <= SMALL:
        kernels().binary[function][wide](first, second, result, n, 1)
        return
    with nogil:
        kernels().binary[function][wide](first, second, result, n, threads())


cdef cnp.ndarray run(int function, cnp.ndarray a, cnp.ndarray b):
    cdef cnp.ndarray out = empty_like(a)
    run_into(function, a, b, out)
    return out


cdef cnp.ndarray run_one(int function, cnp.ndarray x):
    cdef cnp.ndarray out = empty_like(x)
    cdef void* argument = data(x)
    cdef void* result = data(out)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    cdef bint wide = is_wide(x)
    if n <= SMALL:
        kernels().unary[function][wide](argument, result, n, 1)
        return out
    with nogil:
        kernels().unary[function][wide](argument, result, n, threads())
    return out


# The shortcuts, which the compiled ops call directly: None if the arrays are not small and plain. Then the op goes its usual
# way, through promotion, broadcasting and dispatch.


cpdef object small_add(object a, object b):
    return run(ADD, a, b) if are_a_pair(a, b) and is_small(a) else None


cpdef bint small_add_into(object total, object x) noexcept:
    """Add `x` to `total` in place, if they are small and plain."""
    if not (are_a_pair(total, x) and is_small(x)) or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>total):
        return False
    run_into(ADD, <cnp.ndarray>total, <cnp.ndarray>x, <cnp.ndarray>total)
    return True


cpdef object small_sub(object a, object b):
    return run(SUB, a, b) if are_a_pair(a, b) and is_small(a) else None


cpdef object small_mul(object a, object b):
    return run(MUL, a, b) if are_a_pair(a, b) and is_small(a) else None


cpdef object small_div(object a, object b):
    return run(DIV, a, b) if are_a_pair(a, b) and is_small(a) else None


cpdef object small_neg(object a):
    return run_one(NEG, a) if is_plain(a) and is_small(a) else None


cpdef object small_tanh(object x):
    return run_one(TANH, x) if is_plain(x) and is_small(x) else None


cpdef object small_tanh_backward(object grad, object y):
    return run(TANH_BACKWARD, grad, y) if are_a_pair(grad, y) and is_small(y) else None


# The kernels of interface.py.


def add_forward(a, b):
    return run(ADD, a, b) if are_a_pair(a, b) else reference.add_forward(a, b)


def sub_forward(a, b):
    return run(SUB, a, b) if are_a_pair(a, b) else reference.sub_forward(a, b)


def mul_forward(a, b):
    return run(MUL, a, b) if are_a_pair(a, b) else reference.mul_forward(a, b)


def div_forward(a, b):
    return run(DIV, a, b) if are_a_pair(a, b) else reference.div_forward(a, b)


def exp_forward(x):
    return run_one(EXP, x) if is_plain(x) else reference.exp_forward(x)


def tanh_forward(x):
    return run_one(TANH, x) if is_plain(x) else reference.tanh_forward(x)


def tanh_backward(grad, y):
    return run(TANH_BACKWARD, grad, y) if are_a_pair(grad, y) else reference.tanh_backward(grad, y)


def sigmoid_forward(x):
    return run_one(SIGMOID, x) if is_plain(x) else reference.sigmoid_forward(x)


def sigmoid_backward(grad, y):
    return run(SIGMOID_BACKWARD, grad, y) if are_a_pair(grad, y) else reference.sigmoid_backward(grad, y)


def relu_forward(x):
    return run_one(RELU, x) if is_plain(x) else reference.relu_forward(x)


def relu_backward(grad, y):
    return run(RELU_BACKWARD, grad, y) if are_a_pair(grad, y) else reference.relu_backward(grad, y)


def silu_forward(x):
    return run_one(SILU, x) if is_plain(x) else reference.silu_forward(x)


def silu_backward(grad, x):
    return run(SILU_BACKWARD, grad, x) if are_a_pair(grad, x) else reference.silu_backward(grad, x)
