/* One step of the recurrent cells, pointwise: a thread takes one hidden unit of one row. */
#include "../cells.h"
#include "numbers.cuh"

#define ELEMENT                                                                                                                 \
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;                                                      \
    if (i >= count)                                                                                                             \
        return;                                                                                                                 \
    const long long row = i / H, unit = i % H;                                                                                  \
    using Numbers = Scalar<Wide<T>>

/* Gate number g of this thread's row and unit, of `gates` side by side. */
#define GATE(array, g, gates) ((array)[(row * (gates) + (g)) * H + unit])

template <typename T> __global__ void lstm_cell_forward(const T *gates_x, const T *gates_h, const T *c, T *new_h, T *new_c, T *gates,
                                                        long long H, long long count) {
    ELEMENT;
    LstmCell<Numbers> cell;
    cell.i = wide(GATE(gates_x, 0, 4)) + wide(GATE(gates_h, 0, 4));
    cell.f = wide(GATE(gates_x, 1, 4)) + wide(GATE(gates_h, 1, 4));
    cell.g = wide(GATE(gates_x, 2, 4)) + wide(GATE(gates_h, 2, 4));
    cell.o = wide(GATE(gates_x, 3, 4)) + wide(GATE(gates_h, 3, 4));
    const Wide<T> fresh = cell.cell(wide(c[i]));
    cell.output_gate();
    store(new_c + i, fresh);
    store(new_h + i, cell.o * Numbers::tanh(fresh));
    store(&GATE(gates, 0, 4), cell.i);
    store(&GATE(gates, 1, 4), cell.f);
    store(&GATE(gates, 2, 4), cell.g);
    store(&GATE(gates, 3, 4), cell.o);
}

template <typename T>
__global__ void lstm_cell_backward(const T *grad_h, const T *grad_c, const T *c, const T *new_c, const T *gates, T *grad_gates,
                                   T *grad_before, long long H, long long count) {
    ELEMENT;
    LstmCell<Numbers> cell{wide(GATE(gates, 0, 4)), wide(GATE(gates, 1, 4)), wide(GATE(gates, 2, 4)), wide(GATE(gates, 3, 4))};
    const Wide<T> tanh_c = Numbers::tanh(wide(new_c[i])), dh = wide(grad_h[i]);
    const Wide<T> dc = wide(grad_c[i]) + dh * cell.o * (1 - tanh_c * tanh_c);
    const auto d = cell.cell_backward(dc, wide(c[i]));
    store(&GATE(grad_gates, 0, 4), d.i);
    store(&GATE(grad_gates, 1, 4), d.f);
    store(&GATE(grad_gates, 2, 4), d.g);
    store(&GATE(grad_gates, 3, 4), cell.output_gate_backward(dh * tanh_c));
    store(grad_before + i, dc * cell.f);
}

template <typename T>
__global__ void gru_cell_forward(const T *gates_x, const T *gates_h, const T *h, T *new_h, T *gates, long long H, long long count) {
    ELEMENT;
    GruCell<Numbers> cell;
    cell.r = wide(GATE(gates_x, 0, 3)) + wide(GATE(gates_h, 0, 3));
    cell.z = wide(GATE(gates_x, 1, 3)) + wide(GATE(gates_h, 1, 3));
    cell.hn = wide(GATE(gates_h, 2, 3));
    store(new_h + i, cell.forward(wide(GATE(gates_x, 2, 3)), wide(h[i])));
    store(&GATE(gates, 0, 4), cell.r);
    store(&GATE(gates, 1, 4), cell.z);
    store(&GATE(gates, 2, 4), cell.n);
    store(&GATE(gates, 3, 4), cell.hn);
}

template <typename T>
__global__ void gru_cell_backward(const T *grad_h, const T *h, const T *gates, T *grad_x, T *grad_hidden, T *grad_before, long long H,
                                  long long count) {
    ELEMENT;
    GruCell<Numbers> cell{wide(GATE(gates, 0, 4)), wide(GATE(gates, 1, 4)), wide(GATE(gates, 2, 4)), wide(GATE(gates, 3, 4))};
    const auto d = cell.backward(wide(grad_h[i]), wide(h[i]));
    store(&GATE(grad_x, 0, 3), d.r);
    store(&GATE(grad_x, 1, 3), d.z);
    store(&GATE(grad_x, 2, 3), d.n);
    store(&GATE(grad_hidden, 0, 3), d.r);
    store(&GATE(grad_hidden, 1, 3), d.z);
    store(&GATE(grad_hidden, 2, 3), d.hn);
    store(grad_before + i, d.h_before);
}
