/* Work on rows: a block takes one row, its threads go over the columns. */
#pragma once
#include "numbers.cuh"

struct Sum {
    template <typename W> __device__ W operator()(W a, W b) const { return a + b; }
};
struct Largest { /* NaN, if there is one */
    template <typename W> __device__ W operator()(W a, W b) const { return a >= b || a != a ? a : b; }
};

/* What `combine` makes of the values of all threads of the block, for each of them; always in the same order. */
template <typename W, typename Combine> __device__ W over_block(W value, Combine combine) {
    __shared__ W parts[32];
    const int thread = threadIdx.x, warps = (blockDim.x + 31) / 32;
    for (int by = 16; by; by /= 2)
        value = combine(value, __shfl_xor_sync(~0u, value, by));
    if (thread % 32 == 0)
        parts[thread / 32] = value;
    __syncthreads();
    value = parts[0];
    for (int warp = 1; warp < warps; warp++)
        value = combine(value, parts[warp]);
    __syncthreads(); /* before `parts` is written again */
    return value;
}

/* The same for the values of a function of the column. */
template <typename W, typename Combine, typename Function>
__device__ W over_row(long long columns, W start, Combine combine, Function function) {
    W value = start;
    for (long long k = threadIdx.x; k < columns; k += blockDim.x)
        value = combine(value, function(k));
    return over_block(value, combine);
}
