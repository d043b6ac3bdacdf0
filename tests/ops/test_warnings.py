"""No op warns of what floating-point arithmetic gives without a word in PyTorch: overflow, inf - inf, 0 / 0."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn.kernels import cpu, reference
from tinyrnn.nn import functional as F

pytestmark = pytest.mark.filterwarnings("error")

INF = float("inf")
VALUES = {
    "infinite": [INF, -INF, 1.0, float("nan")],
    "large": [3e38, 3e38, -1.0, 3e38],
    "mixed": [-3e38, 3e38, INF, -1.0],
}
OPS = {
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
    "var": lambda x: x.var(),
    "std": lambda x: x.std(),
    "prod": lambda x: x.prod(),
    "cumsum": lambda x: x.cumsum(0),
    "norm": lambda x: x.norm(),
    "norm 1": lambda x: x.norm(1),
    "norm 3": lambda x: x.norm(3),
    "logsumexp": lambda x: x.logsumexp(0),
    "softmax": lambda x: x.softmax(0),
    "leaky_relu": lambda x: F.leaky_relu(x, 100.0),
    "elu": lambda x: F.elu(x, 100.0),
    "logsigmoid": F.logsigmoid,
    "silu": F.silu,
    "gelu": F.gelu,
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "layer_norm": lambda x: F.layer_norm(x, (4,)),
    "half": lambda x: x.half(),
    "expanded": lambda x: x.expand(5, 4) * 3e38,
    "repeated rows": lambda x: x[tinyrnn.tensor([0, 0, 1, 1])] * 3e38,
    "used twice": lambda x: x * 3e38 + x * 3e38,
    "where": lambda x: tinyrnn.where(x > 0, x, 0) * 3e38,
    "clamp": lambda x: x.clamp(-1, 1) * 3e38,
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize("op", OPS.values(), ids=OPS.keys())
def test_no_warning(op, values):
    x = tinyrnn.tensor(values, requires_grad=True)
    y = op(x)
    y.backward(tinyrnn.full_like(y, 2.0))
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("dtype", [tinyrnn.float16, tinyrnn.bfloat16])
@pytest.mark.parametrize("op", [F.relu, F.elu, F.leaky_relu])
def test_gradients_to_derive_again(op, dtype):
    x = tinyrnn.tensor([float("nan"), 1.0], dtype=dtype, requires_grad=True)
    (first,) = tinyrnn.autograd.grad(op(x).sum(), x, create_graph=True)
    tinyrnn.autograd.grad(first.sum(), x, allow_unused=True)


def test_gradients_that_meet_before_a_leaf():
    for dtype, large in ((tinyrnn.float16, 6e4), (tinyrnn.float32, 3e38)):
        x = tinyrnn.ones(2, dtype=dtype, requires_grad=True)
        y = x.view(2)
        (y * large + y * large).sum().backward()
        assert x.grad.tolist() == [INF, INF]


@pytest.mark.parametrize("dtype", [tinyrnn.int64, tinyrnn.int32, tinyrnn.uint8])
def test_casting_to_integers(dtype):
    tinyrnn.tensor([INF, float("nan"), 1e30]).to(dtype)


@pytest.mark.parametrize("x", [np.full(4, 3e4, np.float16), np.full(2000, 3e38, np.float32), np.full((3, 3), INF)])
def test_kernels(x):
    for kernels in (reference, cpu):
        for name in ("tanh", "sigmoid", "relu"):
            y = getattr(kernels, f"{name}_forward")(x)
            getattr(kernels, f"{name}_backward")(x * x.dtype.type(0.9), y)
        kernels.global_norm([x])


def test_adam_of_half_precision():
    parameter = tinyrnn.nn.Parameter(tinyrnn.ones(3, dtype=tinyrnn.float16))
    parameter.grad = tinyrnn.full((3,), 6e4, dtype=tinyrnn.float16)
    tinyrnn.optim.Adam([parameter]).step()
