"""Training in bfloat16: about as far as in float32, with states of the parameters' dtype, as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn, optim

pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 comes from the package ml_dtypes")
pytestmark = pytest.mark.filterwarnings("error")

OPTIMIZERS = {
    "SGD": {"lr": 0.5},
    "SGD with momentum": {"lr": 0.2, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
    "Adam": {"lr": 0.01, "weight_decay": 1e-4, "amsgrad": True},
    "AdamW": {"lr": 0.01},
    "Adagrad": {"lr": 0.1, "weight_decay": 1e-4},
    "RMSprop": {"lr": 0.01, "centered": True, "momentum": 0.5},
    "LBFGS": {"lr": 0.5, "max_iter": 5, "line_search_fn": "strong_wolfe"},
}


def loss_after_training(dtype, name):
    tinyrnn.manual_seed(0)
    lstm, head = nn.LSTM(4, 8).bfloat16().to(dtype), nn.Linear(8, 4).bfloat16().to(dtype)
    params = [*lstm.parameters(), *head.parameters()]
    x, classes = tinyrnn.randn(12, 5, 4).bfloat16().to(dtype), tinyrnn.randint(0, 4, (60,))
    optimizer = getattr(optim, name.split()[0])(params, **OPTIMIZERS[name])

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(lstm(x)[0]).reshape(60, 4), classes)
        loss.backward()
        assert nn.utils.clip_grad_norm_(params, 1.0).dtype == dtype
        return loss

    for _ in range(10 if name == "LBFGS" else 40):
        loss = optimizer.step(closure)
    assert {each.dtype for p in params for each in (p, p.grad)} == {dtype}
    return loss.item()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_about_as_far_as_in_float32(name):
    if name == "LBFGS":  # whose line search compares losses that have 8 bits
        assert loss_after_training(tinyrnn.bfloat16, name) < 0.3
        return
    assert loss_after_training(tinyrnn.bfloat16, name) == pytest.approx(loss_after_training(tinyrnn.float32, name), rel=0.1)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "LBFGS"])
def test_steps_and_states_beside_pytorch(rng, name):
    torch = pytest.importorskip("torch")
    start, gradients = rng.normal(size=(6, 5)), rng.normal(size=(4, 6, 5))
    found = []
    for library in (tinyrnn, torch):
        p = library.tensor(start).bfloat16().requires_grad_()
        optimizer = getattr(library.optim, name.split()[0])([p], **OPTIMIZERS[name])
        for gradient in gradients:
            p.grad = library.tensor(gradient).bfloat16()
            optimizer.step()
        state = dict(sorted(optimizer.state[p].items()))
        dtypes = {key: str(value.dtype).split(".")[1] for key, value in state.items() if hasattr(value, "dtype")}
        values = [p, *[value for key, value in state.items() if key in dtypes and key != "step"]]
        found.append((dtypes, [value.detach().float().numpy() for value in values]))
    (ours, values), (theirs, expected) = found
    assert ours == theirs
    for a, b in zip(values, expected, strict=True):  # PyTorch rounds after each of the operations of a step
        np.testing.assert_allclose(a, b, rtol=2**-5, atol=2**-6 * np.abs(b).max())


@pytest.mark.parametrize("narrow", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["Adam", "Adagrad", "RMSprop", "SGD with momentum"])
def test_a_step_is_rounded_once(name, narrow):
    """With so large a weight decay, and an eps with which the first step depends on the size of gradients."""
    options = OPTIMIZERS[name] | {"lr": 1.0, "weight_decay": 0.3} | ({} if "SGD" in name else {"eps": 1.0})
    found = []
    for dtype in (tinyrnn.float32, getattr(tinyrnn, narrow)):
        p, gradient = (
            tinyrnn.tensor(np.random.default_rng(seed).normal(size=1000)).to(getattr(tinyrnn, narrow)) for seed in (0, 1)
        )
        p = p.to(dtype).requires_grad_()
        optimizer = getattr(optim, name.split()[0])([p], **options)
        p.grad = gradient.to(dtype)
        optimizer.step()
        found.append(p.detach().to(getattr(tinyrnn, narrow)))
    assert (found[0] == found[1]).sum() >= 998, "but for last bits of float32 that decide a rounding"


def squares(optimizer, params):
    """A closure for L-BFGS: the sum of all squares, in the widest dtype there is."""

    def closure():
        optimizer.zero_grad()
        loss = sum((p.double() ** 2).sum() for p in params)
        loss.backward()
        return loss

    return closure


DTYPES = {
    ("bfloat16",): "float32",
    ("float16",): "float32",
    ("bfloat16", "float16"): "float32",
    ("float16", "float64", "bfloat16"): "float64",
    ("float32", "float64"): "float64",
}


@pytest.mark.parametrize("line_search_fn", [None, "strong_wolfe"])
@pytest.mark.parametrize("dtypes", DTYPES, ids="+".join)
def test_lbfgs_over_any_dtypes_keeps_its_history_wide(dtypes, line_search_fn):
    params = [tinyrnn.tensor([1.0, 0.3], dtype=getattr(tinyrnn, dtype), requires_grad=True) for dtype in dtypes]
    optimizer = optim.LBFGS(params, lr=0.3, max_iter=3, line_search_fn=line_search_fn)
    optimizer.step(squares(optimizer, params))
    other = optim.LBFGS(params)
    other.load_state_dict(optimizer.state_dict())
    kept, loaded = (each.state[params[0]] for each in (optimizer, other))
    for state in (kept, loaded):
        assert {each.dtype for each in (state["d"], *state["old_dirs"])} == {getattr(tinyrnn, DTYPES[dtypes])}
    assert (kept["prev_flat_grad"] == loaded["prev_flat_grad"]).all()
    for _ in range(10):
        optimizer.step(squares(optimizer, params))
    assert all(p.abs().max().item() < 0.01 for p in params)


def test_so_steps_pytorchs():
    torch = pytest.importorskip("torch")
    found = []
    for library in (tinyrnn, torch):
        params = [library.tensor([1.0, 0.3], dtype=dtype, requires_grad=True) for dtype in (library.bfloat16, library.float16)]
        optimizer = library.optim.LBFGS(params, lr=0.3, max_iter=3)
        optimizer.step(squares(optimizer, params))
        found.append([p.detach().float().numpy() for p in params])
    np.testing.assert_allclose(*found, rtol=2**-7)


def test_states_are_saved_and_loaded(tmp_path):
    p = tinyrnn.ones(3, dtype=tinyrnn.bfloat16, requires_grad=True)
    optimizer = optim.Adam([p])
    p.grad = tinyrnn.ones(3, dtype=tinyrnn.bfloat16)
    optimizer.step()
    tinyrnn.save(optimizer.state_dict(), tmp_path / "state.safetensors")
    other = optim.Adam([tinyrnn.ones(3, dtype=tinyrnn.bfloat16, requires_grad=True)])
    other.load_state_dict(tinyrnn.load(tmp_path / "state.safetensors"))
    (state,) = other.state.values()
    assert state["exp_avg"].dtype == tinyrnn.bfloat16 and (state["exp_avg"] == optimizer.state[p]["exp_avg"]).all()


def test_clipping_by_other_norms():
    p = tinyrnn.ones(1000, dtype=tinyrnn.bfloat16, requires_grad=True)
    for norm_type, norm in ((1, 1000), (2, 31.625), (3, 10), (float("inf"), 1)):
        p.grad = tinyrnn.ones(1000, dtype=tinyrnn.bfloat16)
        found = nn.utils.clip_grad_norm_([p], 0.5, norm_type)
        assert found.dtype == p.grad.dtype == tinyrnn.bfloat16 and found.item() == pytest.approx(norm, rel=2**-8)
    p.grad = tinyrnn.ones(1000, dtype=tinyrnn.bfloat16)
    half = tinyrnn.ones(1000, dtype=tinyrnn.float16, requires_grad=True)
    half.grad = tinyrnn.full((1000,), 100.0, dtype=tinyrnn.float16)
    assert nn.utils.clip_grad_norm_([half], 1.0, 3).item() == pytest.approx(1000, rel=1e-3), "no sum overflows"
    nn.utils.clip_grad_value_([p], 0.25)
    assert p.grad.dtype == tinyrnn.bfloat16 and p.grad.max().item() == 0.25
