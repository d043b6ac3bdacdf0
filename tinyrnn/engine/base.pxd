# C types for base.py.
cimport cython


@cython.final
@cython.freelist(1024)
cdef class Version:
    cdef public Py_ssize_t count


@cython.final
@cython.freelist(1024)
@cython.trashcan(True)
cdef class Edge:
    cdef public object source
    cdef public Py_ssize_t index


@cython.final
cdef class View:
    cdef public TensorBase base
    cdef public object replay
    cdef public Py_ssize_t stamp


@cython.trashcan(True)
cdef class TensorBase:
    cdef public object array
    cdef public object grad
    cdef public Edge edge
    cdef public bint tracked
    cdef public Version version
    cdef public View view
    cdef public dict hooks
    cdef object __weakref__


cdef object _tensor_class
cdef object _ndarray

cpdef TensorBase wrap(object array)
@cython.locals(edge=Edge)
cpdef Edge edge_to(object source, Py_ssize_t index)
@cython.locals(version=Version)
cpdef Version version_of(TensorBase tensor)
cpdef object as_array(object value)
