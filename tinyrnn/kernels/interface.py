"""The kernels: every signature once, with shapes, dtypes, and who owns the output.

A backend is anything with these functions as attributes; dispatch.py finds the one for an array's type. For all of them:

- Arrays of one call have the same array type, and float arrays the same dtype, unless the docstring says otherwise. Any float
  dtype, shape and layout is allowed; a backend may be fast only for some.
- Arguments are only read. Results are new arrays, owned by the caller, that share no memory with an argument. Functions that
  write in place say so, and return None.
- ``<op>_backward`` takes the gradient of the output of ``<op>_forward``, of its shape, and gives those of the inputs.
- Overflow, division by zero and NaN pass through as IEEE 754 has them, without a warning.

Letters: T time, B batch, C classes, E embedding, F features, H hidden, V vocabulary; "..." any dimensions.
"""

from __future__ import annotations

from typing import Any, Protocol

from tinyrnn.kernels.sweeps import Saved, Sweep

Array = Any  # of NumPy, CuPy, ...: whatever the backend computes with


class Kernels(Protocol):
    # ---- arithmetic ----

    def add_forward(self, a: Array, b: Array) -> Array:
        """Elementwise a + b. `a` and `b`: any shape that NumPy broadcasts, any dtype; one of them may be a number."""

    def sub_forward(self, a: Array, b: Array) -> Array:
        """Elementwise a - b; operands as for `add_forward`."""

    def mul_forward(self, a: Array, b: Array) -> Array:
        """Elementwise a * b; operands as for `add_forward`."""

    def div_forward(self, a: Array, b: Array) -> Array:
        """Elementwise a / b, true division; operands as for `add_forward`."""

    def pow_forward(self, a: Array, b: Array) -> Array:
        """Elementwise a ** b; operands as for `add_forward`."""

    def add_scaled_forward(self, a: Array, b: Array, alpha: float) -> Array:
        """a + alpha b, for float arrays of one shape."""

    def lerp_forward(self, a: Array, b: Array, weight: float) -> Array:
        """a + weight (b - a), for float arrays of one shape; b - (b - a) (1 - weight) if |weight| >= 1/2, so that 1 gives b."""

    def clamp_forward(self, x: Array, low: Array | None, high: Array | None) -> Array:
        """Each element, but at least `low` and then at most `high`, numbers or arrays of the shape of `x`; NaN stays."""

    def where_forward(self, mask: Array, a: Array, b: Array, dtype: Any) -> Array:
        """`a` where `mask`, of bools, is true, else `b`: arrays of `dtype`, broadcast together, or numbers that it has."""

    def add_into(self, y: Array, x: Array, alpha: float) -> None:
        """y += alpha x in place. `y`: floats; `x`: an array of its shape, of which it may be part, or a number."""

    def mul_into(self, y: Array, x: Array) -> None:
        """y *= x in place; operands as for `add_into`."""

    def div_into(self, y: Array, x: Array) -> None:
        """y /= x in place; operands as for `add_into`."""

    def fill_into(self, y: Array, value: float) -> None:
        """Set every element of `y` to a number."""

    def lerp_into(self, y: Array, x: Array, weight: float) -> None:
        """`lerp_forward` of y and `x`, which has its shape, in place; `x` may be part of y."""

    def clamp_into(self, y: Array, low: float | None, high: float | None) -> None:
        """`clamp_forward` of y, in place."""

    # ---- reductions ----

    def sum_forward(self, x: Array, axes: tuple[int, ...]) -> Array:
        """`x` summed over the axes, all different and not negative, which go away; of its dtype, any but bool."""

    def extreme(self, x: Array, axes: tuple[int, ...], largest: bool) -> Array:
        """The largest or the smallest elements of `x`, any dtype, over the axes, as for `sum_forward`; NaN beats the others."""

    # ---- order: NaN counts as the largest, and of equal elements the earlier comes first, whichever way ----

    def argsort(self, x: Array, axis: int, descending: bool) -> Array:
        """The indices (int64) that put the elements of `x`, any dtype, in order along `axis`, which is not negative."""

    def topk(self, x: Array, k: int, axis: int, largest: bool) -> Array:
        """The indices (int64) of the `k` largest or smallest elements along `axis`, where there are as many, best first."""

    # ---- products ----

    def matmul_forward(self, a: Array, b: Array) -> Array:
        """Matrix product a @ b, as NumPy's: (..., n, k) and (..., k, m) give (..., n, m), with broadcast batch dimensions."""

    def linear_forward(self, x: Array, weight: Array, bias: Array | None) -> Array:
        """x W^T + b, a dense layer: `x` (N, I), `weight` (O, I), `bias` (O,) or what broadcasts to it or None; gives (N, O)."""

    # ---- activations: elementwise, any shape, the output has shape and dtype of x ----

    def exp_forward(self, x: Array) -> Array:
        """e to the power of each element."""

    def log_forward(self, x: Array) -> Array:
        """The natural logarithm of each element: -inf of 0, NaN below."""

    def erf_forward(self, x: Array) -> Array:
        """The error function of each element."""

    def tanh_forward(self, x: Array) -> Array:
        """Hyperbolic tangent of each element."""

    def tanh_backward(self, grad: Array, y: Array) -> Array:
        """Gives grad (1 - y^2), where y is the output of `tanh_forward`."""

    def sigmoid_forward(self, x: Array) -> Array:
        """1 / (1 + exp(-x)) of each element; never overflows."""

    def sigmoid_backward(self, grad: Array, y: Array) -> Array:
        """Gives grad y (1 - y), where y is the output of `sigmoid_forward`."""

    def logsigmoid_forward(self, x: Array) -> Array:
        """log(sigmoid(x)) of each element; never underflows."""

    def logsigmoid_backward(self, grad: Array, x: Array) -> Array:
        """Gives grad sigmoid(-x)."""

    def relu_forward(self, x: Array) -> Array:
        """max(x, 0) of each element; NaN stays NaN."""

    def relu_backward(self, grad: Array, y: Array) -> Array:
        """Gives grad where y > 0 or is NaN, else 0; y is the output of `relu_forward`."""

    def leaky_relu_forward(self, x: Array, negative_slope: float) -> Array:
        """x where it is above 0, else negative_slope x."""

    def leaky_relu_backward(self, grad: Array, x: Array, negative_slope: float) -> Array:
        """Gives grad where x > 0, else negative_slope grad."""

    def elu_forward(self, x: Array, alpha: float) -> Array:
        """alpha (exp(x) - 1) where x is 0 or below, else x."""

    def elu_backward(self, grad: Array, x: Array, alpha: float) -> Array:
        """Gives alpha exp(x) grad where x <= 0, else grad."""

    def softplus_forward(self, x: Array, beta: float, threshold: float) -> Array:
        """log(1 + exp(beta x)) / beta of each element; x itself where beta x > threshold."""

    def softplus_backward(self, grad: Array, x: Array, beta: float, threshold: float) -> Array:
        """Gives grad sigmoid(beta x), and grad itself where beta x > threshold."""

    def silu_forward(self, x: Array) -> Array:
        """x sigmoid(x) of each element."""

    def silu_backward(self, grad: Array, x: Array) -> Array:
        """The gradient of `silu_forward` for its input x."""

    def gelu_forward(self, x: Array, approximate: str) -> Array:
        """x Phi(x) of each element, Phi the normal distribution function: exact ("none") or by tanh ("tanh")."""

    def gelu_backward(self, grad: Array, x: Array, approximate: str) -> Array:
        """The gradient of `gelu_forward` for its input x."""

    # ---- recurrent cells ----
    # One step of one layer, pointwise. gates_x = x W_ih^T + b_ih and gates_h = h W_hh^T + b_hh, both (B, G H), with the gates
    # side by side: LSTM i, f, g, o; GRU r, z, n. States are (B, H). "..." may stand for B.

    def rnn_cell_forward(self, gates_x: Array, gates_h: Array, nonlinearity: str) -> Array:
        """The new h, (B, H): tanh or ReLU ("tanh", "relu") of gates_x + gates_h, both (B, H)."""

    def rnn_cell_backward(self, grad_h: Array, h: Array, nonlinearity: str) -> Array:
        """The gradient, (B, H), of gates_x, which is also that of gates_h; h is the output of `rnn_cell_forward`."""

    def lstm_cell_forward(self, gates_x: Array, gates_h: Array, c: Array) -> tuple[Array, Array, Array]:
        """(new h, new c, gates): (B, H), (B, H) and the activated i, f, g, o, (B, 4 H), which backward needs."""

    def lstm_cell_backward(self, grad_h: Array, grad_c: Array, c: Array, new_c: Array, gates: Array) -> tuple[Array, Array]:
        """(gradient of gates_x and also of gates_h, (B, 4 H); gradient of c, (B, H)).

        `grad_h` and `grad_c` are the gradients of the new h and the new c.
        """

    def gru_cell_forward(self, gates_x: Array, gates_h: Array, h: Array) -> tuple[Array, Array]:
        """(new h, gates): (B, H), and the activated r, z, n with the n part of gates_h, (B, 4 H), which backward needs."""

    def gru_cell_backward(self, grad_h: Array, h: Array, gates: Array) -> tuple[Array, Array, Array]:
        """(gradient of gates_x, (B, 3 H); of gates_h, (B, 3 H); of h by way of the cell alone, (B, H))."""

    # ---- recurrent sweeps ----
    # One layer over all steps of a batch of sequences, in D = 1 or 2 directions. Rows are packed, N = sum(batch_sizes): step t
    # holds the rows of the first batch_sizes[t] sequences, the longest first. A batch of B = len(h_0) sequences may have more
    # than batch_sizes[0], the others being empty: their final states are the initial ones.

    def recurrent_forward(
        self, mode: str, x: Array, batch_sizes: Any, sweeps: list[Sweep], save: bool
    ) -> tuple[Array, list[tuple], list[Saved | None]]:
        """(output, finals, saved): the outputs of all directions side by side, (N, D P), and for each direction its final
        states (h, (B, P),) or (h, c, (B, H)), every sequence's where its sweep ended, and what backward needs if `save`.

        `mode` : one of sweeps.MODES. `x` : (N, I), or (N, G H) where weight_ih is None. `batch_sizes` : (T,) int64, falling.
        `sweeps` : one for each direction, with the same sizes and options.
        The equations are in sweeps.py. The arrays of `saved` belong to the kernels; copy them to write.
        """

    def recurrent_step(self, mode: str, x: Array, states: tuple, weights: list[tuple]) -> tuple[Array, tuple]:
        """(h of the last layer, (B, H); new states): one step of a stack of L plain layers, for streams.

        `x` : (B, I). `states` : (h, (L, B, H),) or (h, c). `weights` : for every layer weight_ih, weight_hh, bias_ih, bias_hh.
        """

    def recurrent_backward(
        self,
        mode: str,
        grad_output: Array | None,
        grad_finals: list[tuple],
        grad_cells: list[Array | None],
        x: Array,
        batch_sizes: Any,
        sweeps: list[Sweep],
        output: Array,
        saved: list[Saved],
        needs_x: bool,
    ) -> tuple[Array | None, list[Sweep]]:
        """(gradient of x, or None unless `needs_x`; for each direction a Sweep with the gradients in the places of the arrays).

        `grad_output`, every entry of `grad_finals` (tuples like finals) and `grad_cells` (of the cells in `saved`, (N, H)) may
        be None, for zeros. The masks and zoneout have no gradient: None is in their places, and False in that of `reverse`.
        """

    # ---- softmax and cross-entropy ----

    def softmax_forward(self, x: Array, axis: int) -> Array:
        """exp(x) / sum(exp(x)) along `axis`, of the shape and dtype of x; a slice of -inf only gives NaN."""

    def softmax_backward(self, grad: Array, y: Array, axis: int) -> Array:
        """The gradient for x, where y is the output of `softmax_forward`."""

    def log_softmax_forward(self, x: Array, axis: int) -> Array:
        """x - log(sum(exp(x))) along `axis`, of the shape and dtype of x."""

    def log_softmax_backward(self, grad: Array, y: Array, axis: int) -> Array:
        """The gradient for x, where y is the output of `log_softmax_forward`."""

    def cross_entropy_forward(
        self, x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float
    ) -> tuple[Array, Array]:
        """(losses, log probabilities): (B,) and (B, C).

        `x` : (B, C) scores. `target` : (B,) class numbers, int64, in [0, C) or `ignore_index`, whose loss is 0.
        `weight` : (C,) factors of the classes. The losses are weighted but not yet averaged.
        """

    def cross_entropy_backward(
        self,
        grad: Array,
        log_probabilities: Array,
        target: Array,
        weight: Array | None,
        ignore_index: int,
        label_smoothing: float,
    ) -> Array:
        """The gradient for x, (B, C); `grad`, (B,), is that of the losses."""

    # ---- connectionist temporal classification ----

    def ctc_forward(self, log_probs: Array, targets: Array, input_lengths: Array, target_lengths: Array, blank: int) -> Array:
        """-log of the sum, over all paths that spell a target, of the products of their probabilities: (B,), inf if none does.

        `log_probs` : (T, B, C), summed in float64; steps from input_lengths[b] on are never read. `targets` : (B, S) class
        numbers in [0, C), int64, no `blank` among the first target_lengths[b]. `input_lengths` and `target_lengths` : (B,)
        int64, at most T and S.
        """

    def ctc_backward(
        self, grad: Array, log_probs: Array, targets: Array, input_lengths: Array, target_lengths: Array, blank: int
    ) -> Array:
        """The derivative for log_probs, (T, B, C); `grad`, (B,), is that of the losses.

        It is minus the probability that a path that spells the target is in a class at a step: 0 from input_lengths[b] on, and
        NaN before it where the loss is not finite.
        """

    # ---- dropout ----
    # Element number i (row by row) is kept where u_i >= p, u_i in [0, 1) being the upper 24 bits of word i % 4 of Philox4x32-10
    # with the key `seed` and the counter (i // 4, `call`), both of 64 bits. So it is on every backend, and on every number of
    # threads.

    def dropout_forward(self, x: Array, p: float, seed: int, call: int) -> Array:
        """x / (1 - p) where an element is kept, else x times 0, in the shape and dtype of x; 0 <= p <= 1."""

    def dropout_backward(self, grad: Array, p: float, seed: int, call: int) -> Array:
        """The gradient for x: grad through the mask of `dropout_forward` with the same p, seed and call."""

    def keep_mask(self, like: Array, shape: tuple[int, ...], p: float, scale: float, seed: int, call: int) -> Array:
        """`scale` where an element is kept, else 0: `shape`, in the type and dtype of the array `like`."""

    # ---- layer normalization ----

    def layer_norm_forward(self, x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
        """(y, mean, rstd): (B, F), (B, 1) and (B, 1), the latter two in the dtype that the sums are taken in.

        y = (x - mean) rstd weight + bias, with rstd = 1 / sqrt(variance + eps) over the features of a row. `x` : (B, F).
        `weight`, `bias` : (F,).
        """

    def layer_norm_backward(
        self, grad: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
    ) -> tuple[Array, Array, Array]:
        """The gradients of x, (B, F), weight, (F,), and bias, (F,); the latter two also where there is none."""

    # ---- indices, embedding ----

    def extent(self, ids: Array) -> tuple[int, int]:
        """The smallest and the largest of some integers, of which there is at least one."""

    def embedding_forward(self, weight: Array, ids: Array) -> Array:
        """The rows `ids`, (...), integers in [0, V), of `weight`, (V, E): (..., E)."""

    def embedding_backward(self, grad: Array, ids: Array, num_embeddings: int, padding_idx: int | None) -> Array:
        """The gradient of weight, (V, E) with V = `num_embeddings`: rows of grad, (..., E), summed by id.

        Row `padding_idx` is 0. Rows of the same id are added in the order in which they come, so that sums do not vary.
        """

    def sum_segments(self, values: Array, starts: Array) -> Array:
        """(M, E): sums of the rows of `values`, (N, E), any dtype, from each of `starts`, (M,) rising from 0, to the next."""

    # ---- clipping and optimizer steps ----
    # Lists hold one array per parameter; arrays at the same place have the same shape and dtype, arrays at different places
    # need not. Formulas are PyTorch's; g is the gradient, negated if `maximize`.

    def global_norm(self, arrays: list[Array]) -> Array:
        """The Euclidean norm of all elements together, summed and given as float64, a 0-d array. Any shapes and dtypes."""

    def scale_inplace(self, arrays: list[Array], factor: Any) -> None:
        """Multiplies every array by `factor`, a number or 0-d array, in place."""

    def sgd_step(
        self,
        params: list[Array],
        grads: list[Array],
        momentum_buffers: list[Array] | None,
        lr: float,
        momentum: float,
        dampening: float,
        weight_decay: float,
        nesterov: bool,
        maximize: bool,
    ) -> None:
        """One step of stochastic gradient descent; writes params and momentum_buffers.

        g += weight_decay p; b = momentum b + (1 - dampening) g; g = g + momentum b if `nesterov`, else b; p -= lr g.
        Without buffers (None) there is no momentum. In the first step b is 0 and the caller passes dampening = 0.
        """

    def adam_step(
        self,
        params: list[Array],
        grads: list[Array],
        exp_avgs: list[Array],
        exp_avg_sqs: list[Array],
        max_exp_avg_sqs: list[Array] | None,
        step: int,
        lr: float,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        decoupled: bool,
        maximize: bool,
    ) -> None:
        """Step number `step`, from 1, of Adam; writes params and the running means.

        g += weight_decay p or, if `decoupled`, p *= 1 - lr weight_decay; m += (1 - beta1) (g - m);
        v = beta2 v + (1 - beta2) g^2; p -= lr m' / (sqrt(v') + eps), where m' = m / (1 - beta1^step) and
        v' = v / (1 - beta2^step), of the largest v so far if `max_exp_avg_sqs` is not None (AMSGrad).
        """
