/* One step of one layer of plain cells, forward and in one launch, for streams: products with x and h, and the cell on their sums. */
#include "sweep.cuh"

template <typename T, int MODE>
__global__ void __launch_bounds__(UNITS *ROWS, 3)
    layer_step(const T *x, const T *h, const T *c, const T *weight_ih, const T *weight_hh, const T *bias_ih, const T *bias_hh, T *new_h,
               T *new_c, T *output, long long B, long long I, long long H) {
    using W = Wide<T>;
    using Numbers = Scalar<W>;
    constexpr int G = gates_of(MODE);
    W of_x[G], of_h[G];
    product<T, G>({x, I, nullptr, weight_ih, H * I, I, B, H, I}, of_x);
    __syncthreads();
    product<T, G>({h, H, nullptr, weight_hh, H * H, H, B, H, H}, of_h);
    const long long row = row_of_thread(), unit = unit_of_thread(), at = row * H + unit;
    if (row >= B || unit >= H)
        return;
    for (int g = 0; g < G; g++) {
        of_x[g] += bias_ih ? wide(bias_ih[g * H + unit]) : W(0);
        of_h[g] += bias_hh ? wide(bias_hh[g * H + unit]) : W(0);
    }
    W next;
    if constexpr (MODE == RNN_TANH) {
        next = RnnTanh<Numbers>::forward(of_x[0] + of_h[0]);
    } else if constexpr (MODE == RNN_RELU) {
        next = RnnRelu<Numbers>::forward(of_x[0] + of_h[0]);
    } else if constexpr (MODE == LSTM) {
        LstmCell<Numbers> cell{of_x[0] + of_h[0], of_x[1] + of_h[1], of_x[2] + of_h[2], of_x[3] + of_h[3]};
        const W fresh = cell.cell(wide(c[at]));
        cell.output_gate();
        store(new_c + at, fresh);
        next = cell.o * Numbers::tanh(fresh);
    } else {
        GruCell<Numbers> cell;
        cell.r = of_x[0] + of_h[0];
        cell.z = of_x[1] + of_h[1];
        cell.hn = of_h[2];
        next = cell.forward(of_x[2], wide(h[at]));
    }
    store(new_h + at, next);
    if (output)
        store(output + at, next);
}
