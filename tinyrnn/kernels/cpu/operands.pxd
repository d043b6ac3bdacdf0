# What arithmetic takes beside plain arrays: numbers, and arrays that are rows. There is no operands.pyx: the functions are inline.
cimport numpy as cnp

from tinyrnn.kernels.cpu.plain cimport data, is_wide
from tinyrnn.kernels.cpu.table cimport Operand


cdef inline bint is_number(object x) noexcept:
    """A Python float, or an int that is one exactly: up to 2^53 all are."""
    return type(x) is float or (type(x) is int and -9007199254740992 <= x <= 9007199254740992)


ctypedef union Number:
    double wide
    float narrow


cdef inline Operand number_for(cnp.ndarray x, double value, Number* memory) noexcept:
    """A number in the type of `x`, which lies in `memory`, for every element."""
    cdef Operand operand = [memory, 0, 0]
    if is_wide(x):
        memory.wide = value
    else:
        memory.narrow = <float>value
    return operand


cdef inline bint is_floats(object x) noexcept:
    """An array of native float32 or float64, in any layout."""
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISBEHAVED_RO(<cnp.ndarray>x):
        return False
    cdef int kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    return kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE


cdef inline bint lies_at(cnp.ndarray x, int dim, Py_ssize_t stride) noexcept:
    return cnp.PyArray_DIM(x, dim) == 1 or cnp.PyArray_STRIDE(x, dim) == stride


cdef inline Py_ssize_t rows_of(cnp.ndarray x, Operand* operand) noexcept:
    """See the array as rows, of which each is contiguous or one number, the same distance apart; their length, 0 if it is not so."""
    cdef int ndim = cnp.PyArray_NDIM(x), split = ndim
    cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(x), n = 1, stride = 0
    operand.data = data(x)
    operand.step = 1
    while split > 0 and lies_at(x, split - 1, n * itemsize):
        split -= 1
        n *= cnp.PyArray_DIM(x, split)
    if n == 1:
        operand.step = 0
        while split > 0 and lies_at(x, split - 1, 0):
            split -= 1
            n *= cnp.PyArray_DIM(x, split)
    if split > 0:
        if n == 1:
            return 0
        stride = cnp.PyArray_STRIDE(x, split - 1)
    operand.row = stride // itemsize
    if operand.row * itemsize != stride:
        return 0
    while split > 0 and lies_at(x, split - 1, stride):
        split -= 1
        stride *= cnp.PyArray_DIM(x, split)
    return 0 if split else n
