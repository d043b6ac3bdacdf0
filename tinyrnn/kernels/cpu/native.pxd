"""The C++ kernels for this processor, for the other compiled modules: `kernels().gemm[0](...)`."""

from tinyrnn.kernels.cpu.table cimport Table

cdef const Table* kernels() noexcept nogil
cdef int threads() noexcept nogil
