# C types for tape.py.
cimport cython
from tinyrnn.engine.base cimport Edge, TensorBase, Version, View, as_array, edge_to, version_of, wrap


@cython.final
@cython.freelist(1024)
cdef class Saved:
    cdef public object array
    cdef public Version version
    cdef public Py_ssize_t stamp
    cdef public Edge edge
    cdef public Py_ssize_t output


@cython.final
@cython.freelist(1024)
@cython.trashcan(True)
cdef class Node:
    cdef public Py_ssize_t seq
    cdef public object op
    cdef public tuple edges
    cdef public tuple saved
    cdef public tuple shapes
    cdef public dict hooks
    cdef public object code
    cdef public Py_ssize_t lasti


cdef object _numbers
cdef object _getframe
cdef object _get_seq
cdef str _PACKAGE

@cython.locals(mixed=bint, tracked=bint, tensor=TensorBase)
cpdef object record(object op, tuple inputs, object output, tuple saved=*)

@cython.locals(node=Node, index=Py_ssize_t, tensor=TensorBase)
cdef _write_down(object op, tuple inputs, tuple tensors, tuple saved)

@cython.locals(filename=str)
cdef _note_place(Node node)

@cython.locals(tensor=TensorBase, index=Py_ssize_t)
cdef _pack(object item, tuple tensors)

@cython.locals(saved=Saved)
cdef Saved _saved(object array, Version version, Edge edge, Py_ssize_t output)

@cython.locals(values=list, saved=Saved)
cpdef list unpack(Node node, bint with_graph)

cpdef bint requires_grad(TensorBase tensor)
cpdef Edge edge_of(TensorBase tensor)
cdef _refresh(TensorBase tensor)

@cython.locals(seen=set, stack=list, node=Node, edge=Edge)
cpdef list nodes_behind(object sources)
