"""Tensors of random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn import dtypes
from tinyrnn.creation import new, shape_of, sized
from tinyrnn.devices import in_main_memory, of_array
from tinyrnn.engine.base import TensorBase, wrap
from tinyrnn.generator import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from tinyrnn.ops import casting

# PyTorch has the functions of generator.py under `torch.random` too.
__all__ = ["default_generator", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]

# ---- arrays ----


def _numpy(generator: Generator | None) -> np.random.Generator:
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"generator: expected a tinyrnn.Generator, got {type(generator).__name__}")
    return (generator or default_generator).numpy


def _floating(name: str, dtype: Any) -> np.dtype:
    found = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if not found.is_floating_point:
        raise NotImplementedError(f"{name}: not implemented for {found}, only for floating-point dtypes")
    return found.numpy


def _uniform(shape: Any, dtype: np.dtype, generator: Generator | None) -> np.ndarray:
    """Numbers in [0, 1); in 16 bits made of as many as the dtype has for fractions, because rounding would reach 1."""
    source = _numpy(generator)
    if dtype.itemsize == 2:
        steps = 2 ** (dtypes.numpy_finfo(dtype).nmant + 1)
        return (source.integers(0, steps, shape) / steps).astype(dtype)
    return np.asarray(source.random(shape, dtype=dtype))


def _standard_normal(shape: Any, dtype: np.dtype, generator: Generator | None) -> np.ndarray:
    drawn = _numpy(generator).standard_normal(shape, np.float64 if dtype == np.float64 else np.float32)
    return np.asarray(drawn, dtype)


def _integers(low: int, high: int, shape: Any, dtype: np.dtype, generator: Generator | None) -> np.ndarray:
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    return np.asarray(_numpy(generator).integers(low, high, shape)).astype(dtype)


# ---- new tensors ----


def rand(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Numbers from [0, 1), evenly distributed."""
    return new(_uniform(sized("rand", size), _floating("rand", dtype), generator), requires_grad, device)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Numbers with mean 0 and variance 1, normally distributed."""
    return new(_standard_normal(sized("randn", size), _floating("randn", dtype), generator), requires_grad, device)


def randint(
    *arguments: Any,
    low: int | None = None,
    high: int | None = None,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """``randint(low=0, high, size)``: integers from `low` to ``high - 1``, int64 by default."""
    given = list(arguments)
    if size is None and given:
        size = given.pop()
    if high is None and given:
        high = given.pop()
    if low is None:
        low = given.pop() if given else 0
    if given or high is None or size is None or isinstance(size, int):
        raise TypeError("randint(): expected randint(high, size) or randint(low, high, size), with a tuple of ints as size")
    found = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    return new(_integers(int(low), int(high), shape_of("randint", (size,)), found.numpy, generator), requires_grad, device)


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """The numbers 0 to n - 1 in random order."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    found = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    return new(_numpy(generator).permutation(int(n)).astype(found.numpy), requires_grad, device)


def rand_like(
    input: Any, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """`rand` in the shape and dtype of `input`."""
    return rand(
        input.array.shape,
        generator=generator,
        dtype=dtype or input.dtype,
        device=of_array(input.array) if device is None else device,
        requires_grad=requires_grad,
    )


def randn_like(
    input: Any, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """`randn` in the shape and dtype of `input`."""
    return randn(
        input.array.shape,
        generator=generator,
        dtype=dtype or input.dtype,
        device=of_array(input.array) if device is None else device,
        requires_grad=requires_grad,
    )


def randint_like(
    input: Any,
    *bounds: int,
    low: int | None = None,
    high: int | None = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """``randint_like(input, low=0, high)``: `randint` in the shape and dtype of `input`."""
    return randint(
        *bounds, low=low, high=high, size=tuple(input.array.shape), generator=generator, dtype=dtype or input.dtype,
        device=of_array(input.array) if device is None else device, requires_grad=requires_grad,
    )  # fmt: skip


def bernoulli(input: Any, p: float | None = None, *, generator: Generator | None = None) -> Any:
    """1 with the probability that `input` says for each element (or `p` for all), else 0; no gradient flows."""
    array = casting.array(input)
    if p is None and array.dtype.kind not in dtypes.FLOATS:
        raise NotImplementedError(f"bernoulli: probabilities must be floating-point, got {dtypes.of_array(array)}")
    return new(_bernoulli(array if p is None else p, array.shape, array.dtype, generator), device=of_array(array))


def _bernoulli(p: Any, shape: Any, dtype: np.dtype, generator: Generator | None) -> np.ndarray:
    p = in_main_memory(p)
    if not ((p >= 0) & (p <= 1)).all():
        raise RuntimeError("bernoulli: expected probabilities from 0 to 1")
    return np.asarray(_uniform(shape, np.dtype(np.float64), generator) < p).astype(dtype)


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Normally distributed numbers; `mean` and `std` are tensors, one of each per number, or numbers with a `size`."""
    if size is None and not isinstance(mean, TensorBase) and not isinstance(std, TensorBase):
        raise TypeError("normal(): mean and std are numbers, so a size is needed: normal(mean, std, size)")
    means, deviations = in_main_memory(casting.array(mean)), in_main_memory(casting.array(std))
    if (deviations < 0).any():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    if device is None and isinstance(mean, TensorBase):
        device = of_array(mean.array)
    if size is None:
        found = dtypes.result_type(*[x for x in (mean, std) if isinstance(x, TensorBase)])
        shape = np.broadcast_shapes(np.shape(means), np.shape(deviations))
        numpy_dtype = _floating("normal", dtype or found)
    else:
        shape, numpy_dtype = shape_of("normal", (size,)), _floating("normal", dtype)
    drawn = _standard_normal(shape, numpy_dtype, generator) * deviations + means
    return new(np.asarray(drawn, numpy_dtype), requires_grad, device)


def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Any:
    """Indices drawn with the weights in the last dimension of `input`, which need not sum to 1.

    Parameters
    ----------
    input : (classes,) or (rows, classes).
    num_samples : indices per row.
    replacement : whether an index may be drawn twice.

    Returns
    -------
    int64, (num_samples,) or (rows, num_samples).
    """
    device, weights = of_array(casting.array(input)), in_main_memory(casting.array(input)).astype(np.float64)
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (weights.sum(-1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if replacement:
        cumulative = np.cumsum(weights, -1)
        drawn = _numpy(generator).random((*weights.shape[:-1], num_samples)) * cumulative[..., -1:]
        return new((cumulative[..., None, :] <= drawn[..., None]).sum(-1, dtype=np.int64), device=device)
    if num_samples > weights.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    # The order of independent exponential waiting times is that of drawing without replacement.
    waiting = _numpy(generator).standard_exponential(weights.shape)
    with np.errstate(divide="ignore"):
        waiting = waiting / weights
    return new(np.argsort(waiting, -1, kind="stable")[..., :num_samples].astype(np.int64), device=device)


# ---- in place ----


def uniform_(self, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None):
    """Fill with numbers from [from_, to), evenly distributed."""
    if from_ > to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={from_} > to={to}")
    dtype = _floating("uniform_", self.dtype)
    array = _uniform(self.array.shape, dtype, generator) * (to - from_) + from_
    return self.copy_(wrap(np.asarray(array, dtype)))


def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None):
    """Fill with normally distributed numbers."""
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    dtype = _floating("normal_", self.dtype)
    array = _standard_normal(self.array.shape, dtype, generator) * std + mean
    return self.copy_(wrap(np.asarray(array, dtype)))


def exponential_(self, lambd: float = 1.0, *, generator: Generator | None = None):
    """Fill with exponentially distributed numbers of rate `lambd`."""
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    dtype = _floating("exponential_", self.dtype)
    return self.copy_(wrap(np.asarray(_numpy(generator).standard_exponential(self.array.shape) / lambd, dtype)))


def bernoulli_(self, p: Any = 0.5, *, generator: Generator | None = None):
    """Fill with 1 with probability `p` (a number or a tensor), else 0."""
    return self.copy_(wrap(_bernoulli(casting.array(p), self.array.shape, self.array.dtype, generator)))


def random_(self, *bounds: int, generator: Generator | None = None):
    """``random_(to)`` or ``random_(from, to)``: fill with integers from `from` (0) to ``to - 1``.

    Without bounds, from all non-negative integers that the dtype holds exactly.
    """
    array = self.array
    if len(bounds) > 2:
        raise TypeError(f"random_() takes at most 2 bounds, got {len(bounds)}")
    if not bounds:
        kind = array.dtype.kind
        if kind in dtypes.FLOATS:
            bounds = (2 ** (dtypes.numpy_finfo(array.dtype).nmant + 1) + 1,)
        else:
            bounds = (2 if kind == "b" else int(np.iinfo(array.dtype).max),)
    low, high = (0, *bounds) if len(bounds) == 1 else bounds
    return self.copy_(wrap(_integers(low, high, array.shape, array.dtype, generator)))
