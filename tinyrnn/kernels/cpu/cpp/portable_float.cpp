/* The float kernels for processors other than x86-64, such as arm64 (NEON), with the compiler's default instruction set. */
#if !defined(__x86_64__)
#define TINYRNN_ISA portable_float
#define REAL float
#include "kernels.h"
#endif
