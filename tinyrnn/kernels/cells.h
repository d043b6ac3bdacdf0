/* The formulas of the recurrent cells, forward beside backward, written once for every processor.

   `Math` says what a value is (a vector of hidden units on a CPU, one number on a GPU) and brings sigmoid, tanh and relu.
   Arguments named *_in are pre-activations: W x + b + U h + b of a gate. Gradients are named d<value>. */
#pragma once

#ifdef __CUDACC__
#define FORMULA __device__
#else
#define FORMULA
#endif

/* Elman 1990: h = tanh(in) or relu(in). */
template <class Math> struct RnnTanh {
    using V = typename Math::V;
    FORMULA static V forward(V h_in) { return Math::tanh(h_in); }
    FORMULA static V backward(V dh, V h) { return dh * (Math::one - h * h); }
};

template <class Math> struct RnnRelu {
    using V = typename Math::V;
    FORMULA static V forward(V h_in) { return Math::relu(h_in); }
    FORMULA static V backward(V dh, V h) { return Math::where_positive(h, dh); }
};

/* Hochreiter & Schmidhuber 1997, Gers et al. 2000:

   i = sigmoid(i_in), f = sigmoid(f_in), g = tanh(g_in), c = f c' + i g, o = sigmoid(o_in), h = o tanh(c), where c' is the
   c of the step before. With the peepholes p of Gers & Schmidhuber 2000 the caller adds p_i c' to i_in and p_f c' to f_in
   before `cell`, p_o c to o_in before `output_gate`, and the same to the gradients. */
template <class Math> struct LstmCell {
    using V = typename Math::V;
    V i, f, g, o; // first the pre-activations, then the gates

    FORMULA V cell(V c_before) {
        i = Math::sigmoid(i);
        f = Math::sigmoid(f);
        g = Math::tanh(g);
        return f * c_before + i * g;
    }
    FORMULA void output_gate() { o = Math::sigmoid(o); }

    /* The gradient of o_in, given that of o. */
    FORMULA V output_gate_backward(V grad_o) const { return grad_o * o * (Math::one - o); }

    /* The gradients of the other pre-activations, given that of c. That of c' is dc f. */
    struct Gradients {
        V i, f, g;
    };
    FORMULA Gradients cell_backward(V dc, V c_before) const {
        return {dc * g * i * (Math::one - i), dc * c_before * f * (Math::one - f), dc * i * (Math::one - g * g)};
    }
};

/* Cho et al. 2014, with r applied after the product with W_hn, as cuDNN and PyTorch do:

   r = sigmoid(r_in), z = sigmoid(z_in), n = tanh(xn_in + r hn), h = (1 - z) n + z h', hn = W_hn h' + b_hn.
   Before the product: n = tanh(n_in) where n_in has W_hn (r h') in it. */
template <class Math> struct GruCell {
    using V = typename Math::V;
    V r, z, n, hn;

    FORMULA void reset_and_update() {
        r = Math::sigmoid(r);
        z = Math::sigmoid(z);
    }
    FORMULA V output(V h_before) const { return n + z * (h_before - n); }
    FORMULA V forward(V xn_in, V h_before) {
        reset_and_update();
        n = Math::tanh(xn_in + r * hn);
        return output(h_before);
    }

    struct Gradients {
        V r, z, n, hn, h_before; // h_before: by way of z h' alone
    };
    FORMULA V candidate_backward(V dh) const { return dh * (Math::one - z) * (Math::one - n * n); }
    FORMULA V update_backward(V dh, V h_before) const { return dh * (h_before - n) * z * (Math::one - z); }
    FORMULA Gradients backward(V dh, V h_before) const {
        Gradients d;
        d.n = candidate_backward(dh);
        d.z = update_backward(dh, h_before);
        d.r = d.n * hn * r * (Math::one - r);
        d.hn = d.n * r;
        d.h_before = dh * z;
        return d;
    }
};
