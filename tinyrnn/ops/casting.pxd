# C types for casting.py.
cpdef object array(object x)
cpdef object cast(object x, object dtype)
