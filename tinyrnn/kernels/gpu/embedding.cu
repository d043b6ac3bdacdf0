/* The gradient of an embedding table: rows of the same id are added in the order in which they come, by one thread. */
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
