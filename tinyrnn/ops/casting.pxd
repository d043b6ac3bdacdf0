# C types for casting.py.
cimport cython
from tinyrnn.engine.base cimport TensorBase, wrap
from tinyrnn.engine.tape cimport record

@cython.locals(tensor=TensorBase)
cpdef object array(object x)

cpdef object cast(object x, object dtype)
