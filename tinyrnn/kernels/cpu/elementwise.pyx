# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Elementwise kernels: arithmetic of float arrays of one type and shape, or of one and a number (cpp/elementwise.h).

Large arrays have to be contiguous, or in arithmetic that makes new ones rows a fixed distance apart, which broadcasting and
cutting leave. Everything else goes to the reference, which is NumPy.
"""

cimport numpy as cnp
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

import numpy as np

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.operands cimport Number, is_floats, is_number, number_for, rows_of
from tinyrnn.kernels.cpu.plain cimport SMALL, data, empty_like, is_plain, is_wide
from tinyrnn.kernels.cpu.table cimport ADD, ADD_SCALED, CLAMP, DIV, LERP, MUL, NEG, SUB, Operand

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(PyTypeObject*, cnp.dtype, int, cnp.npy_intp*, cnp.npy_intp*, void*, int, PyObject*)

cnp.import_array()


cdef bint are_a_pair(object a, object b) noexcept:
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
    cdef Py_ssize_t n = cnp.PyArray_SIZE(out)
    cdef Operand first = [data(a), n, 1], second = [data(b), n, 1]
    run_operands(function, &first, &second, out, n)


cdef void run_operands(int function, const Operand* a, const Operand* b, cnp.ndarray out, Py_ssize_t n) noexcept:
    """For rows of n elements."""
    cdef void* result = data(out)
    cdef Py_ssize_t size = cnp.PyArray_SIZE(out), rows = size // n if n else 0
    cdef bint wide = is_wide(out)
    if size <= SMALL:
        kernels(wide).arithmetic[function](a, b, result, rows, n, 1)
        return
    with nogil:
        kernels(wide).arithmetic[function](a, b, result, rows, n, threads())


cdef cnp.ndarray run_with_number(int function, cnp.ndarray x, double number, bint number_first, cnp.ndarray out):
    """`out` with function(x, number), or function(number, x) if the number is first."""
    cdef Number memory
    cdef Py_ssize_t n = cnp.PyArray_SIZE(out)
    cdef Operand array = [data(x), n, 1], single = number_for(x, number, &memory)
    if number_first:
        run_operands(function, &single, &array, out, n)
    else:
        run_operands(function, &array, &single, out, n)
    return out


cdef cnp.ndarray run_with_numbers(int function, cnp.ndarray a, cnp.ndarray b, double p, double q):
    cdef cnp.ndarray out = empty_like(a)
    run_with_numbers_into(function, a, b, p, q, out)
    return out


cdef void run_with_numbers_into(int function, cnp.ndarray a, cnp.ndarray b, double p, double q, cnp.ndarray out):
    cdef const void* first = data(a)
    cdef const void* second = data(b)
    cdef void* result = data(out)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(out)
    cdef bint wide = is_wide(out)
    if n <= SMALL:
        kernels(wide).elementwise[function](first, second, p, q, result, n, 1)
        return
    with nogil:
        kernels(wide).elementwise[function](first, second, p, q, result, n, threads())


cdef bint is_easily_made_plain(object x) noexcept:
    return is_floats(x) and is_small(x)


cdef object run_small(int function, object a, object b):
    """The result for two small arrays of one shape and type in any layout, or for one and a number; None if they are not."""
    if is_easily_made_plain(a):
        if is_easily_made_plain(b):
            if not (cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.PyArray_TYPE(<cnp.ndarray>b)
                    and cnp.PyArray_SAMESHAPE(<cnp.ndarray>a, <cnp.ndarray>b)):
                return None
            return run(function, cnp.PyArray_GETCONTIGUOUS(<cnp.ndarray>a), cnp.PyArray_GETCONTIGUOUS(<cnp.ndarray>b))
        if is_number(b):
            x = cnp.PyArray_GETCONTIGUOUS(<cnp.ndarray>a)
            return run_with_number(function, x, b, False, empty_like(x))
    elif is_number(a) and is_easily_made_plain(b):
        x = cnp.PyArray_GETCONTIGUOUS(<cnp.ndarray>b)
        return run_with_number(function, x, a, True, empty_like(x))
    return None


cdef inline bint fits_any_rows(cnp.ndarray x, Py_ssize_t n) noexcept:
    """Whether it is one row, which may be cut into others."""
    return n == cnp.PyArray_SIZE(x)


cdef object run_rows(int function, object a, object b):
    """The result for two arrays of one shape and type that are rows of the same length, some repeated; None if they are not."""
    cdef Operand first, second
    if not (is_floats(a) and is_floats(b) and cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.PyArray_TYPE(<cnp.ndarray>b)
            and cnp.PyArray_SAMESHAPE(<cnp.ndarray>a, <cnp.ndarray>b)):
        return None
    cdef Py_ssize_t n = rows_of(<cnp.ndarray>a, &first), m = rows_of(<cnp.ndarray>b, &second)
    if fits_any_rows(<cnp.ndarray>a, n):
        n = m
        first.row = n * first.step
    elif fits_any_rows(<cnp.ndarray>b, m):
        m = n
        second.row = m * second.step
    if n == 0 or n != m:
        return None
    out = empty_like(<cnp.ndarray>a)
    run_operands(function, &first, &second, out, n)
    return out


cdef object run_rows_with_number(int function, cnp.ndarray x, double number, bint number_first):
    """The same for an array of rows and a number."""
    cdef Number memory
    cdef Operand array, single = number_for(x, number, &memory)
    cdef Py_ssize_t n = rows_of(x, &array)
    if n == 0:
        return None
    out = empty_like(x)
    if number_first:
        run_operands(function, &single, &array, out, n)
    else:
        run_operands(function, &array, &single, out, n)
    return out


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
        kernels(wide).unary[function](argument, result, n, 1)
        return out
    with nogil:
        kernels(wide).unary[function](argument, result, n, threads())
    return out


cdef object run_one_small(int function, object x):
    return run_one(function, cnp.PyArray_GETCONTIGUOUS(<cnp.ndarray>x)) if is_easily_made_plain(x) else None


# The shortcuts, which the compiled ops call directly: None if the arrays are not small and of one type and shape. Then the op
# goes its usual way, through promotion, broadcasting and dispatch.


cpdef object small_add(object a, object b):
    return run_small(ADD, a, b)


cpdef bint small_add_into(object total, object x) noexcept:
    """Add `x` to `total` in place, if they are small and plain."""
    if not (are_a_pair(total, x) and is_small(x)) or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>total):
        return False
    run_into(ADD, <cnp.ndarray>total, <cnp.ndarray>x, <cnp.ndarray>total)
    return True


cpdef object small_sub(object a, object b):
    return run_small(SUB, a, b)


cpdef object small_mul(object a, object b):
    return run_small(MUL, a, b)


cpdef object small_div(object a, object b):
    return run_small(DIV, a, b)


cpdef object small_neg(object a):
    return run_one_small(NEG, a)


cpdef object stretched(cnp.ndarray x, tuple shape):
    """numpy.broadcast_to, which is slow: a view that is not written to."""
    cdef cnp.npy_intp[64] sizes, strides
    cdef int ndim = len(shape), added = ndim - cnp.PyArray_NDIM(x), dim
    cdef bint fits = 0 <= added and ndim <= 64, repeated
    for dim in range(ndim if fits else 0):
        sizes[dim] = shape[dim]
        repeated = dim < added or (cnp.PyArray_DIM(x, dim - added) == 1 and sizes[dim] != 1)
        strides[dim] = 0 if repeated else cnp.PyArray_STRIDE(x, dim - added)
        fits = fits and (repeated or cnp.PyArray_DIM(x, dim - added) == sizes[dim])
    if not fits:  # from a view of what has another shape by now
        raise ValueError(f"an array of shape {(<object>x).shape} cannot be broadcast to {shape}")
    cdef cnp.dtype dtype = x.descr
    Py_INCREF(dtype)  # the new array takes this reference over
    view = PyArray_NewFromDescr(
        <PyTypeObject*>cnp.ndarray, dtype, ndim, sizes, strides, cnp.PyArray_DATA(x), 0, NULL
    )
    cnp.set_array_base(view, x)
    return view


# The kernels of interface.py.


cdef object elsewhere(int function, object kernel, object a, object b):
    """What is no pair: one may be a number, or repeated rows; small arrays are made plain; the others go to the reference."""
    if is_floats(a) and is_number(b):
        result = run_rows_with_number(function, <cnp.ndarray>a, b, False)
    elif is_number(a) and is_floats(b):
        result = run_rows_with_number(function, <cnp.ndarray>b, a, True)
    else:
        result = run_rows(function, a, b)
    if result is None:
        result = run_small(function, a, b)
    return kernel(a, b) if result is None else result


def add_forward(a, b):
    return run(ADD, a, b) if are_a_pair(a, b) else elsewhere(ADD, reference.add_forward, a, b)


def sub_forward(a, b):
    return run(SUB, a, b) if are_a_pair(a, b) else elsewhere(SUB, reference.sub_forward, a, b)


def mul_forward(a, b):
    return run(MUL, a, b) if are_a_pair(a, b) else elsewhere(MUL, reference.mul_forward, a, b)


def div_forward(a, b):
    return run(DIV, a, b) if are_a_pair(a, b) else elsewhere(DIV, reference.div_forward, a, b)


def pow_forward(a, b):
    """Powers that are products are computed as such: NumPy's take logarithms."""
    if not (is_floats(a) and is_number(b)):
        return reference.pow_forward(a, b)
    if b == 2:
        return mul_forward(a, a)
    if b == 3:
        out = mul_forward(a, a)
        mul_into(out, a)
        return out
    if b == -1:
        return div_forward(1.0, a)
    return reference.pow_forward(a, b)


def add_scaled_forward(a, b, alpha):
    return run_with_numbers(ADD_SCALED, a, b, alpha, 0) if are_a_pair(a, b) else reference.add_scaled_forward(a, b, alpha)


def lerp_forward(a, b, weight):
    return run_with_numbers(LERP, a, b, weight, 0) if are_a_pair(a, b) else reference.lerp_forward(a, b, weight)


def clamp_forward(x, low, high):
    if not is_plain(x) or not are_bounds(low, high):
        return reference.clamp_forward(x, low, high)
    return run_with_numbers(CLAMP, x, x, least(low), most(high))


def where_forward(mask, a, b, dtype):
    cdef Operand first, second
    cdef Number[2] memory
    cdef cnp.dtype wanted = dtype
    if not (is_plain_mask(mask) and (wanted.type_num == cnp.NPY_FLOAT or wanted.type_num == cnp.NPY_DOUBLE) and wanted.isnative):
        return reference.where_forward(mask, a, b, dtype)
    cdef cnp.ndarray like = <cnp.ndarray>mask
    cdef cnp.ndarray out = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(like), cnp.PyArray_DIMS(like), wanted.type_num, 0)
    if not (choose_from(a, out, &first, &memory[0]) and choose_from(b, out, &second, &memory[1])):
        return reference.where_forward(mask, a, b, dtype)
    cdef const uint8_t* chosen = <const uint8_t*>data(mask)
    cdef void* result = data(out)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(out)
    cdef bint wide = is_wide(out)
    if n <= SMALL:
        kernels(wide).where(chosen, &first, &second, result, n, 1)
        return out
    with nogil:
        kernels(wide).where(chosen, &first, &second, result, n, threads())
    return out


cdef inline bint is_plain_mask(object x) noexcept:
    return (
        cnp.PyArray_CheckExact(x)
        and cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_BOOL
        and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>x)
        and cnp.PyArray_SIZE(<cnp.ndarray>x) > 0
    )


cdef bint choose_from(object x, cnp.ndarray out, Operand* operand, Number* memory):
    """See `x` as an operand: a plain array like `out`, or one number."""
    if is_plain(x) and cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.PyArray_TYPE(out):
        operand[0] = Operand(data(x), 0, cnp.PyArray_NDIM(<cnp.ndarray>x) > 0)
        return operand.step == 0 or cnp.PyArray_SAMESHAPE(<cnp.ndarray>x, out)
    if not (is_number(x) or isinstance(x, np.floating)):
        return False
    operand[0] = number_for(out, x, memory)
    return True


cdef bint are_bounds(object low, object high):
    """Python numbers, none of them NaN, or None."""
    return (low is None or (is_number(low) and low == low)) and (high is None or (is_number(high) and high == high))


cdef double least(object low):
    return -INFINITY if low is None else low


cdef double most(object high):
    return INFINITY if high is None else high


# In place.


cdef bint may_be_written(object y, object x) noexcept:
    """A plain array that may be written to while `x`, which is plain as well, is read: they are one, or lie apart."""
    if not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>y):
        return False
    cdef char* first = <char*>data(y)
    cdef char* second = <char*>data(x)
    cdef Py_ssize_t size = cnp.PyArray_NBYTES(<cnp.ndarray>y)
    return first == second or first + size <= second or second + size <= first


def add_into(y, x, alpha):
    if are_a_pair(y, x) and may_be_written(y, x):
        if alpha == 1:
            run_into(ADD, <cnp.ndarray>y, <cnp.ndarray>x, <cnp.ndarray>y)
        else:
            run_with_numbers_into(ADD_SCALED, y, x, alpha, 0, y)
    elif is_plain(y) and is_number(x) and is_number(alpha) and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>y):
        run_with_number(ADD, <cnp.ndarray>y, x * alpha, False, <cnp.ndarray>y)
    else:
        reference.add_into(y, x, alpha)


def mul_into(y, x):
    if not into(MUL, y, x):
        reference.mul_into(y, x)


def div_into(y, x):
    if not into(DIV, y, x):
        reference.div_into(y, x)


def lerp_into(y, x, weight):
    if are_a_pair(y, x) and may_be_written(y, x):
        run_with_numbers_into(LERP, y, x, weight, 0, y)
    else:
        reference.lerp_into(y, x, weight)


def fill_into(y, value):
    cdef Number[2] memory
    cdef Operand one, number
    if not (is_plain(y) and is_number(value) and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>y)):
        reference.fill_into(y, value)
        return
    one, number = number_for(y, 1, &memory[0]), number_for(y, value, &memory[1])
    run_operands(MUL, &one, &number, y, cnp.PyArray_SIZE(<cnp.ndarray>y))


def clamp_into(y, low, high):
    if is_plain(y) and are_bounds(low, high) and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>y):
        run_with_numbers_into(CLAMP, y, y, least(low), most(high), y)
    else:
        reference.clamp_into(y, low, high)


cdef bint into(int function, object y, object x):
    if are_a_pair(y, x) and may_be_written(y, x):
        run_into(function, <cnp.ndarray>y, <cnp.ndarray>x, <cnp.ndarray>y)
        return True
    if is_plain(y) and is_number(x) and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>y):
        run_with_number(function, <cnp.ndarray>y, x, False, <cnp.ndarray>y)
        return True
    return False
