# C types for modes.py.
cdef Py_ssize_t _threads_changed
cdef object _modes

cpdef bint recording()
