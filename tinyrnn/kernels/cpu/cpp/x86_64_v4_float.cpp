/* The float kernels for x86-64-v4 (AVX-512). setup.py gives the compiler the flags. */
#if defined(__x86_64__)
#define TINYRNN_ISA x86_64_v4_float
#define REAL float
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" // in its own header of AVX-512, as the next
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include "kernels.h"
#endif
