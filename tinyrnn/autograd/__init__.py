"""Derivatives: grad, backward, grad modes, anomaly detection, the tape, and checks against finite differences."""

from __future__ import annotations

from tinyrnn import _lazy
from tinyrnn.autograd.function import Function, Variable
from tinyrnn.autograd.gradients import backward, grad
from tinyrnn.autograd.numerical import GradcheckError, gradcheck, gradgradcheck
from tinyrnn.autograd.wengert import tape
from tinyrnn.grad_modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "tape",
]

__getattr__ = _lazy.answering(__name__)
