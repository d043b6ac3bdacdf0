/* The kernels for processors other than x86-64, such as arm64 (NEON), with the compiler's default instruction set. */
#if !defined(__x86_64__)
#define TINYRNN_ISA portable
#if defined(__aarch64__)
#define TINYRNN_ISA_NAME "arm64"
#else
#define TINYRNN_ISA_NAME "portable"
#endif
#include "kernels.h"
#endif
