"""Schedules of the learning rate: equal to PyTorch's over many epochs, alone and on top of each other; state; errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import tinyrnn
from tinyrnn import optim
from tinyrnn.optim import lr_scheduler

SCHEDULES = {
    "step": lambda s, o: s.StepLR(o, 3, gamma=0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9], gamma=0.3),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "linear": lambda s, o: s.LinearLR(o, start_factor=0.25, end_factor=0.8, total_iters=6),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 5, eta_min=0.01),
    "lambda": lambda s, o: s.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "lambdas": lambda s, o: s.LambdaLR(o, [lambda epoch: 0.9**epoch, lambda epoch: epoch % 3]),
    "one cycle": lambda s, o: s.OneCycleLR(o, max_lr=[0.3, 0.7], total_steps=30),
    "one cycle linear": lambda s, o: s.OneCycleLR(o, 0.3, epochs=6, steps_per_epoch=5, anneal_strategy="linear", pct_start=0.4),
    "three phases": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=31, three_phase=True, div_factor=10, final_div_factor=50),
    "one after the other": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.ExponentialLR(o, 0.8), s.CosineAnnealingLR(o, 7)], milestones=[4, 11]
    ),
}  # fmt: skip


def optimizer_of(lib, name="SGD"):
    """Two groups of different rates."""
    groups = [{"params": [lib.nn.Parameter(lib.ones(2))], "lr": 0.2}, {"params": [lib.nn.Parameter(lib.ones(1))]}]
    options = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(lib.optim, name)(groups, lr=0.05, **options)


def rates(lib, makers, optimizer, epochs=25):
    """What every epoch runs with: the rates, and the momentum where it moves."""
    schedules = [make(lib.optim.lr_scheduler, optimizer) for make in makers]
    seen = []
    for _ in range(epochs):
        groups = optimizer.param_groups
        seen.append([g["lr"] for g in groups] + [g["betas"][0] if "betas" in g else g["momentum"] for g in groups])
        optimizer.step()
        for schedule in schedules:
            schedule.step()
    return seen, schedules


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_schedules_are_pytorchs(name, optimizer):
    torch = pytest.importorskip("torch")
    ours, (schedule,) = rates(tinyrnn, [SCHEDULES[name]], optimizer_of(tinyrnn, optimizer))
    theirs, (reference,) = rates(torch, [SCHEDULES[name]], optimizer_of(torch, optimizer))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(schedule.get_last_lr(), reference.get_last_lr(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("pair", [("step", "exponential"), ("cosine", "linear"), ("multistep", "step")])
def test_schedules_multiply(pair):
    torch = pytest.importorskip("torch")
    makers = [SCHEDULES[name] for name in pair]
    ours, theirs = rates(tinyrnn, makers, optimizer_of(tinyrnn))[0], rates(torch, makers, optimizer_of(torch))[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_going_on_from_a_saved_state(name):
    whole, _ = rates(tinyrnn, [SCHEDULES[name]], optimizer_of(tinyrnn), 20)
    optimizer = optimizer_of(tinyrnn)
    first, (schedule,) = rates(tinyrnn, [SCHEDULES[name]], optimizer, 8)
    saved = json.loads(json.dumps(schedule.state_dict())) if name != "multistep" else schedule.state_dict()
    groups = optimizer.state_dict()
    again = optimizer_of(tinyrnn)
    later = SCHEDULES[name](lr_scheduler, again)
    again.load_state_dict(groups)
    later.load_state_dict(saved)
    for _ in range(12):
        first.append([g["lr"] for g in again.param_groups] + [g["momentum"] for g in again.param_groups])
        later.step()
    np.testing.assert_allclose(first, whole, rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 2, "cooldown": 2, "factor": 0.5},
        {"mode": "max", "patience": 1, "threshold": 0.2},
        {"patience": 1, "threshold": 0.1, "threshold_mode": "abs", "min_lr": [0.01, 0.02]},
        {"mode": "max", "patience": 0, "threshold_mode": "abs", "eps": 0.02},
    ],
)
def test_plateaus_are_pytorchs(options):
    torch = pytest.importorskip("torch")
    metrics = np.abs(np.random.default_rng(0).normal(1, 0.3, 60)) * np.linspace(2, 1, 60)

    def run(lib):
        optimizer = optimizer_of(lib)
        schedule = lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        seen = []
        for metric in metrics:
            schedule.step(lib.tensor(metric))
            seen.append([*schedule.get_last_lr(), schedule.num_bad_epochs])
        return seen

    np.testing.assert_allclose(run(tinyrnn), run(torch), rtol=1e-12)


def test_a_metric_that_is_not_a_number_is_a_bad_epoch():
    optimizer = optimizer_of(tinyrnn)
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    for metric in (1.0, math.nan):
        schedule.step(metric)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda o: lr_scheduler.StepLR([0.1], 3), TypeError, "StepLR: expected an Optimizer, got list"),
        (lambda o: lr_scheduler.StepLR(o, 0), ValueError, "step_size of at least 1"),
        (lambda o: lr_scheduler.StepLR(o, 1, last_epoch=3), KeyError, "initial_lr.*param_groups.0."),
        (lambda o: lr_scheduler.LinearLR(o, start_factor=0), ValueError, r"in \(0, 1\], got 0"),
        (lambda o: lr_scheduler.LinearLR(o, end_factor=2), ValueError, r"in \[0, 1\], got 2"),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, 0), ValueError, "T_max of at least 1"),
        (lambda o: lr_scheduler.LambdaLR(o, [abs]), ValueError, "Expected 2 lr_lambdas, but got 1"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1), ValueError, "either total_steps OR"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 10, anneal_strategy="sin"), ValueError, "instead got sin"),
        (lambda o: lr_scheduler.OneCycleLR(o, [0.1], 10), ValueError, "expected 2 values of max_lr"),
        (lambda o: _steps(o, 4), ValueError, "specified number of total"),
        (lambda o: lr_scheduler.SequentialLR(o, [], []), ValueError, "at least one scheduler"),
        (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)], [3]), ValueError, "1 schedulers and 1 mile"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.5), ValueError, "should be < 1.0, got 1.5"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="low"), ValueError, "mode low is unknown"),
        (lambda o: lr_scheduler.LRScheduler(o), NotImplementedError, "does not define get_lr"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_a_sentence(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call(optimizer_of(tinyrnn))


def _steps(optimizer, count):
    schedule = lr_scheduler.OneCycleLR(optimizer, 0.1, 2)
    for _ in range(count):
        schedule.step()


def test_every_name_is_pytorchs():
    torch = pytest.importorskip("torch")
    assert all(hasattr(torch.optim.lr_scheduler, name) for name in lr_scheduler.__all__)
    assert optim.lr_scheduler is lr_scheduler
