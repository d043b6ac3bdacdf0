/* The double kernels for x86-64-v3 (AVX2 and FMA: most since 2013). setup.py gives the compiler the flags. */
#if defined(__x86_64__)
#define TINYRNN_ISA x86_64_v3_double
#define REAL double
#include "kernels.h"
#endif
