# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Products of matrices: cpp/gemm.h for float32 and float64 arrays with any strides, and for 16-bit floats in float32.

The reference is for everything else.
"""

cimport numpy as cnp

from tinyrnn.kernels import reference
from tinyrnn.kernels.narrow import in_32_bits, is_narrow

from tinyrnn.kernels.cpu.native cimport kernels, threads
from tinyrnn.kernels.cpu.table cimport GemmProblem

cnp.import_array()

cdef enum:
    MAX_DIMS = 64  # NumPy's

cdef double LONG = 5e5  # multiply-adds that take about 10 us: worth letting go of the GIL



cdef struct Batch:
    # The dimensions before the matrices, without those of one element, neighbours merged where that can be.
    int ndim
    Py_ssize_t size[MAX_DIMS]
    Py_ssize_t a[MAX_DIMS]  # strides in bytes
    Py_ssize_t b[MAX_DIMS]
    Py_ssize_t c[MAX_DIMS]


cdef inline bint is_matrices(object x) noexcept:
    """An exact, aligned, native float32 or float64 array of at least two dimensions, with any strides."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef cnp.ndarray array = <cnp.ndarray>x
    cdef int kind = cnp.PyArray_TYPE(array)
    return (
        (kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE)
        and cnp.PyArray_ISBEHAVED_RO(array)
        and cnp.PyArray_NDIM(array) >= 2
    )


cdef inline bint is_pair(object x, object y) noexcept:
    return is_matrices(x) and is_matrices(y) and cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.PyArray_TYPE(<cnp.ndarray>y)


cdef inline Py_ssize_t size_from_end(cnp.ndarray x, int dim) noexcept:
    """The size of a dimension counted from the last; dimensions that are not there have one element."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    return cnp.PyArray_DIM(x, ndim - 1 - dim) if dim < ndim else 1


cdef inline Py_ssize_t stride_from_end(cnp.ndarray x, int dim) noexcept:
    """Its stride in bytes; 0 where it is broadcast."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    return cnp.PyArray_STRIDE(x, ndim - 1 - dim) if dim < ndim and cnp.PyArray_DIM(x, ndim - 1 - dim) != 1 else 0


cdef void run(GemmProblem* problem, int double_precision):
    cdef double work = <double>problem.batch * problem.M * problem.N * (problem.K + 8)
    if work > LONG:
        with nogil:
            kernels(double_precision).gemm(problem, threads())
    else:
        kernels(double_precision).gemm(problem, threads())


cdef GemmProblem problem_of(cnp.ndarray a, cnp.ndarray b, bint transpose_b):
    """The product of the last two dimensions; the result is contiguous."""
    cdef GemmProblem problem
    cdef long item = cnp.PyArray_ITEMSIZE(a)
    problem.batch = 1
    problem.M = size_from_end(a, 1)
    problem.K = size_from_end(a, 0)
    problem.N = size_from_end(b, 1 if transpose_b else 0)
    problem.a_row = stride_from_end(a, 1) // item
    problem.a_col = stride_from_end(a, 0) // item
    problem.b_row = stride_from_end(b, 0 if transpose_b else 1) // item
    problem.b_col = stride_from_end(b, 1 if transpose_b else 0) // item
    problem.c_row = problem.N
    problem.a = cnp.PyArray_DATA(a)
    problem.b = cnp.PyArray_DATA(b)
    problem.a_batch = problem.b_batch = problem.c_batch = 0
    problem.init = NULL
    problem.init_batch = problem.init_row = 0
    return problem


cdef bint broadcast(Batch* batch, cnp.npy_intp* shape, cnp.ndarray a, cnp.ndarray b, Py_ssize_t matrix):
    """Fill `batch`, its last dimension first, and the batch dimensions of the result's `shape`; False if they do not fit."""
    cdef int ndim = max(cnp.PyArray_NDIM(a), cnp.PyArray_NDIM(b)), dim, last
    cdef Py_ssize_t size, other, stride = matrix
    batch.ndim = 0
    for dim in range(2, ndim):
        size, other = size_from_end(a, dim), size_from_end(b, dim)
        if size != other and size != 1 and other != 1:
            return False
        size = other if size == 1 else size
        shape[ndim - 1 - dim] = size
        if size == 1:
            continue
        last = batch.ndim - 1
        if (
            last >= 0
            and stride_from_end(a, dim) == batch.a[last] * batch.size[last]
            and stride_from_end(b, dim) == batch.b[last] * batch.size[last]
        ):
            batch.size[last] *= size
        else:
            batch.size[last + 1] = size
            batch.a[last + 1] = stride_from_end(a, dim)
            batch.b[last + 1] = stride_from_end(b, dim)
            batch.c[last + 1] = stride
            batch.ndim += 1
        stride *= size
    return True


cdef void run_batch(GemmProblem* problem, Batch* batch, int double_precision):
    """One call for the innermost dimension of the batch, for each element of the others."""
    cdef Py_ssize_t item = 8 if double_precision else 4
    cdef Py_ssize_t at[MAX_DIMS]
    cdef int dim
    if batch.ndim:
        problem.batch = batch.size[0]
        problem.a_batch = batch.a[0] // item
        problem.b_batch = batch.b[0] // item
        problem.c_batch = batch.c[0] // item
    for dim in range(batch.ndim):
        if batch.size[dim] == 0:
            return
        at[dim] = 0
    while True:
        run(problem, double_precision)
        dim = 1
        while dim < batch.ndim:
            problem.a = <const char*>problem.a + batch.a[dim]
            problem.b = <const char*>problem.b + batch.b[dim]
            problem.c = <char*>problem.c + batch.c[dim]
            at[dim] += 1
            if at[dim] < batch.size[dim]:
                break
            problem.a = <const char*>problem.a - batch.a[dim] * batch.size[dim]
            problem.b = <const char*>problem.b - batch.b[dim] * batch.size[dim]
            problem.c = <char*>problem.c - batch.c[dim] * batch.size[dim]
            at[dim] = 0
            dim += 1
        if dim >= batch.ndim:
            return


def matmul_forward(a, b):
    if not is_pair(a, b):
        kernel = in_32_bits(matmul_forward) if is_narrow(a) else reference.matmul_forward
        return kernel(a, b)
    cdef cnp.ndarray x = <cnp.ndarray>a, y = <cnp.ndarray>b, out
    cdef cnp.npy_intp shape[MAX_DIMS]
    cdef Batch batch
    cdef int ndim = max(cnp.PyArray_NDIM(x), cnp.PyArray_NDIM(y)), kind = cnp.PyArray_TYPE(x)
    cdef GemmProblem problem = problem_of(x, y, False)
    if problem.K != size_from_end(y, 1) or not broadcast(&batch, shape, x, y, problem.M * problem.N * cnp.PyArray_ITEMSIZE(x)):
        return reference.matmul_forward(a, b)
    shape[ndim - 2] = problem.M
    shape[ndim - 1] = problem.N
    out = cnp.PyArray_EMPTY(ndim, shape, kind, 0)
    problem.c = cnp.PyArray_DATA(out)
    run_batch(&problem, &batch, kind == cnp.NPY_DOUBLE)
    return out


cdef bint is_linear(object x, object weight, object bias):
    """Whether these are matrices that fit, and a bias with a number for each column."""
    if not is_pair(x, weight) or cnp.PyArray_NDIM(<cnp.ndarray>x) != 2 or cnp.PyArray_NDIM(<cnp.ndarray>weight) != 2:
        return False
    if cnp.PyArray_DIM(<cnp.ndarray>x, 1) != cnp.PyArray_DIM(<cnp.ndarray>weight, 1):
        return False
    return bias is None or (
        cnp.PyArray_CheckExact(bias)
        and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>bias)
        and cnp.PyArray_TYPE(<cnp.ndarray>bias) == cnp.PyArray_TYPE(<cnp.ndarray>x)
        and cnp.PyArray_NDIM(<cnp.ndarray>bias) == 1
        and cnp.PyArray_DIM(<cnp.ndarray>bias, 0) == cnp.PyArray_DIM(<cnp.ndarray>weight, 0)
    )


def linear_forward(x, weight, bias):
    if not is_linear(x, weight, bias):
        kernel = in_32_bits(linear_forward) if is_narrow(x) else reference.linear_forward
        return kernel(x, weight, bias)
    cdef cnp.npy_intp shape[2]
    cdef GemmProblem problem = problem_of(<cnp.ndarray>x, <cnp.ndarray>weight, True)
    shape[0] = problem.M
    shape[1] = problem.N
    out = cnp.PyArray_EMPTY(2, shape, cnp.PyArray_TYPE(<cnp.ndarray>x), 0)
    problem.c = cnp.PyArray_DATA(<cnp.ndarray>out)
    if bias is not None:
        problem.init = cnp.PyArray_DATA(<cnp.ndarray>bias)
    run(&problem, cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.NPY_DOUBLE)
    return out
