# C types for slicing.py.
cimport cython
from tinyrnn.engine.base cimport TensorBase
from tinyrnn.engine.tape cimport Node, record
from tinyrnn.ops.casting cimport array, cast
from tinyrnn.ops.views cimport attach_view, record_view

@cython.locals(limit=Py_ssize_t, number=Py_ssize_t)
cpdef Py_ssize_t wrap_dim(object dim, Py_ssize_t ndim) except -1

cpdef object window(object x, tuple key)

@cython.locals(key=tuple, shape=tuple, dim=Py_ssize_t, position=Py_ssize_t, rest=Py_ssize_t, dots=bint)
cpdef object plain_window(object x, object index)
cdef bint _is_bound(object value)
cdef tuple _range_key(Py_ssize_t dim, object start, object stop)
cdef list _ends(list sizes)
@cython.locals(arrays=list)
cdef tuple _of_one_dtype(str op, object tensors)
cdef object _check_joins(tuple shape, tuple first, Py_ssize_t dim, Py_ssize_t number)
