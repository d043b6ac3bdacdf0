"""Kernels of the GPU beside the reference: arrays there and back, and comparisons."""

from __future__ import annotations

import numpy as np

from tinyrnn.kernels.gpu import loader

errors: list[float] = []  # of all comparisons of the running test, 1 being what is allowed
# Half the distance between 1 and the next number: what is lost, relatively, where a number is stored.
ROUNDING = {"float32": 2**-24, "tf32": 2**-11, "float16": 2**-11, "bfloat16": 2**-8}
TOLERANCE = {"float64": 1e-12, "float32": 4e-6, "float16": 3e-3, "bfloat16": 2e-2}


def there(value):
    """Arrays in any structure, on the GPU."""
    return mapped(value, lambda x: _there(x) if isinstance(x, np.ndarray) else x)


def _there(x):
    """With the same strides, as far as they are those of a transposed or a repeated array."""
    if x.ndim == 2 and x.strides[0] == 0 and len(x) > 1:
        return np.broadcast_to(loader.cupy().asarray(x[0]), x.shape)
    if x.ndim == 2 and x.flags.f_contiguous and not x.flags.c_contiguous:
        return loader.cupy().asarray(x.T).T
    return loader.cupy().asarray(x)


def back(value):
    """Arrays in any structure, in main memory."""
    return mapped(value, lambda x: loader.cupy().asnumpy(x) if loader.is_array(x) else x)


def mapped(value, function):
    if hasattr(value, "_fields"):
        return type(value)(*[mapped(each, function) for each in value])
    if isinstance(value, (tuple, list)):
        return type(value)([mapped(each, function) for each in value])
    return function(value)


def assert_close(got, expected, tolerance, what=""):
    """Equal arrays in equal structures, relative to the largest number of each array; NaN equals NaN."""
    if isinstance(expected, (tuple, list)):
        assert len(got) == len(expected), what
        names = getattr(expected, "_fields", range(len(expected)))
        for name, a, b in zip(names, got, expected):
            assert_close(a, b, tolerance, f"{what}.{name}")
    elif not isinstance(expected, (np.ndarray, np.generic)):
        assert got is expected or got == expected, what
    else:
        assert got.shape == expected.shape and got.dtype == expected.dtype, (what, got.shape, expected.shape, got.dtype)
        got, expected = (each.astype(np.float64) if each.dtype.kind in "fV" else each for each in (got, expected))
        finite = np.abs(expected[np.isfinite(expected)].astype(np.float64))
        scale = max(1.0, float(finite.max(initial=0)))
        if tolerance and got.size:
            with np.errstate(all="ignore"):
                error = np.abs(got.astype(np.float64) - expected) / (tolerance * (scale + np.abs(expected)))
            same = (got == expected) | (np.isnan(got) & np.isnan(expected))
            errors.append(float(np.where(same, 0, np.nan_to_num(error, nan=np.inf)).max()))
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def leaves(value):
    """The arrays in a structure."""
    if isinstance(value, (tuple, list)):
        return [leaf for each in value for leaf in leaves(each)]
    return [value] if isinstance(value, np.ndarray) else []


def in_float64(value):
    """The same numbers, in any structure."""
    return mapped(value, lambda x: x.astype(np.float64) if _is_float(x) else x)


def _is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind in "fV"


def assert_close_but_for_rounding(got, exactly, given, rounding):
    """`got` is `exactly(*given)`, computed in float64, but for about as much as that moves if what is given is rounded.

    So what is allowed follows from the numbers: how many steps carry an error on, and which ones make it larger. The factor 24
    is for what is rounded on the way, and for functions that are right to two places of the last bit.
    """
    rng = np.random.default_rng(0)
    given = in_float64(given)
    expected, near = leaves(exactly(*given)), [leaves(exactly(*_moved(given, rounding, rng))) for _ in range(3)]
    got = in_float64(leaves(got))
    assert len(got) == len(expected)
    for place, (a, exact, *others) in enumerate(zip(got, expected, *near, strict=True)):
        assert a.shape == exact.shape, place
        if exact.size:
            moves = max(np.abs(other - exact).max() for other in others)
            error = np.abs(a - exact).max() / (24 * (moves + rounding * np.abs(exact).max()) or 1)
            errors.append(float(np.nan_to_num(error, nan=np.inf)))
            assert error <= 1, f"result {place}: the error is {error:.3g} times what is allowed"


def _moved(value, rounding, rng):
    return mapped(value, lambda x: x * (1 + rng.uniform(-rounding, rounding, x.shape)) if _is_float(x) else x)
