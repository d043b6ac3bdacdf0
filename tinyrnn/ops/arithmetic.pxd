# C types for arithmetic.py.
from tinyrnn.engine.tape cimport record
from tinyrnn.kernels.dispatch cimport backend
from tinyrnn.ops.broadcasting cimport operands
from tinyrnn.ops.casting cimport array
