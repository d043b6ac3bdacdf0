/* The product of states with weights in one step: on tensor cores, or by multiplying and adding.

   A block computes a tile of ROWS sequences and UNITS units, for all of G gates, and a thread of it one row and unit. */
#pragma once
#include "numbers.cuh"

constexpr int UNITS = 8, ROWS = 16; /* also the tile of an instruction of tensor cores */

__device__ inline long long row_of_thread() { return (long long)blockIdx.y * ROWS + threadIdx.y; }
__device__ inline long long unit_of_thread() { return (long long)blockIdx.x * UNITS + threadIdx.x; }

/* What is multiplied: see `product`. */
template <typename T, int G> struct Factors {
    const T *left;
    long long left_stride; /* of a row */
    const T *mask;         /* or null; its rows lie end to end */
    const T *right;
    long long gate_stride, unit_stride;
    long long rows, units, depth;
};

/* ---- by multiplying and adding ------------------------------------------------------------------------------------ */

constexpr int DEPTH = 32, PITCH = DEPTH + 4; /* of a tile in shared memory; its rows are 16 bytes aligned */

template <typename W> struct alignas(4 * sizeof(W) < 16 ? 4 * sizeof(W) : 16) Four {
    W at[4];
};

template <typename T, int G> __device__ void product_by_adding(const Factors<T, G> &f, Wide<T> (&sums)[G]) {
    using W = Wide<T>;
    alignas(16) __shared__ W lefts[ROWS][PITCH];
    alignas(16) __shared__ W rights[G][UNITS][PITCH];
    const int thread = threadIdx.y * UNITS + threadIdx.x;
    const long long first_row = (long long)blockIdx.y * ROWS, first_unit = (long long)blockIdx.x * UNITS;
    for (int g = 0; g < G; g++)
        sums[g] = 0;
    for (long long k0 = 0; k0 < f.depth; k0 += DEPTH) {
#pragma unroll
        for (int i = thread; i < ROWS * DEPTH; i += ROWS * UNITS) {
            const long long row = first_row + i / DEPTH, k = k0 + i % DEPTH;
            W value = 0;
            if (row < f.rows && k < f.depth) {
                value = wide(f.left[row * f.left_stride + k]);
                if (f.mask)
                    value *= wide(f.mask[row * f.depth + k]);
            }
            lefts[i / DEPTH][i % DEPTH] = value;
        }
#pragma unroll
        for (int i = thread; i < G * UNITS * DEPTH; i += ROWS * UNITS) {
            const int column = i % DEPTH, across = i / DEPTH % UNITS, g = i / (UNITS * DEPTH);
            const long long unit = first_unit + across, k = k0 + column;
            const bool inside = unit < f.units && k < f.depth;
            rights[g][across][column] = inside ? wide(f.right[g * f.gate_stride + unit * f.unit_stride + k]) : W(0);
        }
        __syncthreads();
        for (int k = 0; k < DEPTH; k += 4) {
            const Four<W> x = *reinterpret_cast<const Four<W> *>(&lefts[threadIdx.y][k]);
            for (int g = 0; g < G; g++) {
                const Four<W> y = *reinterpret_cast<const Four<W> *>(&rights[g][threadIdx.x][k]);
                for (int i = 0; i < 4; i++)
                    sums[g] += x.at[i] * y.at[i];
            }
        }
        __syncthreads();
    }
}

/* ---- on tensor cores ---------------------------------------------------------------------------------------------- */

/* Whether products of numbers that are stored so are made on tensor cores, which those before compute capability 8.0 cannot. */
template <typename T> constexpr bool on_tensor_cores = false;
#if defined TINYRNN_CUDA_ON_CPU || __CUDA_ARCH__ >= 800
template <> constexpr bool on_tensor_cores<Half> = true;
template <> constexpr bool on_tensor_cores<Bfloat> = true;
template <> constexpr bool on_tensor_cores<Tf32> = true;
#endif

/* sums += a b, by all threads of a warp together, a being 16 rows and b 8 columns of K numbers; K is 16 in 16 bits and 8 of Tf32.
   Thread 4 r + q holds, in pairs of 16 bits or alone, the numbers with k = q of row r in a[0] and of row r + 8 in a[1], those with
   k = q + 4 in a[2] and a[3], and the same of column r in b[0] and b[1]; of the sums, columns 2 q and 2 q + 1 of row r, then of
   row r + 8. See mma.m16n8k16 and mma.m16n8k8 in the manual of PTX. On a CPU a model of it stands in: see cuda_on_cpu.h. */
#ifndef TINYRNN_CUDA_ON_CPU
#define TINYRNN_MMA(T, SHAPE, KIND)                                                                                                \
    __device__ inline void multiply_add(float(&sums)[4], const unsigned(&a)[4], const unsigned(&b)[2], T) {                        \
        asm volatile("mma.sync.aligned." SHAPE ".row.col.f32." KIND "." KIND ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, " \
            "%2, %3};"                                                                                                             \
            : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])                                                           \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                                                   \
    }
TINYRNN_MMA(Half, "m16n8k16", "f16")
TINYRNN_MMA(Bfloat, "m16n8k16", "bf16")
TINYRNN_MMA(Tf32, "m16n8k8", "tf32")
#undef TINYRNN_MMA

__device__ inline unsigned to_tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}
#endif

/* 16 bytes of a row: a thread's share of a piece of PIECE numbers. */
template <typename T> struct alignas(16) Share {
    static constexpr int SIZE = 16 / sizeof(T), PIECE = 4 * SIZE;
    T at[SIZE];

    /* The numbers from k on, 0 where there are none; `row` is null if there is no such row. `aligned`: shares are whole. */
    __device__ void load(const T *row, long long k, long long depth, bool aligned) {
        if (aligned && row && k < depth) {
            *this = *reinterpret_cast<const Share *>(row + k);
            return;
        }
        for (int i = 0; i < SIZE; i++) {
            if (row && k + i < depth)
                at[i] = row[k + i];
            else
                store(&at[i], Wide<T>(0));
        }
    }
    __device__ void multiply(const Share &mask) {
        for (int i = 0; i < SIZE; i++)
            store(&at[i], wide(at[i]) * wide(mask.at[i]));
    }
    /* Four bytes of it, as an instruction takes them. */
    __device__ unsigned word(int i) const {
        if constexpr (sizeof(T) == 4)
            return to_tf32(at[i].value);
        else
            return at[2 * i].bits | static_cast<unsigned>(at[2 * i + 1].bits) << 16;
    }
};

template <typename T> __device__ bool shares_are_whole(const T *start, long long stride, long long depth) {
    constexpr int SIZE = Share<T>::SIZE;
    return reinterpret_cast<size_t>(start) % 16 == 0 && stride % SIZE == 0 && depth % SIZE == 0;
}

/* Each warp sums over its own pieces of the depth, then every thread adds up what the warps have for its row and unit. Within a
   piece a thread takes 16 bytes of two rows and of a unit of every gate, in place of the numbers that the instruction says: which
   numbers are multiplied is the same for both sides, and no more is asked. */
template <typename T, int G> __device__ void product_on_tensor_cores(const Factors<T, G> &f, float (&sums)[G]) {
    constexpr int WARPS = ROWS * UNITS / 32, PIECE = Share<T>::PIECE;
    __shared__ float parts[WARPS][G][ROWS][UNITS];
    const int thread = threadIdx.y * UNITS + threadIdx.x, warp = thread / 32, r = thread % 32 / 4, q = thread % 4;
    const long long first_row = (long long)blockIdx.y * ROWS, unit = (long long)blockIdx.x * UNITS + r;
    const T *rows[2], *masks[2];
    for (int half = 0; half < 2; half++) {
        const long long row = first_row + 8 * half + r;
        rows[half] = row < f.rows ? f.left + row * f.left_stride : nullptr;
        masks[half] = row < f.rows && f.mask ? f.mask + row * f.depth : nullptr;
    }
    const T *const column = unit < f.units ? f.right + unit * f.unit_stride : nullptr;
    const bool left_whole = shares_are_whole(f.left, f.left_stride, f.depth);
    const bool mask_whole = shares_are_whole(f.mask, f.depth, f.depth);
    const bool right_whole = shares_are_whole(f.right, f.unit_stride, f.depth) && f.gate_stride % Share<T>::SIZE == 0;

    float own[G][4] = {};
#pragma unroll 2
    for (long long k = warp * PIECE + q * Share<T>::SIZE; k - q * Share<T>::SIZE < f.depth; k += WARPS * PIECE) {
        Share<T> lefts[2], rights[G], mask;
        for (int half = 0; half < 2; half++) {
            lefts[half].load(rows[half], k, f.depth, left_whole);
            if (f.mask) {
                mask.load(masks[half], k, f.depth, mask_whole);
                lefts[half].multiply(mask);
            }
        }
        for (int g = 0; g < G; g++)
            rights[g].load(column ? column + g * f.gate_stride : nullptr, k, f.depth, right_whole);
        __syncwarp(); /* threads without a row or a unit come another way */
        for (int i = 0; i < 4; i += 2) {
            const unsigned a[4] = {lefts[0].word(i), lefts[1].word(i), lefts[0].word(i + 1), lefts[1].word(i + 1)};
            for (int g = 0; g < G; g++) {
                const unsigned b[2] = {rights[g].word(i), rights[g].word(i + 1)};
                multiply_add(own[g], a, b, T());
            }
        }
    }
    for (int g = 0; g < G; g++)
        for (int i = 0; i < 4; i++)
            parts[warp][g][r + 8 * (i / 2)][2 * q + i % 2] = own[g][i];
    __syncthreads();
    for (int g = 0; g < G; g++) {
        sums[g] = 0;
        for (int w = 0; w < WARPS; w++)
            sums[g] += parts[w][g][threadIdx.y][threadIdx.x];
    }
}

/* sums[g] = sum over k of left[row, k] mask[row, k] right[g, unit, k], for the row and the unit of this thread. Every thread of the
   block must call it, also those whose row or unit there is not; and all must meet before they call it again. */
template <typename T, int G> __device__ void product(const Factors<T, G> &factors, Wide<T> (&sums)[G]) {
    if constexpr (on_tensor_cores<T>)
        product_on_tensor_cores(factors, sums);
    else
        product_by_adding(factors, sums);
}
