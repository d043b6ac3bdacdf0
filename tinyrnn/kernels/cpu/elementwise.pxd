# What compiled ops call directly.
cimport numpy as cnp

cpdef object small_add(object a, object b)
cpdef bint small_add_into(object total, object x) noexcept
cpdef object small_sub(object a, object b)
cpdef object small_mul(object a, object b)
cpdef object small_div(object a, object b)
cpdef object small_neg(object a)
cpdef object stretched(cnp.ndarray x, tuple shape)

# What activations.pyx runs its functions by.
cdef bint are_a_pair(object a, object b) noexcept
cdef bint is_easily_made_plain(object x) noexcept
cdef cnp.ndarray run_one(int function, cnp.ndarray x)
cdef object run_one_small(int function, object x)
cdef cnp.ndarray run_with_numbers(int function, cnp.ndarray a, cnp.ndarray b, double p, double q)
