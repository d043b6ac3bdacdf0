"""Inside autocast every op gives the dtype that PyTorch's gives, and gradients come in the dtype of what they are of."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from autocast_calls import ON_CPU, dtypes_of, given
from op_table import OPS, arrays_for

import tinyrnn
from tinyrnn import nn
from tinyrnn.nn import functional as F
from tinyrnn.ops import autocasting

pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 comes from the package ml_dtypes")
NARROW = ["bfloat16", "float16"]


@pytest.mark.parametrize("narrow", NARROW)
@pytest.mark.parametrize("dtype", ["float32", "narrow", "float64"])
def test_dtypes_are_pytorchs(narrow, dtype):
    torch = pytest.importorskip("torch")
    dtype = narrow if dtype == "narrow" else dtype
    found = []
    for library in (tinyrnn, torch):
        tensors = given(library, dtype, narrow)
        with library.autocast("cpu", dtype=getattr(library, narrow)):
            found.append(dtypes_of(library, ON_CPU, tensors))
    # float16 beside float64 is refused in PyTorch's calls of several tensors, and promoted here
    same = {call for call in ON_CPU if not (found[1][call] == "RuntimeError" and dtype == "float64")}
    assert {call: found[0][call] for call in same} == {call: found[1][call] for call in same}
    assert len(same) > len(ON_CPU) - 5 and "TypeError" not in found[0].values()


def run(name, dtype, region):
    arrays = arrays_for(np.random.default_rng(0))
    tensors = {key: tinyrnn.tensor(a) for key, a in arrays.items()}
    tensors |= {key: tensors[key].to(dtype) for key, a in arrays.items() if a.dtype.kind == "f"}
    leaves = [tensors[key].requires_grad_() for key in ("x", "y", "p", "m")]
    with region:
        results = OPS[name](**tensors)
    total = sum((r.double() * 0.1).sum() for r in results if r.requires_grad)
    if isinstance(total, tinyrnn.Tensor):
        total.backward()
    return results, [leaf.grad for leaf in leaves if leaf.grad is not None]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("narrow", NARROW)
@pytest.mark.parametrize("name", OPS)
def test_numbers_are_near_and_gradients_as_wide_as_leaves(name, narrow):
    results, gradients = run(name, tinyrnn.float32, tinyrnn.autocast("cpu", dtype=getattr(tinyrnn, narrow)))
    plain, expected = run(name, tinyrnn.float32, tinyrnn.autocast("cpu", enabled=False))
    assert {g.dtype for g in gradients} <= {tinyrnn.float32} and len(gradients) == len(expected)
    for a, b in zip([*results, *gradients], [*plain, *expected], strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a.detach().double(), b.detach().double(), rtol=0.03, atol=0.05)


@pytest.mark.parametrize("name", OPS)
def test_float64_is_left_alone(name):
    inside, gradients = run(name, tinyrnn.float64, tinyrnn.autocast("cpu"))
    outside, expected = run(name, tinyrnn.float64, tinyrnn.autocast("cpu", enabled=False))
    for a, b in zip([*inside, *gradients], [*outside, *expected], strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_only_tensors_of_the_device_are_cast():
    x = tinyrnn.ones(2, 2)
    before = autocasting.enter("cuda", True, tinyrnn.float16, None)
    try:
        assert (x @ x).dtype == tinyrnn.float32 and F.binary_cross_entropy(x, x).dtype == tinyrnn.float32
    finally:
        autocasting.leave(before)
    assert autocasting.regions == 0


def test_a_weight_is_cast_once_in_a_region(monkeypatch):
    casts = []
    monkeypatch.setattr(autocasting, "cast", lambda x, dtype, cast=autocasting.cast: casts.append(x) or cast(x, dtype))
    weight, x = tinyrnn.randn(4, 4, requires_grad=True), tinyrnn.randn(3, 4).bfloat16()

    def count(call):
        casts.clear()
        call()
        return sum(each is weight for each in casts)

    def uses():
        return [F.linear(x, weight) for _ in range(3)]

    with tinyrnn.autocast("cpu"):
        assert count(uses) == 1
        with tinyrnn.autocast("cpu"):
            assert count(uses) == 0  # the region around knows it
        with tinyrnn.autocast("cpu", dtype=tinyrnn.float16):
            assert count(uses) == 1
        with tinyrnn.no_grad():
            weight.mul_(2)
        assert count(uses) == 1  # written to
        weight.data = weight.data.clone()
        assert count(uses) == 1
    with tinyrnn.autocast("cpu", cache_enabled=False):
        assert count(uses) == 3


def test_what_is_kept_without_recording_has_a_gradient_later():
    weight, x = tinyrnn.randn(4, 4, requires_grad=True), tinyrnn.randn(3, 4)
    with tinyrnn.autocast("cpu"):
        with tinyrnn.no_grad():
            F.linear(x, weight)
        losses = [F.linear(x, weight).sum(), F.linear(x, weight).sum()]
    for number, loss in enumerate(losses, 1):  # each walk frees its own part of the graph
        loss.backward()
        np.testing.assert_allclose(weight.grad, number * x.bfloat16().float().sum(0).expand(4, 4), rtol=0.01, atol=0.05)


def test_backward_inside_a_region_keeps_its_dtypes():
    x, y = tinyrnn.randn(3, 4, requires_grad=True), tinyrnn.randn(4, 5, requires_grad=True)
    wide = (x @ y).square().sum()
    expected = tinyrnn.autograd.grad(wide, (x, y), create_graph=True)
    with tinyrnn.autocast("cpu"):
        found = tinyrnn.autograd.grad(wide, (x, y), create_graph=True)
        narrow = (x @ y).square().sum()
        gradients = tinyrnn.autograd.grad(narrow, (x, y), create_graph=True)
        second = tinyrnn.autograd.grad(sum(g.square().sum() for g in gradients), (x, y))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    assert {g.dtype for g in (*gradients, *second)} == {tinyrnn.float32}
    exact = tinyrnn.autograd.grad(sum(g.square().sum() for g in expected), (x, y))
    for a, b in zip(second, exact, strict=True):
        assert np.abs(a.numpy() - b.numpy()).max() < 0.05 * np.abs(b.numpy()).max()


def test_a_layer_run_again_in_backward_keeps_its_dtypes():
    layer, x = nn.LSTM(4, 5), tinyrnn.randn(6, 2, 4, requires_grad=True)
    loss = layer(x)[0].square().sum()
    (expected,) = tinyrnn.autograd.grad(loss, x, create_graph=True)
    with tinyrnn.autocast("cpu"):
        (found,) = tinyrnn.autograd.grad(loss, x, create_graph=True)
        np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())
        loss.backward(create_graph=True)
    np.testing.assert_array_equal(x.grad.detach().numpy(), expected.detach().numpy())


def test_regions_are_per_thread():
    x, inside, done, seen = tinyrnn.ones(2, 2), threading.Event(), threading.Event(), []

    def other():
        with tinyrnn.autocast("cpu"):
            inside.set()
            done.wait(10)
            seen.append((x @ x).dtype)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    assert (x @ x).dtype == tinyrnn.float32 and not tinyrnn.is_autocast_enabled("cpu")
    done.set()
    thread.join()
    assert seen == [tinyrnn.bfloat16] and autocasting.regions == 0
