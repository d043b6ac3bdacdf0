# C types for activations.py.
from tinyrnn.engine.base cimport TensorBase, as_array
from tinyrnn.engine.tape cimport Node, record
from tinyrnn.kernels.cpu.activations cimport small_tanh, small_tanh_backward
from tinyrnn.kernels.dispatch cimport backend
from tinyrnn.ops.casting cimport array
