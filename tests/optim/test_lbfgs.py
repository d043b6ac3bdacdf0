"""L-BFGS goes PyTorch's way, evaluation by evaluation; its state can be saved."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest

import tinyrnn
from tinyrnn.optim import LBFGS, line_search
from tinyrnn.optim.line_search import Point, strong_wolfe


def rosenbrock(lib, params):
    x, y = params[0], params[1].reshape(-1)
    return ((1 - x) ** 2).sum() + 100 * ((y - x * x) ** 2).sum()


def quadratic(lib, params):
    x = lib.cat([p.reshape(-1) for p in params])
    scale = lib.arange(1, 1 + x.numel(), dtype=x.dtype)
    return (scale * (x - 0.3) ** 2).sum() / 2


def rippled(lib, params):
    """Not convex: line searches have to bracket and zoom."""
    x = lib.cat([p.reshape(-1) for p in params])
    return ((x - 2) ** 2).sum() * 0.1 + (3 * x).cos().sum() + 0.1 * x[0] * x[-1]


def fitted_rnn(lib, params):
    """A recurrence by hand, with a parameter that is not used."""
    h = lib.zeros(2, dtype=lib.float64)
    for step in range(5):
        h = (params[1] @ h + params[0][:2] * math.sin(step)).tanh()
    return ((h - 0.25) ** 2).sum()


LOSSES = {"rosenbrock": rosenbrock, "quadratic": quadratic, "rippled": rippled, "fitted_rnn": fitted_rnn}


def trajectory(lib, loss, seed=0, steps=4, dtype="float64", **options):
    """All losses that the closure has seen, the losses returned, and the parameters after every step."""
    rng = np.random.default_rng(seed)
    params = [lib.tensor(rng.normal(size=shape).astype(dtype), requires_grad=True) for shape in ((4,), (2, 2), (3,))]
    optimizer = lib.optim.LBFGS(params, **options)
    seen, after = [], []

    def closure():
        optimizer.zero_grad()
        value = LOSSES[loss](lib, params)
        value.backward()
        seen.append(value.item())
        return value

    for _ in range(steps):
        returned = optimizer.step(closure)
        after.append([returned.item(), *(p.detach().numpy().copy() for p in params)])
    return seen, after, optimizer


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.05},
        {"lr": 0.8, "max_iter": 6},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "max_iter": 5, "history_size": 2},
        {"line_search_fn": "strong_wolfe", "lr": 20.0, "max_eval": 9},
        {"line_search_fn": "strong_wolfe", "lr": 1e-3, "tolerance_grad": 1e-3, "tolerance_change": 1e-4},
        {"lr": 0.03, "max_iter": 30, "max_eval": 3, "history_size": 1},
    ],
    ids=str,
)  # fmt: skip
def test_the_way_is_pytorchs(loss, options):
    torch = pytest.importorskip("torch")
    if loss == "rosenbrock" and options.get("lr") == 0.8:
        pytest.skip("diverges with this step length")
    ours, theirs = trajectory(tinyrnn, loss, **options), trajectory(torch, loss, **options)
    assert len(ours[0]) == len(theirs[0]) > 4, "evaluations"
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-8, atol=1e-8)
    for mine, other in zip(ours[1], theirs[1], strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)
    states = [each[2].state_dict()["state"][0] for each in (ours, theirs)]
    assert all(states[0][name] == states[1][name] for name in ("n_iter", "func_evals"))


def test_float32_gets_there():
    seen, _, _ = trajectory(tinyrnn, "quadratic", dtype="float32", line_search_fn="strong_wolfe")
    assert seen[-1] < 1e-10


@pytest.mark.parametrize("line_search_fn", [None, "strong_wolfe"])
def test_resume_is_exact(line_search_fn):
    def build(values):
        params = [tinyrnn.tensor(value, requires_grad=True) for value in values]
        return params, LBFGS(params, lr=0.1, max_iter=3, history_size=4, line_search_fn=line_search_fn)

    def run(params, optimizer, steps):
        def closure():
            optimizer.zero_grad()
            loss = rosenbrock(tinyrnn, params)
            loss.backward()
            return loss

        return [optimizer.step(closure).item() for _ in range(steps)]

    rng = np.random.default_rng(0)
    params, optimizer = build([rng.normal(size=4), rng.normal(size=(2, 2))])
    run(params, optimizer, 3)
    file = io.BytesIO()
    tinyrnn.save(optimizer.state_dict(), file)
    file.seek(0)
    others, other = build([p.detach().numpy() for p in params])
    other.load_state_dict(tinyrnn.load(file))
    assert run(params, optimizer, 3) == run(others, other, 3)
    assert list(other.state_dict()["state"]) == [0]


def test_a_state_of_pytorch_goes_on_here():
    torch = pytest.importorskip("torch")
    _, (*_, last), theirs = trajectory(torch, "rosenbrock", lr=0.05, steps=3)
    params = [tinyrnn.tensor(value, requires_grad=True) for value in last[1:]]
    optimizer = LBFGS(params, lr=0.05)

    def translated(value):
        if isinstance(value, torch.Tensor):
            return tinyrnn.from_numpy(value.numpy())
        return [translated(item) for item in value] if isinstance(value, list) else value

    state = theirs.state_dict()
    state["state"] = {0: {name: translated(value) for name, value in state["state"][0].items()}}
    optimizer.load_state_dict(state)

    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(tinyrnn, params)
        loss.backward()
        return loss

    optimizer.step(closure)
    _, (*_, expected), _ = trajectory(torch, "rosenbrock", lr=0.05, steps=4)
    for mine, its in zip(params, expected[1:], strict=True):
        np.testing.assert_allclose(mine.detach(), its, rtol=1e-8, atol=1e-8)


def wavy(seed):
    """A loss along a line with several minima, its slope, which is negative at 0, and a first step length."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=3) * 2

    def slope(t):
        return 0.2 * t + a * math.cos(a * t) - b * c * math.sin(c * t)

    way = -1 if slope(0.0) > 0 else 1
    t = 10 ** rng.uniform(-3, 2)
    return lambda t: 0.1 * t * t + math.sin(a * way * t) + b * math.cos(c * t), lambda t: way * slope(way * t), t


SEEDS = range(400)


def test_the_line_search_finds_strong_wolfe_points():
    for seed in SEEDS:
        loss, slope, t = wavy(seed)
        start = Point(0.0, loss(0.0), None, slope(0.0))
        found = strong_wolfe(lambda t: Point(t, loss(t), None, slope(t)), start, t, 1.0, max_steps=50)  # noqa: B023
        assert found.loss <= start.loss + line_search._DECREASE * found.t * start.slope
        assert abs(found.slope) <= -line_search._CURVATURE * start.slope


@pytest.mark.parametrize("max_steps", [0, 2, 5, 25])
def test_the_line_search_tries_the_step_lengths_that_pytorch_tries(max_steps):
    torch = pytest.importorskip("torch")
    from torch.optim.lbfgs import _strong_wolfe

    one = torch.ones(1, dtype=torch.float64)
    for seed in SEEDS:
        loss, slope, t = wavy(seed)
        ours, theirs = [], []

        def evaluate(t):
            ours.append(t)  # noqa: B023
            return Point(t, loss(t), slope(t), slope(t))  # noqa: B023

        def objective(x, t, d):
            theirs.append(float(t))  # noqa: B023
            return loss(float(t)), slope(float(t)) * one  # noqa: B023

        start = Point(0.0, loss(0.0), slope(0.0), slope(0.0))
        found = strong_wolfe(evaluate, start, t, 1.0, max_steps=max_steps)
        gradient = slope(0.0) * one
        expected = _strong_wolfe(objective, None, t, one, loss(0.0), gradient, gradient.dot(one), max_ls=max_steps)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        np.testing.assert_allclose([found.loss, found.t], [float(expected[0]), float(expected[2])], rtol=1e-9)


def test_errors():
    x = tinyrnn.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"LBFGS.step needs a closure"):
        LBFGS([x]).step()
    with pytest.raises(ValueError, match="doesn't support per-parameter options"):
        LBFGS([{"params": [x]}, {"params": [tinyrnn.ones(2)]}])
    with pytest.raises(ValueError, match="Invalid line_search_fn: 'armijo', expected None or 'strong_wolfe'"):
        LBFGS([x], line_search_fn="armijo")
    with pytest.raises(ValueError, match="Invalid history_size: 0"):
        LBFGS([x], history_size=0)
    with pytest.raises(ValueError, match="Invalid lr: -1"):
        LBFGS([x], lr=-1)


def test_writes_are_counted():
    x = tinyrnn.ones(2, requires_grad=True)
    held = x * x
    optimizer = LBFGS([x], max_iter=1)

    def closure():
        loss = (x * x * x).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        held.sum().backward()
