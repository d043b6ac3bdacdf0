# C types for base.py.
cimport cython
from tinyrnn.engine.cinterpreter cimport new_tensor


@cython.final
cdef class Version:
    cdef public Py_ssize_t count


@cython.final
cdef class View:
    cdef public TensorBase base
    cdef public object replay
    cdef public Py_ssize_t stamp


cdef class TensorBase:
    cdef public object array
    cdef public object grad
    cdef public object node
    cdef public Py_ssize_t output
    cdef public bint tracked
    cdef public Version version
    cdef public View window
    cdef public dict hooks
    cdef object __weakref__


cdef object _tensor_class
cdef object _add, _add_into
cdef object _ndarray

@cython.locals(tensor=TensorBase)
cpdef TensorBase wrap(object array)
@cython.locals(version=Version)
cpdef Version version_of(TensorBase tensor)
cpdef object as_array(object value)
cpdef object add(object a, object b)
cpdef add_into(object total, object array)
