# C types for broadcasting.py.
cimport cython
from tinyrnn.engine.base cimport TensorBase, version_of
from tinyrnn.engine.tape cimport Node, record
from tinyrnn.kernels.dispatch cimport backend
from tinyrnn.kernels.cpu.elementwise cimport stretched
from tinyrnn.ops.casting cimport array, cast
from tinyrnn.ops.views cimport record_view

cpdef object expand_to(object x, tuple shape)
cpdef object stretch(object data, tuple shape)
cpdef tuple operands(object a, object b, bint as_floats=*, bint unrounded=*)
cpdef bint stays_a_number(object x, object data, bint unrounded)
cdef tuple _of_one_dtype(object a, object b, bint as_floats)
cdef object _operand(object x, tuple shape)
cpdef bint has_shape(object x)
@cython.locals(sizes=list, dim=Py_ssize_t)
cpdef tuple broadcast_shape(tuple first, tuple second)
