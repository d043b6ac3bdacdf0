# C types for tape.py.
cimport cython
from tinyrnn.engine.base cimport TensorBase, Version, View, as_array, version_of, wrap
from tinyrnn.engine.cinterpreter cimport code_file, frame_code, frame_instruction, innermost_frame
from tinyrnn.engine.modes cimport recording


@cython.final
cdef class SavedOutput:
    cdef public object array
    cdef public Py_ssize_t index
    cdef public Version version


@cython.final
cdef class Node:
    cdef public Py_ssize_t seq
    cdef public object op
    cdef public tuple sources
    cdef public tuple slots
    cdef public tuple saved
    cdef public tuple stamps
    cdef public tuple shapes
    cdef public dict hooks
    cdef public object code
    cdef public Py_ssize_t lasti

    cpdef bint needs(self, Py_ssize_t index)
    cpdef Py_ssize_t slot(self, Py_ssize_t index)


cdef Py_ssize_t _last_seq
cdef object _get_seq
cdef str _PACKAGE

@cython.locals(mixed=bint, tracked=bint, tensor=TensorBase)
cpdef object record(object op, tuple inputs, object output, tuple saved=*)

@cython.locals(node=Node, index=Py_ssize_t, tensor=TensorBase)
cdef _write_down(object op, tuple inputs, tuple outputs, tuple tensors, tuple saved)

@cython.locals(filename=str)
cdef _note_place(Node node)

cdef tuple _sources(tuple inputs)
cdef tuple _slots(tuple inputs)
cdef tuple _pack(tuple saved, tuple outputs, tuple tensors)

@cython.locals(index=Py_ssize_t, packed=SavedOutput)
cdef object _pack_one(object item, tuple outputs, tuple tensors)

cdef tuple _stamps(tuple saved)

@cython.locals(saved=tuple, index=Py_ssize_t)
cpdef object call_backward(Node node, list gradients, bint with_graph)

@cython.locals(tensor=TensorBase, output=SavedOutput)
cdef object _unpack(Node node, Py_ssize_t index, bint with_graph)

cdef _check_stamp(Node node, Py_ssize_t index, object array, Version version)

cpdef bint requires_grad(TensorBase tensor)

@cython.locals(tensor=TensorBase)
cpdef object source_of(object x)

cdef _refresh(TensorBase tensor)

@cython.locals(seen=set, stack=list, nodes=list, node=Node, last=Py_ssize_t, in_order=bint)
cpdef list nodes_behind(object sources)
