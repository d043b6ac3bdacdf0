/* Which tables of kernels this processor can run. Compiled for the oldest processor, so that it can answer on any. */
#include "table.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static int forked = 0;

int is_forked_child() {
    return forked;
}

int built_with_openmp() {
#if defined(_OPENMP)
    return 1;
#else
    return 0;
#endif
}

#if defined(__unix__) || defined(__APPLE__)
static void note_fork() {
    forked = 1;
}
#endif

/* The table of an instruction set, whose kernels lie in two namespaces. */
#define TABLE(set, name) \
    namespace set##_float { extern const Kernels kernels; } \
    namespace set##_double { extern const Kernels kernels; } \
    static const Table set = {name, {&set##_float::kernels, &set##_double::kernels}};

#if defined(__x86_64__)

TABLE(x86_64_v2, "x86-64-v2")
TABLE(x86_64_v3, "x86-64-v3")
TABLE(x86_64_v4, "x86-64-v4")

/* What v3 is besides AVX2 and its like, and not every compiler's builtin knows. */
static int has_f16c_movbe_lzcnt() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_F16C) || !(c & bit_MOVBE))
        return 0;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1 << 5);
}

/* The builtins also ask whether the system saves the wide registers. */
static int has_v2() {
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
}

static int has_v3() {
    return has_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && has_f16c_movbe_lzcnt();
}

static int has_v4() {
    return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static int find(const Table **found) {
    int count = 0;
    __builtin_cpu_init();
    if (has_v4())
        found[count++] = &x86_64_v4;
    if (has_v3())
        found[count++] = &x86_64_v3;
    if (has_v2())
        found[count++] = &x86_64_v2;
    return count;
}

#else

#if defined(__aarch64__)
TABLE(portable, "arm64")
#else
TABLE(portable, "portable")
#endif

static int find(const Table **found) {
    found[0] = &portable;
    return 1;
}

#endif

const Table *const *available_tables() {
    static const Table *found[4] = {};
    if (!found[0]) {
        find(found);
#if defined(__unix__) || defined(__APPLE__)
        pthread_atfork(nullptr, nullptr, note_fork);
#endif
    }
    return found;
}
