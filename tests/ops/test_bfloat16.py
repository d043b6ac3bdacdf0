"""Every op in bfloat16 beside itself in float32, and some beside PyTorch's in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
from op_table import OPS, arrays_for

import tinyrnn
from tinyrnn.nn import functional as F

ml_dtypes = pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 comes from the package ml_dtypes")

EPS = 2.0**-8  # what rounding to 8 bits changes a number by, at most and relative to it


def run(function, dtype, arrays):
    """Results, and the gradients of a weighted sum of each. Numbers are the same in every dtype."""
    rounded = {name: tinyrnn.tensor(array) for name, array in arrays.items()}
    given = {name: x.bfloat16().to(dtype) if x.is_floating_point() else x for name, x in rounded.items()}
    leaves = [given[name].requires_grad_() for name in ("x", "y", "p", "m")]
    results = function(**given)
    gradients = []
    for result in results:
        if result.requires_grad:
            total = (result.float() * tinyrnn.linspace(1, 2, result.numel()).reshape(result.shape)).sum()
            found = tinyrnn.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
            gradients += [each for each in found if each is not None]
    return results, gradients


def numbers(tensor):
    return tensor.detach().double().numpy()


@pytest.mark.parametrize("name", OPS)
def test_results_and_gradients_keep_the_dtype_and_are_near_float32(rng, name):
    arrays = arrays_for(rng)
    expected, expected_gradients = run(OPS[name], tinyrnn.float32, arrays)
    got, gradients = run(OPS[name], tinyrnn.bfloat16, arrays)
    assert len(gradients) == len(expected_gradients)
    for place, (a, b) in enumerate(zip(got, expected, strict=True)):
        stays = name in ("casting", "whole numbers") or b.dtype != tinyrnn.float32
        assert a.dtype == (b.dtype if stays else tinyrnn.bfloat16), place
        np.testing.assert_allclose(numbers(a), numbers(b), rtol=4 * EPS, atol=4 * EPS, err_msg=str(place))
    for a, b in zip(gradients, expected_gradients, strict=True):
        assert a.dtype == tinyrnn.bfloat16
        np.testing.assert_allclose(numbers(a), numbers(b), rtol=8 * EPS, atol=8 * EPS * np.abs(numbers(b)).max())


# Of x (64, 48), y (48, 32), w (48,) and the class numbers i (64,), with the module that has the functions.
BESIDE_PYTORCH = {
    "matmul": lambda module, f, x, y, w, i: x @ y,
    "mul": lambda module, f, x, y, w, i: x * w,
    "mul by a number": lambda module, f, x, y, w, i: x * 0.1,
    "sub from a number": lambda module, f, x, y, w, i: 1 - x,
    "div": lambda module, f, x, y, w, i: x / (w * w + 1),
    "pow": lambda module, f, x, y, w, i: x.abs() ** 1.7,
    "exp": lambda module, f, x, y, w, i: x.exp(),
    "sum": lambda module, f, x, y, w, i: x.sum(),
    "mean": lambda module, f, x, y, w, i: x.mean(0),
    "var": lambda module, f, x, y, w, i: x.var(1),
    "norm": lambda module, f, x, y, w, i: x.norm(dim=0),
    "cumsum": lambda module, f, x, y, w, i: x.abs().cumsum(1),
    "softmax": lambda module, f, x, y, w, i: x.softmax(-1),
    "log_softmax": lambda module, f, x, y, w, i: x.log_softmax(0),
    "tanh": lambda module, f, x, y, w, i: x.tanh(),
    "sigmoid": lambda module, f, x, y, w, i: x.sigmoid(),
    "gelu": lambda module, f, x, y, w, i: f.gelu(x),
    "silu": lambda module, f, x, y, w, i: f.silu(x),
    "leaky_relu": lambda module, f, x, y, w, i: f.leaky_relu(x),
    "softplus": lambda module, f, x, y, w, i: f.softplus(x),
    "linear": lambda module, f, x, y, w, i: f.linear(x, y.T, y[0]),
    "layer_norm": lambda module, f, x, y, w, i: f.layer_norm(x, (48,), w, w),
    "cross_entropy": lambda module, f, x, y, w, i: f.cross_entropy(x, i),
    "smoothed": lambda module, f, x, y, w, i: f.cross_entropy(x, i, w.detach().abs(), label_smoothing=0.1),
    "mse_loss": lambda module, f, x, y, w, i: f.mse_loss(x, w.expand(64, 48)),
    "embedding": lambda module, f, x, y, w, i: f.embedding(i, x[:, :40]),
}


@pytest.mark.parametrize("name", BESIDE_PYTORCH)
def test_beside_pytorch(rng, name):
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((64, 48), (48, 32), (48,))]
    classes = rng.integers(0, 48, 64)
    results = []
    for module, f in ((tinyrnn, F), (torch, torch.nn.functional)):
        leaves = [module.tensor(array).bfloat16().requires_grad_() for array in arrays]
        y = BESIDE_PYTORCH[name](module, f, *leaves, module.tensor(classes))
        assert y.dtype == module.bfloat16
        y.sum().backward()
        found = [y, *[leaf.grad for leaf in leaves if leaf.grad is not None]]
        results.append([each.detach().float().numpy() for each in found])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=4 * EPS, atol=4 * EPS * np.abs(theirs).max())


def test_sums_do_not_stand_still():
    """8 bits count to 256: a sum that is rounded after every number stays there."""
    ones = tinyrnn.ones(10_000, dtype=tinyrnn.bfloat16)
    assert ones.sum().item() == 9984 and ones.mean().item() == 1  # 9984: the nearest to 10,000
    assert ones.cumsum(0)[-1].item() == ones.dot(ones).item() == 9984 and ones.norm().item() == 100
    bias = tinyrnn.zeros(3, dtype=tinyrnn.bfloat16, requires_grad=True)
    F.linear(tinyrnn.zeros(1000, 2).bfloat16(), tinyrnn.zeros(3, 2).bfloat16(), bias).sum().backward()
    assert bias.grad.tolist() == [1000] * 3
    table = tinyrnn.zeros(2, 1, dtype=tinyrnn.bfloat16, requires_grad=True)
    F.embedding(tinyrnn.zeros(1000, dtype=tinyrnn.long), table).sum().backward()
    table[tinyrnn.zeros(1000, dtype=tinyrnn.long)].sum().backward()
    assert table.grad.tolist() == [[2000], [0]]
    F.layer_norm(tinyrnn.rand(1000, 3).bfloat16(), (3,), None, bias).sum().backward()
    assert bias.grad.tolist() == [2000] * 3


def test_numbers_do_not_change_the_dtype():
    x = tinyrnn.ones(3, dtype=tinyrnn.bfloat16)
    for result in (x + 1, 1.5 - x, x * True, 2 / x, x // 0.7, x % 0.7, x**0.5, 2.5**x, x.clamp(0.1, 0.9), x.add(x, alpha=0.3)):
        assert result.dtype == tinyrnn.bfloat16
    for result in (np.float64(2) * x, x + np.float32(1), x * tinyrnn.tensor(2.0), x + tinyrnn.ones(3, dtype=tinyrnn.int64)):
        assert result.dtype == tinyrnn.bfloat16
    assert (x + tinyrnn.ones(3)).dtype == (x * tinyrnn.ones(3).half()).dtype == tinyrnn.float32
    assert (x + tinyrnn.ones(3).double()).dtype == tinyrnn.float64
    with pytest.raises(RuntimeError, match="same dtype, got bfloat16 and float32"):
        x @ tinyrnn.ones(3)


def test_infinities_and_nan():
    x = tinyrnn.tensor([3e38, float("inf"), float("nan"), -0.0], dtype=tinyrnn.bfloat16)
    assert (x * 10)[:2].tolist() == [float("inf")] * 2 and x.isnan().tolist() == [False, False, True, False]
    assert x.isfinite().tolist() == [True, False, False, True] and x.nan_to_num(0, 1)[1:3].tolist() == [1, 0]
    assert tinyrnn.isclose(x, x, equal_nan=True).all() and x.max().isnan() and x.sort()[1].tolist() == [3, 0, 1, 2]
    assert x[[2, 1, 0, 1, 2]].unique()[:2].tolist() == [x[0].item(), float("inf")], "NaN comes last"
    with pytest.raises(RuntimeError, match="without overflow"):
        x.fill_(1e39)


def test_double_backward(rng):
    x = tinyrnn.tensor(rng.normal(size=(4, 5))).bfloat16().requires_grad_()
    i = tinyrnn.tensor([0, 1, 2, 3])
    for loss in (
        F.cross_entropy(x, i, label_smoothing=0.1),
        F.gelu(x).sum(),
        F.layer_norm(x, (5,)).square().mean(),
        F.smooth_l1_loss(x, x * x),
        (x @ x.T).norm(),
    ):
        (first,) = tinyrnn.autograd.grad(loss, x, create_graph=True)
        (second,) = tinyrnn.autograd.grad(first.square().sum(), x)
        assert first.dtype == second.dtype == tinyrnn.bfloat16 and second.isfinite().all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("name", sorted(OPS.keys() - {"losses"}))
@pytest.mark.filterwarnings("error")
def test_no_warning(rng, name, bad):
    """NumPy warns of NaN in comparisons of bfloat16, unlike in those of its own dtypes."""
    arrays = arrays_for(rng)
    for array in (arrays["x"], arrays["p"]):
        array[0, 1:3] = bad
    run(OPS[name], tinyrnn.bfloat16, arrays)
