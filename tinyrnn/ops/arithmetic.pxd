# C types for arithmetic.py.
from tinyrnn.engine.base cimport TensorBase, as_array
from tinyrnn.engine.tape cimport Node, record, requires_grad
from tinyrnn.kernels.cpu.elementwise cimport small_add, small_add_into, small_div, small_mul, small_neg, small_sub
from tinyrnn.kernels.dispatch cimport backend
from tinyrnn.ops.broadcasting cimport operands
from tinyrnn.ops.casting cimport array

cpdef object if_wanted(object saved, object other)
cpdef object sub_backward(Node node, object g)
cpdef object mul_backward(Node node, object g, object a, object b)
