/* One step of the recurrent cells, pointwise: all that is done to a row of gates, in one pass over it.

   Gates lie side by side, H of each. What the arrays are says interface.py: in and out are in the order of the arguments and
   the results there. */
#pragma once

#include "elementwise.h"
#include "recurrent.h"

namespace TINYRNN_ISA {

/* Vectors of one row of an argument or a result: of `count` units from unit i on, in the given gate. */
template <typename T> struct CellRow {
    T *start;
    long H;
    inline INLINE_BODY vec<T> get(long i, long count, int gate = 0) const { return load(start + gate * H + i, count); }
    inline INLINE_BODY void set(long i, long count, vec<T> value, int gate = 0) const {
        store(start + gate * H + i, value, count);
    }
};

template <typename T> struct CellRows {
    const CellProblem *p;
    long r;
    inline INLINE_BODY CellRow<T> in(int k) const { return {(T *)((char *)p->in[k] + r * p->in_row[k]), p->H}; }
    inline INLINE_BODY CellRow<T> out(int k) const { return {(T *)((char *)p->out[k] + r * p->out_row[k]), p->H}; }
};

struct RnnTanhForward {
    template <typename T> INLINE void at(CellRows<T> row, long i, long n) {
        row.out(0).set(i, n, RnnTanh<VectorMath<T>>::forward(row.in(0).get(i, n) + row.in(1).get(i, n)));
    }
};

struct RnnReluForward {
    template <typename T> INLINE void at(CellRows<T> row, long i, long n) {
        row.out(0).set(i, n, RnnRelu<VectorMath<T>>::forward(row.in(0).get(i, n) + row.in(1).get(i, n)));
    }
};

struct RnnTanhBackward {
    template <typename T> INLINE void at(CellRows<T> row, long i, long n) {
        row.out(0).set(i, n, RnnTanh<VectorMath<T>>::backward(row.in(0).get(i, n), row.in(1).get(i, n)));
    }
};

struct RnnReluBackward {
    template <typename T> INLINE void at(CellRows<T> row, long i, long n) {
        row.out(0).set(i, n, RnnRelu<VectorMath<T>>::backward(row.in(0).get(i, n), row.in(1).get(i, n)));
    }
};

struct LstmForward {
    template <typename T> INLINE void at(CellRows<T> row, long i, long n) {
        const CellRow<T> x = row.in(0), h = row.in(1), gates = row.out(2);
        LstmCell<VectorMath<T>> cell;
        cell.i = x.get(i, n, 0) + h.get(i, n, 0);
        cell.f = x.get(i, n, 1) + h.get(i, n, 1);
        cell.g = x.get(i, n, 2) + h.get(i, n, 2);
        cell.o = x.get(i, n, 3) + h.get(i, n, 3);
        const vec<T> c = cell.cell(row.in(2).get(i, n));
        cell.output_gate();
        row.out(0).set(i, n, cell.o * tanh<T>(c));
        row.out(1).set(i, n, c);
        gates.set(i, n, cell.i, 0);
        gates.set(i, n, cell.f, 1);
        gates.set(i, n, cell.g, 2);
        gates.set(i, n, cell.o, 3);
    }
};

struct LstmBackward {
    template <typename T> INLINE void at(CellRows<T> row, long i, long n) {
        const CellRow<T> gates = row.in(4), grad_gates = row.out(0);
        const LstmCell<VectorMath<T>> cell{gates.get(i, n, 0), gates.get(i, n, 1), gates.get(i, n, 2), gates.get(i, n, 3)};
        const vec<T> dh = row.in(0).get(i, n), tanh_c = tanh<T>(row.in(3).get(i, n));
        const vec<T> dc = row.in(1).get(i, n) + dh * cell.o * (T(1) - tanh_c * tanh_c);
        const auto d = cell.cell_backward(dc, row.in(2).get(i, n));
        grad_gates.set(i, n, d.i, 0);
        grad_gates.set(i, n, d.f, 1);
        grad_gates.set(i, n, d.g, 2);
        grad_gates.set(i, n, cell.output_gate_backward(dh * tanh_c), 3);
        row.out(1).set(i, n, dc * cell.f);
    }
};

struct GruForward {
    template <typename T> INLINE void at(CellRows<T> row, long i, long n) {
        const CellRow<T> x = row.in(0), h = row.in(1), gates = row.out(1);
        GruCell<VectorMath<T>> cell;
        cell.r = x.get(i, n, 0) + h.get(i, n, 0);
        cell.z = x.get(i, n, 1) + h.get(i, n, 1);
        cell.hn = h.get(i, n, 2);
        row.out(0).set(i, n, cell.forward(x.get(i, n, 2), row.in(2).get(i, n)));
        gates.set(i, n, cell.r, 0);
        gates.set(i, n, cell.z, 1);
        gates.set(i, n, cell.n, 2);
        gates.set(i, n, cell.hn, 3);
    }
};

struct GruBackward {
    template <typename T> INLINE void at(CellRows<T> row, long i, long n) {
        const CellRow<T> gates = row.in(2), grad_x = row.out(0), grad_h = row.out(1);
        const GruCell<VectorMath<T>> cell{gates.get(i, n, 0), gates.get(i, n, 1), gates.get(i, n, 2), gates.get(i, n, 3)};
        const auto d = cell.backward(row.in(0).get(i, n), row.in(1).get(i, n));
        grad_x.set(i, n, d.r, 0);
        grad_x.set(i, n, d.z, 1);
        grad_x.set(i, n, d.n, 2);
        grad_h.set(i, n, d.r, 0);
        grad_h.set(i, n, d.z, 1);
        grad_h.set(i, n, d.hn, 2);
        row.out(2).set(i, n, d.h_before);
    }
};

template <typename T, typename Step> static void cell_step(const CellProblem *p, int threads) {
    run_team(members_for(p->B * p->H, 8192, threads), [=](int member, int members) {
        const Share share(p->B, 1, member, members);
        for (long r = share.first; r < share.last; r++)
            each_vector<T>(0, p->H, [=](long i, long count) INLINE_BODY { Step::at(CellRows<T>{p, r}, i, count); });
    });
}

} // namespace TINYRNN_ISA
