/* Sums of rows, in the order in which they come: by one thread for each column, so that sums do not vary. */
#include "numbers.cuh"

/* `order` sorts the ids and keeps the order of equal ones. The block of the first row of an id adds up all of its rows. */
template <typename T>
__global__ void embedding_backward(const T *grad, const long long *ids, const long long *order, T *result, long long count,
                                   long long width) {
    const long long first = blockIdx.x, id = ids[order[first]];
    if (first && ids[order[first - 1]] == id)
        return;
    for (long long k = threadIdx.x; k < width; k += blockDim.x) {
        Wide<T> sum = 0;
        for (long long i = first; i < count && ids[order[i]] == id; i++)
            sum += wide(grad[order[i] * width + k]);
        store(result + id * width + k, sum);
    }
}

/* The block of a start adds up the rows from there to the next start. */
template <typename T>
__global__ void sum_segments(const T *values, const long long *starts, T *result, long long count, long long width) {
    const long long first = starts[blockIdx.x], end = blockIdx.x + 1 < gridDim.x ? starts[blockIdx.x + 1] : count;
    for (long long k = threadIdx.x; k < width; k += blockDim.x) {
        Wide<T> sum = 0;
        for (long long i = first; i < end; i++)
            sum += wide(values[i * width + k]);
        store(result + blockIdx.x * width + k, sum);
    }
}
