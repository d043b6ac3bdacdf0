"""Every kernel in plain NumPy, for any float dtype: the oracle of the compiled ones, and what runs where none is compiled.

Signatures and contracts are those of interface.py.
"""

from __future__ import annotations

import math

import numpy as np

from tinyrnn.kernels.narrow import in_32_bits as _in_32_bits
from tinyrnn.kernels.narrow import widened as _widened
from tinyrnn.kernels.narrow import with_number_in_32_bits as _with_number_in_32_bits
from tinyrnn.kernels.narrow import written_in_32_bits as _written_in_32_bits
from tinyrnn.kernels.reference_activations import (  # noqa: F401
    elu_backward,
    elu_forward,
    erf_forward,
    exp_forward,
    gelu_backward,
    gelu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    log_forward,
    logsigmoid_backward,
    logsigmoid_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from tinyrnn.kernels.reference_ctc import ctc_backward, ctc_forward  # noqa: F401  (two of the kernels)
from tinyrnn.kernels.reference_random import dropout_backward, dropout_forward, keep_mask  # noqa: F401
from tinyrnn.kernels.reference_recurrent import (  # noqa: F401  (three of the kernels)
    recurrent_backward,
    recurrent_forward,
    recurrent_step,
)
from tinyrnn.kernels.reference_sorting import argsort, topk  # noqa: F401

_quiet = np.errstate(all="ignore")  # overflow gives inf and 0 / 0 NaN without a warning, as in PyTorch


# ---- arithmetic ----------------------------------------------------------------------------------------------------


@_quiet
def add_forward(a, b):
    return np.add(a, b)


@_quiet
def sub_forward(a, b):
    return np.subtract(a, b)


@_quiet
@_with_number_in_32_bits
def mul_forward(a, b):
    return np.multiply(a, b)


@_quiet
@_with_number_in_32_bits
def div_forward(a, b):
    return np.true_divide(a, b)


@_quiet
def pow_forward(a, b):
    if type(b) is float and b == -0.5:
        return _reciprocal_root(a)
    return a**b  # unlike np.power, quick where b is a number such as 0.5


@_in_32_bits
def _reciprocal_root(x):
    return 1 / np.sqrt(x)  # NumPy's power -0.5 of -0 and -inf does not fit its 0.5, which is a root


@_quiet
@_in_32_bits
def add_scaled_forward(a, b, alpha):
    return a + float(alpha) * b  # one of NumPy's own would widen the sum


@_quiet
@_in_32_bits
def lerp_forward(a, b, weight):
    # from the nearer end, so that both are reached exactly
    return a + weight * (b - a) if abs(weight) < 0.5 else b - (b - a) * (1 - weight)


@_quiet
def clamp_forward(x, low, high):
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def where_forward(mask, a, b, dtype):
    result = np.where(mask, a, b)
    return result if result.dtype is dtype else result.astype(dtype, copy=False)  # CuPy's is float32 where that is bfloat16


@_quiet
@_written_in_32_bits(0)
def add_into(y, x, alpha):
    np.add(y, x if alpha == 1 else x * alpha, out=y)


@_quiet
@_written_in_32_bits(0)
def mul_into(y, x):
    np.multiply(y, x, out=y)


@_quiet
@_written_in_32_bits(0)
def div_into(y, x):
    np.true_divide(y, x, out=y)


@_quiet
def fill_into(y, value):
    y[...] = value


def lerp_into(y, x, weight):
    y[...] = lerp_forward(y, x, weight)


def clamp_into(y, low, high):
    y[...] = clamp_forward(y, low, high)


# ---- reductions ----------------------------------------------------------------------------------------------------


@_quiet
@_in_32_bits
def sum_forward(x, axes):
    return np.asarray(x.sum(axis=axes, dtype=x.dtype.type), like=x)


@_quiet
def extreme(x, axes, largest):
    return np.asarray(x.max(axis=axes) if largest else x.min(axis=axes), like=x)


# ---- products ------------------------------------------------------------------------------------------------------


@_quiet
@_in_32_bits
def matmul_forward(a, b):
    return np.matmul(a, b)


@_quiet
@_in_32_bits
def linear_forward(x, weight, bias):
    out = np.matmul(x, weight.T)
    if bias is not None:
        out += bias
    return out


# ---- recurrent cells -----------------------------------------------------------------------------------------------
# One step of one layer, pointwise: the products with the weights have been taken. Gates lie side by side in the last
# dimension, LSTM i, f, g, o and GRU r, z, n.


@_quiet
@_in_32_bits
def rnn_cell_forward(gates_x, gates_h, nonlinearity):
    a = gates_x + gates_h
    return np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0)


@_quiet
@_in_32_bits
def rnn_cell_backward(grad_h, h, nonlinearity):
    return grad_h * (1 - h * h) if nonlinearity == "tanh" else np.where(h <= 0, grad_h.dtype.type(0), grad_h)


@_quiet
@_in_32_bits
def lstm_cell_forward(gates_x, gates_h, c):
    i, f, g, o = np.split(gates_x + gates_h, 4, axis=-1)
    i, f, g, o = sigmoid_forward(i), sigmoid_forward(f), np.tanh(g), sigmoid_forward(o)
    new_c = f * c + i * g
    return o * np.tanh(new_c), new_c, np.concatenate([i, f, g, o], axis=-1)


@_quiet
@_in_32_bits
def lstm_cell_backward(grad_h, grad_c, c, new_c, gates):
    i, f, g, o = np.split(gates, 4, axis=-1)
    tanh_c = np.tanh(new_c)
    grad_c = grad_c + grad_h * o * (1 - tanh_c * tanh_c)
    grad_i = grad_c * g * i * (1 - i)
    grad_f = grad_c * c * f * (1 - f)
    grad_g = grad_c * i * (1 - g * g)
    grad_o = grad_h * tanh_c * o * (1 - o)
    return np.concatenate([grad_i, grad_f, grad_g, grad_o], axis=-1), grad_c * f


@_quiet
@_in_32_bits
def gru_cell_forward(gates_x, gates_h, h):
    xr, xz, xn = np.split(gates_x, 3, axis=-1)
    hr, hz, hn = np.split(gates_h, 3, axis=-1)
    r, z = sigmoid_forward(xr + hr), sigmoid_forward(xz + hz)
    n = np.tanh(xn + r * hn)
    return (1 - z) * n + z * h, np.concatenate([r, z, n, hn], axis=-1)


@_quiet
@_in_32_bits
def gru_cell_backward(grad_h, h, gates):
    r, z, n, hn = np.split(gates, 4, axis=-1)
    grad_n = grad_h * (1 - z) * (1 - n * n)
    grad_z = grad_h * (h - n) * z * (1 - z)
    grad_r = grad_n * hn * r * (1 - r)
    grad_gates_x = np.concatenate([grad_r, grad_z, grad_n], axis=-1)
    grad_gates_h = np.concatenate([grad_r, grad_z, grad_n * r], axis=-1)
    return grad_gates_x, grad_gates_h, grad_h * z


# ---- softmax and cross-entropy -------------------------------------------------------------------------------------


def _shifted(x, axis):
    """`x` minus its largest value along `axis`, so that exp cannot overflow."""
    return x - x.max(axis=axis, keepdims=True, initial=-np.inf)


@_quiet
@_in_32_bits
def softmax_forward(x, axis):
    y = _shifted(x, axis)
    np.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y


@_quiet
@_in_32_bits
def softmax_backward(grad, y, axis):
    return y * (grad - (grad * y).sum(axis=axis, keepdims=True))


@_quiet
@_in_32_bits
def log_softmax_forward(x, axis):
    y = _shifted(x, axis)
    y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))
    return y


@_quiet
@_in_32_bits
def log_softmax_backward(grad, y, axis):
    return grad - np.exp(y) * grad.sum(axis=axis, keepdims=True)


@_quiet
@_in_32_bits
def cross_entropy_forward(x, target, weight, ignore_index, label_smoothing):
    y = log_softmax_forward(x, 1)
    kept = target != ignore_index
    safe = np.where(kept, target, 0)
    losses = -y[np.arange(len(y)), safe]
    if weight is not None:
        losses *= weight[safe]
    if label_smoothing:
        everywhere = y.mean(axis=1) if weight is None else y @ weight / y.dtype.type(y.shape[1])
        losses = (1 - label_smoothing) * losses - label_smoothing * everywhere
    return np.where(kept, losses, 0).astype(x.dtype, copy=False), y


@_quiet
@_in_32_bits
def cross_entropy_backward(grad, log_probabilities, target, weight, ignore_index, label_smoothing):
    y = log_probabilities
    kept = target != ignore_index
    safe = np.where(kept, target, 0)
    aims = np.zeros_like(y) if weight is None else np.tile(weight.astype(y.dtype) / y.shape[1], (len(y), 1))
    if weight is None:
        aims += 1 / y.shape[1]
    aims *= label_smoothing
    aims[np.arange(len(y)), safe] += (1 - label_smoothing) * (1 if weight is None else weight[safe])
    result = (np.exp(y) * aims.sum(axis=1, keepdims=True) - aims) * grad[:, None]
    result[~kept] = 0
    return result.astype(y.dtype, copy=False)


# ---- layer normalization -------------------------------------------------------------------------------------------


@_quiet
def layer_norm_forward(x, weight, bias, eps):
    wide, size = _widened(x), max(x.shape[1], 1)
    mean = wide.sum(axis=1, keepdims=True) / size
    y = wide - mean
    rstd = 1 / np.sqrt((y * y).sum(axis=1, keepdims=True) / size + eps)
    y *= rstd
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y.astype(x.dtype, copy=False), mean, rstd


@_quiet
@_in_32_bits
def layer_norm_backward(grad, x, mean, rstd, weight):
    size = max(x.shape[1], 1)
    normalized = (x - mean) * rstd
    inner = grad if weight is None else grad * weight
    along = (inner * normalized).sum(axis=1, keepdims=True) / size
    grad_x = (inner - inner.sum(axis=1, keepdims=True) / size - normalized * along) * rstd
    grad_weight, grad_bias = (grad * normalized).sum(axis=0), grad.sum(axis=0)
    return grad_x, grad_weight, grad_bias


# ---- indices, embedding --------------------------------------------------------------------------------------------


def extent(ids):
    return int(ids.min()), int(ids.max())


def embedding_forward(weight, ids):
    return weight[ids]


@_quiet
@_in_32_bits
def embedding_backward(grad, ids, num_embeddings, padding_idx):
    rows = grad.reshape(ids.size, grad.shape[-1])
    ids = ids.reshape(-1)
    result = np.zeros_like(grad, shape=(num_embeddings, grad.shape[-1]))
    if ids.size:
        order = ids.argsort(kind="stable")  # equal ids become neighbours and keep their order: always the same sums
        ids = ids[order]
        starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
        result[ids[starts]] = sum_segments(rows[order], starts)
    if padding_idx is not None:
        result[padding_idx] = 0
    return result


@_quiet
@_in_32_bits
def sum_segments(values, starts):
    return np.add.reduceat(values, starts, axis=0, dtype=values.dtype.newbyteorder("="))


# ---- clipping and optimizer steps ----------------------------------------------------------------------------------


@_quiet
def global_norm(arrays):
    return np.sqrt(np.asarray(sum(np.sum(np.square(array, dtype=np.float64)) for array in arrays)))


@_quiet
def scale_inplace(arrays, factor):
    for array in arrays:
        np.multiply(array, factor, out=array, casting="same_kind")


@_quiet
def sgd_step(params, grads, momentum_buffers, lr, momentum, dampening, weight_decay, nesterov, maximize):
    for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
        buffer = None if momentum_buffers is None else momentum_buffers[index]
        _sgd_step(param, grad, buffer, lr, momentum, dampening, weight_decay, nesterov, maximize)


@_written_in_32_bits(0, 2)
def _sgd_step(param, grad, buffer, lr, momentum, dampening, weight_decay, nesterov, maximize):
    g = -grad if maximize else grad
    if weight_decay != 0:
        g = g + weight_decay * param
    if buffer is not None:
        buffer *= momentum
        buffer += (1 - dampening) * g
        g = g + momentum * buffer if nesterov else buffer
    param -= lr * g


@_quiet
def adam_step(
    params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize
):
    states = zip(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs or [None] * len(params), strict=True)
    for arrays in states:
        _adam_step(*arrays, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize)


@_written_in_32_bits(0, 2, 3, 4)
def _adam_step(
    param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize
):
    g = -grad if maximize else grad
    if decoupled:
        param *= 1 - lr * weight_decay
    elif weight_decay != 0:
        g = g + weight_decay * param
    exp_avg += (1 - beta1) * (g - exp_avg)
    exp_avg_sq *= beta2
    exp_avg_sq += (1 - beta2) * (g * g)
    second = exp_avg_sq
    if max_exp_avg_sq is not None:
        second = np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
    denominator = np.sqrt(second) / math.sqrt(1 - beta2**step) + eps
    param -= lr / (1 - beta1**step) * (exp_avg / denominator)
