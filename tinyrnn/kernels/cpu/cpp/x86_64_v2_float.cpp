/* The float kernels for x86-64-v2 (SSE4.2: every x86-64 processor since 2009). setup.py gives the compiler the flags. */
#if defined(__x86_64__)
#define TINYRNN_ISA x86_64_v2_float
#define REAL float
#include "kernels.h"
#endif
