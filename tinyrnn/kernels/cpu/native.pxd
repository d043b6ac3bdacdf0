"""The C++ kernels for this processor, for the other compiled modules: `kernels(wide).gemm(...)`."""

from tinyrnn.kernels.cpu.table cimport Kernels

cdef const Kernels* kernels(bint wide) noexcept nogil
cdef int threads() noexcept nogil
