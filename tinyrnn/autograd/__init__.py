"""Derivatives: grad, backward, grad modes, anomaly detection, the tape, and checks against finite differences."""

from __future__ import annotations

from tinyrnn.autograd.gradients import backward, grad
from tinyrnn.autograd.numerical import GradcheckError, gradcheck, gradgradcheck
from tinyrnn.engine.modes import (
    change_modes,
    detect_anomaly,
    detecting_anomalies,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from tinyrnn.engine.tape import tape

__all__ = [
    "GradcheckError",
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


def set_detect_anomaly(mode: bool) -> None:
    """Check every gradient of this thread for NaN from now on (see `detect_anomaly`), or stop checking."""
    change_modes({"anomaly": bool(mode)})


def is_anomaly_enabled() -> bool:
    """Whether gradients of this thread are checked for NaN."""
    return detecting_anomalies()
