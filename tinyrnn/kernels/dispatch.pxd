# C types for dispatch.py.
cdef dict _backends
cpdef object backend(object array)
