# C types for backward.py.
cimport cython
from tinyrnn.engine.base cimport Edge, TensorBase, Version, version_of, wrap
from tinyrnn.engine.tape cimport Node, edge_of, nodes_behind, requires_grad, unpack


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

    @cython.locals(gradients=list, edge=Edge, fresh=bint)
    cdef visit(self, Node node, bint useful)

    @cython.locals(arrived=list)
    cdef add(self, Edge edge, object gradient, bint fresh)


cdef bint _any_given(list gradients)
cdef bint _is_fresh(object result, list gradients, tuple results)
cdef _release(Node node)
