/* The kernels for x86-64-v4 (AVX-512). setup.py gives the compiler the flags. */
#if defined(__x86_64__)
#define TINYRNN_ISA x86_64_v4
#define TINYRNN_ISA_NAME "x86-64-v4"
#include "kernels.h"
#endif
