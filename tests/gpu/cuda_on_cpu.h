/* Runs CUDA kernels on a CPU, to see that they compute what they should: not how fast, and not whether a GPU takes them.

   The threads of a block are fibers on one CPU thread, and blocks run one after the other. A warp runs until all of its threads wait
   at a barrier or have left, then the next: so the last one to arrive goes on before the others have seen what there was, which
   shows where a barrier is missing. Which warp is first, and whether blocks and threads are taken forwards or backwards, is drawn.
   Waiting for a thread that will never come is an error, and not silence; so is an address where no array lies (after every array
   fake_cupy.py puts memory that nobody may touch), or one that a GPU refuses because it is not a multiple of what is read there
   (-fsanitize=alignment). */
#pragma once
#include <math.h>
#include <csignal>
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
#define __shared__ static
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
    const Barrier *barrier; /* where it waits, or waited last */
    int generation;         /* of that barrier, when it came there */

    bool can_run() const { return !done && !(barrier && barrier->generation == generation); }
};

inline Fiber fibers[MOST_THREADS];
inline ucontext_t scheduler;
inline int current, threads, alive, alive_in_warp[MOST_THREADS / WARP];
inline Barrier of_block, of_warp[MOST_THREADS / WARP];
inline unsigned char exchanged[MOST_THREADS][8];
inline void (*body)(void *);
inline void *body_arguments;
inline char error[200]; /* of the launch; empty if there is none */

inline void fail(const char *message) {
    snprintf(error, sizeof error, "%s, in block (%u, %u, %u)", message, blockIdx.x, blockIdx.y, blockIdx.z);
}
[[noreturn]] inline void on_signal(int signal) {
    char message[100];
    snprintf(message, sizeof message, "thread (%u, %u, %u) reads or writes %s", threadIdx.x, threadIdx.y, threadIdx.z,
             signal == SIGILL ? "what is not aligned" : "where no array lies");
    fail(message);
    setcontext(&scheduler); /* to `run_warp`; the fiber is given up */
    abort();
}
/* While it lives, what a CPU finds wrong with an address is an error of the launch. */
struct Signals {
    struct sigaction segv, ill;

    Signals() {
        struct sigaction ours = {};
        ours.sa_handler = on_signal;
        sigaction(SIGSEGV, &ours, &segv);
        sigaction(SIGILL, &ours, &ill);
    }
    ~Signals() {
        sigaction(SIGSEGV, &segv, nullptr);
        sigaction(SIGILL, &ill, nullptr);
    }
};

inline void open(Barrier &barrier, int expected) {
    if (barrier.arrived && barrier.arrived == expected) {
        barrier.arrived = 0;
        barrier.generation++;
    }
}
inline void wait(Barrier &barrier, int expected) {
    Fiber &own = fibers[current];
    own.barrier = &barrier;
    own.generation = barrier.generation;
    barrier.arrived++;
    open(barrier, expected);
    if (!own.can_run())
        swapcontext(&own.context, &scheduler);
}
inline void start() {
    body(body_arguments);
    fibers[current].done = true;
    alive--;
    alive_in_warp[current / WARP]--;
    open(of_block, alive); /* those who have left are not waited for */
    open(of_warp[current / WARP], alive_in_warp[current / WARP]);
}

inline unsigned random() {
    static unsigned state = 1;
    return state = state * 1664525 + 1013904223;
}

inline void make_fibers() {
    static unsigned char *const stacks = static_cast<unsigned char *>(
        mmap(nullptr, MOST_THREADS * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    alive = threads;
    memset(alive_in_warp, 0, sizeof alive_in_warp);
    of_block = {};
    for (int i = 0; i < threads; i++) {
        Fiber &fiber = fibers[i];
        fiber.done = false;
        fiber.barrier = nullptr;
        fiber.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        alive_in_warp[i / WARP]++;
        of_warp[i / WARP] = {};
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = stacks + i * STACK;
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, start, 0);
    }
}
/* Whether any thread of it could run. */
inline bool run_warp(int warp, bool backwards) {
    bool ran = false;
    for (bool again = true; again && !*error;) {
        again = false;
        for (int i = 0; i < WARP && !*error; i++) {
            current = warp * WARP + (backwards ? WARP - 1 - i : i);
            if (current < threads && fibers[current].can_run()) {
                again = ran = true;
                threadIdx = fibers[current].index;
                swapcontext(&scheduler, &fibers[current].context);
            }
        }
    }
    return ran;
}
inline void run_block() {
    const unsigned drawn = random();
    const int warps = (threads + WARP - 1) / WARP, first = (drawn >> 8) % warps;
    const bool backwards = drawn >> 31;
    make_fibers();
    while (alive && !*error) {
        bool ran = false;
        for (int i = 0; i < warps; i++)
            ran |= run_warp((first + (backwards ? warps - i : i)) % warps, backwards);
        if (!ran && !*error)
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
    auto call = [&] { std::apply(kernel, arguments); };
    body = [](void *function) { (*static_cast<decltype(call) *>(function))(); };
    body_arguments = &call;
    gridDim = grid;
    blockDim = block;
    threads = block.x * block.y * block.z;
    *error = 0;
    if (threads > MOST_THREADS)
        fail("there are more than 1024 threads");
    const Signals signals;
    const unsigned blocks = grid.x * grid.y * grid.z;
    const bool backwards = random() >> 31;
    for (unsigned i = 0; i < blocks && !*error; i++) {
        const unsigned number = backwards ? blocks - 1 - i : i;
        blockIdx = {number % grid.x, number / grid.x % grid.y, number / (grid.x * grid.y)};
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
/* What went wrong, or an empty string. */
template <typename... A> const char *call(void (*kernel)(A...), const unsigned *grid, const unsigned *block, void **arguments) {
    call(kernel, grid, block, arguments, std::index_sequence_for<A...>());
    return error;
}

} // namespace fibers

inline void __syncthreads() { fibers::wait(fibers::of_block, fibers::alive); }
inline void __syncwarp(unsigned = ~0u) {
    const int warp = fibers::current / fibers::WARP;
    fibers::wait(fibers::of_warp[warp], fibers::alive_in_warp[warp]);
}
template <typename T> T __shfl_xor_sync(unsigned, T value, int mask) {
    return fibers::exchange(value, (fibers::current % fibers::WARP) ^ mask);
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
