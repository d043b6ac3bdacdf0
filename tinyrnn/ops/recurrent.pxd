# C types for recurrent.py.
from tinyrnn.ops.casting cimport array

cdef object _zeros(object like, tuple shape)
