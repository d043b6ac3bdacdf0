/* Random masks from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): those of the CPU. */
#include "numbers.cuh"

/* Word number `word` of the block of four with this key and counter. */
__device__ inline unsigned philox(unsigned long long key, unsigned long long low, unsigned long long high, int word) {
    unsigned x[4] = {(unsigned)low, (unsigned)(low >> 32), (unsigned)high, (unsigned)(high >> 32)};
    unsigned k0 = (unsigned)key, k1 = (unsigned)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const unsigned a = 0xD2511F53u * x[0], a_high = __umulhi(0xD2511F53u, x[0]);
        const unsigned b = 0xCD9E8D57u * x[2], b_high = __umulhi(0xCD9E8D57u, x[2]);
        x[0] = b_high ^ x[1] ^ k0;
        x[1] = b;
        x[2] = a_high ^ x[3] ^ k1;
        x[3] = a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return x[word];
}

/* y = x mask or, without x, the mask: `scale` where an element is kept (with probability 1 - p), else 0. */
template <typename T>
__global__ void masked(const T *x, T *y, long long count, double p, double scale, unsigned long long seed, unsigned long long call) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    const unsigned bits = philox(seed, i / 4, call, i % 4) >> 8;
    const Wide<T> factor = bits >= p * 16777216.0 ? Wide<T>(scale) : Wide<T>(0);
    store(y + i, x ? wide(x[i]) * factor : factor);
}
