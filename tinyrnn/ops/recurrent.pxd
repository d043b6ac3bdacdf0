# C types for recurrent.py.
from tinyrnn.engine.base cimport TensorBase, wrap
from tinyrnn.engine.modes cimport recording
from tinyrnn.ops.casting cimport array
from tinyrnn.ops.recurrent_fused cimport any_source

cdef object _zeros(object like, tuple shape)
cdef tuple _plain_states(object hx, int count, tuple shape, object like, bint recorded)
cdef list _plain_weights(dict parameters, list names, int present, object x, bint recorded)
