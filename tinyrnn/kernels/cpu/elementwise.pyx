# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Elementwise kernels: arithmetic of contiguous float arrays of one type and shape (cpp/elementwise.h).

Everything else goes to the reference, which is NumPy.
"""

cimport numpy as cnp
from libc.math cimport INFINITY
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

from tinyrnn.kernels import reference
from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.plain cimport SMALL, data, empty_like, is_plain, is_wide
from tinyrnn.kernels.cpu.table cimport ADD, ADD_SCALED, CLAMP, DIV, LERP, MUL, NEG, SUB

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(PyTypeObject*, cnp.dtype, int, cnp.npy_intp*, cnp.npy_intp*, void*, int, PyObject*)

cnp.import_array()

cdef long long EXACT = 1 << 53


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
    run_operands(function, data(a), 1, data(b), 1, out)


cdef void run_operands(
    int function, const void* first, long first_step, const void* second, long second_step, cnp.ndarray out
) noexcept:
    """Of arrays (step 1), or of an array and a number of its type (step 0)."""
    cdef void* result = data(out)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(out)
    cdef bint wide = is_wide(out)
    if n <= SMALL:
        kernels(wide).binary[function](first, first_step, second, second_step, result, n, 1)
        return
    with nogil:
        kernels(wide).binary[function](first, first_step, second, second_step, result, n, threads())


cdef cnp.ndarray run_with_number(int function, cnp.ndarray x, double number, bint number_first, cnp.ndarray out):
    """`out` with function(x, number), or function(number, x) if the number is first."""
    cdef float narrow = <float>number
    cdef const void* value = <const void*>&number if is_wide(x) else <const void*>&narrow
    if number_first:
        run_operands(function, value, 0, data(x), 1, out)
    else:
        run_operands(function, data(x), 1, value, 0, out)
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
    with nogil:
        kernels(wide).with_numbers[function](first, second, p, q, result, n, threads())


cdef inline bint is_easily_made_plain(object x) noexcept:
    """A small array of native float32 or float64, in any layout."""
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISBEHAVED_RO(<cnp.ndarray>x):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    return (kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE) and is_small(x)


cdef bint is_number(object x) noexcept:
    """A Python float, or an int that is one exactly."""
    return type(x) is float or (type(x) is int and -EXACT <= x <= EXACT)


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
    """What is no pair: one array may be a number, and small arrays are made plain; the others go to the reference."""
    if is_plain(a) and is_number(b):
        return run_with_number(function, <cnp.ndarray>a, b, False, empty_like(<cnp.ndarray>a))
    if is_number(a) and is_plain(b):
        return run_with_number(function, <cnp.ndarray>b, a, True, empty_like(<cnp.ndarray>b))
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
    if is_number(b) and b == 2:
        return mul_forward(a, a) if is_plain(a) else reference.pow_forward(a, b)
    return reference.pow_forward(a, b)


def add_scaled_forward(a, b, alpha):
    return run_with_numbers(ADD_SCALED, a, b, alpha, 0) if are_a_pair(a, b) else reference.add_scaled_forward(a, b, alpha)


def lerp_forward(a, b, weight):
    return run_with_numbers(LERP, a, b, weight, 0) if are_a_pair(a, b) else reference.lerp_forward(a, b, weight)


def clamp_forward(x, low, high):
    if not is_plain(x) or not are_bounds(low, high):
        return reference.clamp_forward(x, low, high)
    return run_with_numbers(CLAMP, x, x, least(low), most(high))


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
