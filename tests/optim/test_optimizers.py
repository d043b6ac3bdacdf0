"""Optimizers against PyTorch over random steps; groups, closures, state, errors."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn, optim

SHAPES = [(3, 4), (5,), (), (2, 0)]


def parameters(lib, dtype="float64"):
    rng = np.random.default_rng(0)
    return [lib.nn.Parameter(lib.tensor(rng.standard_normal(shape).astype(dtype))) for shape in SHAPES]


def train(lib, make, steps=20, dtype="float64", between=None):
    """Parameters after random gradients; some have none in some steps."""
    params = parameters(lib, dtype)
    optimizer = make(lib.optim, params)
    rng = np.random.default_rng(1)
    for step in range(steps):
        for number, p in enumerate(params):
            gradient = rng.standard_normal(p.shape).astype(dtype)
            p.grad = None if (step + number) % 5 == 0 else lib.tensor(gradient)
        if between is not None:
            between(optimizer, step)
        optimizer.step()
    return params, optimizer


def compare(make, dtype="float64", tolerance=1e-13, between=None):
    torch = pytest.importorskip("torch")
    ours, optimizer = train(tinyrnn, make, dtype=dtype, between=between)
    theirs, reference = train(torch, make, dtype=dtype, between=between)
    for p, q in zip(ours, theirs, strict=True):
        assert p.dtype.name == dtype
        np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=tolerance, atol=tolerance)
        assert set(optimizer.state.get(p, ())) == {k for k, v in reference.state.get(q, {}).items() if v is not None}
        for name, value in optimizer.state.get(p, {}).items():
            expected = reference.state[q][name].numpy()
            np.testing.assert_allclose(value.array, expected, rtol=tolerance, atol=tolerance)


SGD_OPTIONS = [
    {"momentum": momentum, "dampening": dampening, "weight_decay": decay, "nesterov": nesterov, "maximize": maximize}
    for momentum, dampening, decay, nesterov, maximize in itertools.product(
        (0, 0.9), (0, 0.3), (0, 0.1), (False, True), (False, True)
    )
    if not nesterov or (momentum and not dampening)
]
ADAM_OPTIONS = [
    {"betas": betas, "eps": eps, "weight_decay": decay, "amsgrad": amsgrad, "maximize": maximize}
    for (betas, eps), decay, amsgrad, maximize in itertools.product(
        (((0.9, 0.999), 1e-8), ((0.3, 0.7), 1e-2)), (0, 0.1), (False, True), (False, True)
    )
]


@pytest.mark.parametrize("options", SGD_OPTIONS)
def test_sgd(options):
    compare(lambda optim, params: optim.SGD(params, lr=0.1, **options))


@pytest.mark.parametrize("options", ADAM_OPTIONS)
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_adam(name, options):
    compare(lambda optim, params: getattr(optim, name)(params, lr=0.05, **options))


RMSPROP_OPTIONS = [
    {"alpha": alpha, "eps": eps, "weight_decay": decay, "momentum": momentum, "centered": centered, "maximize": maximize}
    for (alpha, eps), decay, momentum, centered, maximize in itertools.product(
        ((0.99, 1e-8), (0.5, 1e-2)), (0, 0.1), (0, 0.9), (False, True), (False, True)
    )
]
ADAGRAD_OPTIONS = [
    {"lr_decay": lr_decay, "weight_decay": decay, "initial_accumulator_value": start, "eps": eps, "maximize": maximize}
    for lr_decay, decay, (start, eps), maximize in itertools.product(
        (0, 0.1), (0, 0.1), ((0, 1e-10), (0.5, 1e-2)), (False, True)
    )
]


@pytest.mark.parametrize("options", RMSPROP_OPTIONS)
def test_rmsprop(options):
    compare(lambda optim, params: optim.RMSprop(params, lr=0.05, **options))


@pytest.mark.parametrize("options", ADAGRAD_OPTIONS)
def test_adagrad(options):
    compare(lambda optim, params: optim.Adagrad(params, lr=0.05, **options))


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_defaults_and_float32(name):
    compare(lambda optim, params: getattr(optim, name)(params), dtype="float32", tolerance=2e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_ways_of_pytorch_change_nothing(name):
    """foreach and fused are allowed where PyTorch has them, and refused together."""
    theirs = inspect.signature(getattr(pytest.importorskip("torch").optim, name)).parameters
    ways = [way for way in ("foreach", "fused") if way in theirs]
    results = []
    for options in ({}, *[{way: True} for way in ways]):
        p = nn.Parameter(tinyrnn.arange(1.0, 4.0))
        optimizer = getattr(optim, name)([p], lr=0.1, **options)
        (p * p).sum().backward()
        optimizer.step()
        results.append(p.detach().numpy())
    assert len(results) > 1 and all((each == results[0]).all() for each in results)
    if "fused" in ways:
        with pytest.raises(RuntimeError, match=r"`fused` and `foreach` cannot be `True` together"):
            getattr(optim, name)([p], lr=0.1, foreach=True, fused=True)


def test_decoupled_adam_is_adamw():
    ours, _ = train(tinyrnn, lambda optim, params: optim.Adam(params, weight_decay=0.1, decoupled_weight_decay=True))
    same, _ = train(tinyrnn, lambda optim, params: optim.AdamW(params, weight_decay=0.1))
    for p, q in zip(ours, same, strict=True):
        np.testing.assert_array_equal(p.array, q.array)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad"])
def test_groups_and_schedules(name):
    """Options per group, a group added on the way, a learning rate changed between steps."""

    def make(optim, params):
        groups = [{"params": params[:1], "lr": 0.3}, {"params": params[1]}]
        return getattr(optim, name)(groups, lr=0.01, weight_decay=0.1)

    def between(optimizer, step):
        if step == 3:
            lib = tinyrnn if isinstance(optimizer, optim.Optimizer) else pytest.importorskip("torch")
            extra = lib.nn.Parameter(lib.ones(2))
            extra.grad = lib.ones(2)
            optimizer.add_param_group({"params": [extra], "lr": 0.7})
        for group in optimizer.param_groups:
            group["lr"] *= 0.9

    compare(make, between=between)


def test_momentum_switched_on_later():
    def between(optimizer, step):
        for group in optimizer.param_groups:
            group["momentum"] = 0.9 if step > 4 else 0

    compare(lambda optim, params: optim.SGD(params, lr=0.1), between=between)


def test_step_writes_in_place_and_counts():
    p = nn.Parameter(tinyrnn.ones(3))
    array = p.array
    loss = (p * p).sum()
    p.grad = tinyrnn.ones(3)
    optim.SGD([p], lr=0.5).step()
    assert p.array is array and p.tolist() == [0.5] * 3
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_closure_and_descent():
    tinyrnn.manual_seed(0)
    model, x = nn.Linear(3, 1), tinyrnn.randn(20, 3)
    y = x.sum(dim=1, keepdim=True)
    optimizer = optim.Adam(model.parameters(), lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        return loss

    with tinyrnn.no_grad():
        losses = [optimizer.step(closure).item() for _ in range(150)]
    assert losses[-1] < 1e-3 * losses[0]


def test_zero_grad():
    p = nn.Parameter(tinyrnn.ones(3))
    optimizer = optim.SGD([p], lr=0.1)
    p.grad = tinyrnn.ones(3)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0] * 3
    optimizer.zero_grad()
    assert p.grad is None


MAKERS = {
    "sgd": lambda optim, params: optim.SGD(params, lr=0.1, momentum=0.9),
    "adam": lambda optim, params: optim.Adam(params, lr=0.1, amsgrad=True),
    "groups": lambda optim, params: optim.AdamW([{"params": params[:2], "lr": 0.3}, {"params": params[2:]}]),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_resume_is_exact(make):
    whole, _ = train(tinyrnn, make, steps=20)
    half, optimizer = train(tinyrnn, make, steps=10)
    state = optimizer.state_dict()
    copied = [nn.Parameter(tinyrnn.tensor(p.array.copy())) for p in half]
    resumed = make(optim, copied)
    for group in resumed.param_groups:
        group["lr"] = 77.0
    resumed.load_state_dict(state)
    frozen = [{k: v.array.copy() for k, v in s.items()} for s in state["state"].values()]
    rng = np.random.default_rng(1)
    for step in range(20):
        for number, p in enumerate(copied):
            gradient = rng.standard_normal(p.shape)
            p.grad = None if (step + number) % 5 == 0 else tinyrnn.tensor(gradient)
        if step >= 10:
            resumed.step()
    for p, q in zip(whole, copied, strict=True):
        np.testing.assert_array_equal(p.array, q.array)
    for before, now in zip(frozen, state["state"].values(), strict=True):  # what was loaded was copied
        for name in before:
            np.testing.assert_array_equal(before[name], now[name].array)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_state_dict_is_laid_out_as_in_pytorch(make):
    torch = pytest.importorskip("torch")
    ours = train(tinyrnn, make)[1].state_dict()
    theirs = train(torch, make)[1].state_dict()
    assert list(ours) == list(theirs)
    assert {k: set(v) for k, v in ours["state"].items()} == {k: set(v) for k, v in theirs["state"].items()}
    for group, other in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        for name, value in group.items():
            assert other[name] == value


def test_load_state_dict_errors():
    make = MAKERS["adam"]
    params, optimizer = train(tinyrnn, make)
    state = optimizer.state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        make(optim, params).load_state_dict({"state": {}, "param_groups": state["param_groups"] * 2})
    with pytest.raises(ValueError, match="4 parameters, expected 1"):
        make(optim, params[:1]).load_state_dict(state)
    other = make(optim, parameters(tinyrnn)[1::-1] + params[2:])
    with pytest.raises(ValueError, match=r"exp_avg of parameter 0 has shape \(3, 4\), expected \(5,\)"):
        other.load_state_dict(state)
    assert not other.state


def test_constructor_errors():
    p = nn.Parameter(tinyrnn.ones(2))
    with pytest.raises(TypeError, match="iterable of Tensors or dicts"):
        optim.SGD(p, lr=0.1)
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.SGD([], lr=0.1)
    with pytest.raises(TypeError, match="one of the params is str"):
        optim.SGD(["p"], lr=0.1)
    with pytest.raises(ValueError, match="non-leaf"):
        optim.SGD([p * 2], lr=0.1)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1)
    with pytest.raises(TypeError, match="set"):
        optim.SGD([{"params": {p}}], lr=0.1)
    for options in ({"lr": -1}, {"momentum": -1}, {"weight_decay": -1}, {"nesterov": True}):
        with pytest.raises(ValueError):
            optim.SGD([p], **options)
    for options in ({"lr": -1}, {"betas": (1.0, 0.5)}, {"betas": (0.5, -0.1)}, {"eps": -1}, {"weight_decay": -1}):
        with pytest.raises(ValueError, match="Invalid"):
            optim.Adam([p], **options)


def test_repr_lists_the_options():
    text = repr(optim.SGD([{"params": [nn.Parameter(tinyrnn.ones(2))], "lr": 0.5}], momentum=0.9))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.5\n") and text.endswith("\n)")
