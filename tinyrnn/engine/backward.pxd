# C types for backward.py.
cimport cython
from tinyrnn.engine.base cimport TensorBase, Version, add, add_into, as_array, version_of, wrap
from tinyrnn.engine.tape cimport Node, SavedOutput, call_backward, nodes_behind, requires_grad, source_of


@cython.final
cdef class Walk:
    cdef public bint retain_graph
    cdef public bint create_graph
    cdef public bint anomaly
    cdef public dict waiting
    cdef public set owned
    cdef public dict wanted
    cdef public dict found
    cdef public list nodes

    cpdef run(self)

    @cython.locals(gradients=list, results=tuple, index=Py_ssize_t)
    cdef visit(self, Node node, bint useful)

    @cython.locals(arrived=list)
    cdef add(self, object source, Py_ssize_t slot, object gradient, bint fresh)


cdef bint _is_fresh(Py_ssize_t index, object source, tuple results, list gradients)

@cython.locals(item=object)
cdef _release(Node node)
