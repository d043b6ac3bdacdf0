# C types for broadcasting.py.
from tinyrnn.ops.casting cimport array, cast

cpdef tuple operands(object a, object b, bint as_floats=*)
