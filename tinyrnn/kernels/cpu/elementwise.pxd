# What compiled ops call directly.
cimport numpy as cnp

cpdef object small_add(object a, object b)
cpdef bint small_add_into(object total, object x) noexcept
cpdef object small_sub(object a, object b)
cpdef object small_mul(object a, object b)
cpdef object small_div(object a, object b)
cpdef object small_neg(object a)
cpdef object small_tanh(object x)
cpdef object small_tanh_backward(object grad, object y)
cpdef object stretched(cnp.ndarray x, tuple shape)
