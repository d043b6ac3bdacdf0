"""Initialisation: functions that fill a tensor in place, record nothing, and return it.

Random numbers come from `generator`, or from the default one (`tinyrnn.manual_seed`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyrnn import _lazy
from tinyrnn.engine.base import wrap
from tinyrnn.grad_modes import no_grad

__all__ = [
    "calculate_gain",
    "uniform_",
    "normal_",
    "constant_",
    "ones_",
    "zeros_",
    "eye_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "trunc_normal_",
]

__getattr__ = _lazy.answering(__name__)

# The gain that keeps the variance through a layer with this nonlinearity after it.
_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The recommended gain for "linear", "sigmoid", "tanh", "relu", "leaky_relu" (`param`: its slope) or "selu"."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}, expected one of {', '.join(_GAINS)}, leaky_relu")
    return _GAINS[nonlinearity]


@no_grad()
def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """Uniform in [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """Normal with `mean` and standard deviation `std`."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def trunc_normal_(
    tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Any:
    """Normal with `mean` and standard deviation `std`; numbers outside [a, b] are drawn again.

    Raises
    ------
    ValueError
        If less than about 0.1 % of the normal distribution is between `a` and `b`.
    """
    low, high = (0.5 * math.erfc(-(bound - mean) / (std * math.sqrt(2))) for bound in (a, b))
    if not high - low > 1e-3:
        raise ValueError(f"trunc_normal_: [a, b] = [{a}, {b}] is too far from mean={mean} with std={std}, or empty; widen it")
    normal_(tensor, mean, std, generator)
    outside = (tensor.array < a) | (tensor.array > b)
    while outside.any():
        again = normal_(wrap(np.empty(int(outside.sum()), tensor.array.dtype)), mean, std, generator)
        tensor[wrap(outside)] = again
        outside = (tensor.array < a) | (tensor.array > b)
    return tensor


@no_grad()
def constant_(tensor: Any, val: float) -> Any:
    """`val` everywhere."""
    return tensor.fill_(val)


@no_grad()
def ones_(tensor: Any) -> Any:
    """1 everywhere."""
    return tensor.fill_(1.0)


@no_grad()
def zeros_(tensor: Any) -> Any:
    """0 everywhere."""
    return tensor.zero_()


@no_grad()
def eye_(tensor: Any) -> Any:
    """The identity: 1 on the diagonal of a matrix, 0 elsewhere."""
    rows, columns = _matrix_shape(tensor, "eye_")
    return tensor.copy_(wrap(np.asarray(np.eye(rows, columns, dtype=tensor.array.dtype), like=tensor.array)))


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Uniform in +-gain sqrt(6 / (fan_in + fan_out)); Glorot & Bengio 2010, equation 16."""
    fan_in, fan_out = _fans(tensor)
    bound = gain * math.sqrt(6.0 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)); Glorot & Bengio 2010."""
    fan_in, fan_out = _fans(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def kaiming_uniform_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """Uniform in +-gain sqrt(3 / fan); He et al. 2015. `a` is the slope of a leaky ReLU."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """Normal with standard deviation gain / sqrt(fan); He et al. 2015. `a` is the slope of a leaky ReLU."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


@no_grad()
def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> Any:
    """gain Q with orthonormal rows or columns, whichever are fewer; Saxe et al. 2013. Later dimensions count as one."""
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError(f"orthogonal_: only tensors with 2 or more dimensions are supported, got shape {shape}")
    if tensor.array.size == 0:
        return tensor
    rows, columns = shape[0], math.prod(shape[1:])
    # LAPACK has no 16-bit QR
    dtype = tensor.array.dtype if tensor.array.dtype.itemsize >= 4 else np.float32
    flat = normal_(wrap(np.empty_like(tensor.array, shape=(rows, columns), dtype=dtype)), generator=generator).array
    q, r = np.linalg.qr(flat.T if rows < columns else flat)
    q = q * np.sign(np.diagonal(r))  # without this Q would not be uniform; Mezzadri 2007
    q = q.T if rows < columns else q
    return tensor.copy_(wrap((gain * q).astype(tensor.array.dtype).reshape(shape)))


def _matrix_shape(tensor: Any, name: str) -> tuple[int, int]:
    if tensor.array.ndim != 2:
        raise ValueError(f"{name}: only tensors with 2 dimensions are supported, got shape {tensor.array.shape}")
    return tensor.array.shape


def _fans(tensor: Any) -> tuple[int, int]:
    """Numbers of inputs and outputs of one unit of a layer with this weight (outputs, inputs, ...)."""
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError(f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got shape {shape}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    if 0 in tensor.array.shape:
        return 0.0  # nothing to fill
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of fan_in, fan_out")
    fan_in, fan_out = _fans(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)
