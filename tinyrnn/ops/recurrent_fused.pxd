# C types for recurrent_fused.py.
from tinyrnn.engine.modes cimport recording
from tinyrnn.engine.tape cimport record, requires_grad, source_of
from tinyrnn.ops.casting cimport array

cpdef bint any_source(tuple inputs)
cdef object _stacked(object parts)
cdef object _as_rows(object x)
cdef object _pair(object weights)
