/* Runs CUDA kernels on a CPU, to see that they compute what they should: not how fast, and not whether a GPU takes them.

   The threads of a block are fibers on one CPU thread, and blocks run one after the other. A barrier hands over to the next
   fiber until all have arrived; waiting for a thread that will never come is an error, and not silence. */
#pragma once
#include <math.h>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <tuple>
#include <type_traits>
#include <ucontext.h>
#include <utility>

#define TINYRNN_CUDA_ON_CPU
#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static
#define __restrict__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

inline float __uint_as_float(unsigned x) {
    float result;
    memcpy(&result, &x, sizeof x);
    return result;
}
inline unsigned __float_as_uint(float x) {
    unsigned result;
    memcpy(&result, &x, sizeof x);
    return result;
}

/* CuPy's names, in its elementwise kernels. */
typedef _Float16 float16;
struct bfloat16 {
    unsigned short bits;

    bfloat16() = default;
    bfloat16(float x) {
        const unsigned whole = __float_as_uint(x);
        bits = x != x ? 0x7fc0 : (whole + 0x7fff + (whole >> 16 & 1)) >> 16;
    }
    operator float() const { return __uint_as_float(static_cast<unsigned>(bits) << 16); }
};

namespace fibers {

constexpr int MOST_THREADS = 1024, WARP = 32;
constexpr size_t STACK = 1 << 16;

struct Barrier {
    int arrived = 0, generation = 0;
};
struct Fiber {
    ucontext_t context;
    dim3 index;
    bool done;
};

inline Fiber fibers[MOST_THREADS];
inline ucontext_t scheduler;
inline int current, threads, alive, alive_in_warp[MOST_THREADS / WARP];
inline bool progress;
inline Barrier of_block, of_warp[MOST_THREADS / WARP];
inline unsigned char exchanged[MOST_THREADS][8];
inline void (*body)(void *);
inline void *body_arguments;

[[noreturn]] inline void fail(const char *message) {
    fprintf(stderr, "CUDA on a CPU: %s, in block (%u, %u, %u)\n", message, blockIdx.x, blockIdx.y, blockIdx.z);
    abort();
}

inline void open(Barrier &barrier, int expected) {
    if (barrier.arrived && barrier.arrived == expected) {
        barrier.arrived = 0;
        barrier.generation++;
        progress = true;
    }
}
inline void wait(Barrier &barrier, const int &expected) {
    const int own = barrier.generation;
    barrier.arrived++;
    open(barrier, expected);
    while (barrier.generation == own)
        swapcontext(&fibers[current].context, &scheduler);
}
inline void start() {
    body(body_arguments);
    fibers[current].done = true;
    alive--;
    alive_in_warp[current / WARP]--;
    progress = true;
    open(of_block, alive); /* those who have left are not waited for */
    open(of_warp[current / WARP], alive_in_warp[current / WARP]);
}

inline void run_block() {
    static unsigned char *const stacks = static_cast<unsigned char *>(
        mmap(nullptr, MOST_THREADS * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    alive = threads;
    memset(alive_in_warp, 0, sizeof alive_in_warp);
    for (int i = 0; i < threads; i++) {
        Fiber &fiber = fibers[i];
        fiber.done = false;
        fiber.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        alive_in_warp[i / WARP]++;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = stacks + i * STACK;
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, start, 0);
    }
    while (alive) {
        progress = false;
        for (current = 0; current < threads; current++)
            if (!fibers[current].done) {
                threadIdx = fibers[current].index;
                swapcontext(&scheduler, &fibers[current].context);
            }
        if (!progress)
            fail("threads wait at a barrier that others never reach");
    }
}

template <typename T> T exchange(T value, int lane) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most eight bytes");
    const int warp = current / WARP, source = warp * WARP + lane;
    memcpy(exchanged[current], &value, sizeof value);
    wait(of_warp[warp], alive_in_warp[warp]);
    T result = value;
    if (lane >= 0 && lane < WARP && source < threads)
        memcpy(&result, exchanged[source], sizeof result);
    wait(of_warp[warp], alive_in_warp[warp]);
    return result;
}

template <typename Function, typename Arguments> void launch(Function kernel, Arguments &arguments, dim3 grid, dim3 block) {
    if (block.x * block.y * block.z > MOST_THREADS)
        fail("a block has at most 1024 threads");
    auto call = [&] { std::apply(kernel, arguments); };
    body = [](void *function) { (*static_cast<decltype(call) *>(function))(); };
    body_arguments = &call;
    gridDim = grid;
    blockDim = block;
    threads = block.x * block.y * block.z;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = {x, y, z};
                run_block();
            }
}

/* What a parameter is, in NumPy's short names, with a * before what a pointer points at: "i4", "*f4". */
template <typename T> void write_kind(char *&to) {
    if constexpr (std::is_pointer_v<T>) {
        *to++ = '*';
        write_kind<std::remove_cv_t<std::remove_pointer_t<T>>>(to);
    } else {
        const char kind = std::is_same_v<T, bool> ? 'b'
                          : std::is_floating_point_v<T> ? 'f'
                          : std::is_integral_v<T> ? (std::is_signed_v<T> ? 'i' : 'u')
                                                  : 'V';
        to += sprintf(to, "%c%zu", kind, sizeof(T));
    }
}
template <typename... A> void describe(void (*)(A...), char *to) {
    ((write_kind<A>(to), *to++ = ' '), ...);
    *to = 0;
}
template <typename... A, size_t... I>
void call(void (*kernel)(A...), const unsigned *grid, const unsigned *block, void **arguments, std::index_sequence<I...>) {
    std::tuple<A...> values(*static_cast<A *>(arguments[I])...);
    launch(kernel, values, {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]});
}
template <typename... A> void call(void (*kernel)(A...), const unsigned *grid, const unsigned *block, void **arguments) {
    call(kernel, grid, block, arguments, std::index_sequence_for<A...>());
}

} // namespace fibers

inline void __syncthreads() { fibers::wait(fibers::of_block, fibers::alive); }
inline void __syncwarp(unsigned = ~0u) {
    const int warp = fibers::current / fibers::WARP;
    fibers::wait(fibers::of_warp[warp], fibers::alive_in_warp[warp]);
}
template <typename T> T __shfl_sync(unsigned, T value, int lane) { return fibers::exchange(value, lane); }
template <typename T> T __shfl_xor_sync(unsigned, T value, int mask) {
    return fibers::exchange(value, (fibers::current % fibers::WARP) ^ mask);
}
template <typename T> T __shfl_down_sync(unsigned, T value, unsigned by) {
    return fibers::exchange(value, fibers::current % fibers::WARP + static_cast<int>(by));
}

/* A model, from the manual of PTX, of an instruction of tensor cores, which a CPU has not: it shows whether products.cuh gives every
   thread what it should hold, and not what a GPU makes of it. Where each number lies is said there. */
template <typename T> void multiply_add(float (&sums)[4], const unsigned (&a)[4], const unsigned (&b)[2], T) {
    constexpr int PER_WORD = 4 / sizeof(T);
    struct Operands {
        unsigned a[4], b[2];
    };
    static Operands held[fibers::MOST_THREADS];
    const int lane = fibers::current % fibers::WARP;
    const Operands *const of_warp = held + (fibers::current - lane);
    memcpy(held[fibers::current].a, a, sizeof a);
    memcpy(held[fibers::current].b, b, sizeof b);
    const auto number = [](unsigned word, int place) {
        T value;
        memcpy(&value, reinterpret_cast<const char *>(&word) + place * sizeof value, sizeof value);
        return wide(value);
    };
    __syncwarp();
    for (int i = 0; i < 4; i++) {
        const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
        for (int word = 0; word < 8; word++)
            for (int place = 0; place < PER_WORD; place++)
                sums[i] += number(of_warp[4 * (row % 8) + word % 4].a[row / 8 + 2 * (word / 4)], place) *
                           number(of_warp[4 * column + word % 4].b[word / 4], place);
    }
    __syncwarp();
}
inline unsigned to_tf32(float x) { return (__float_as_uint(x) + 0x1000) & ~0x1fffu; }

inline long long min(long long a, long long b) { return a < b ? a : b; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32); }
