"""16-bit floats in the kernels: computed with in 32 bits, so that nothing is rounded but the results."""

from __future__ import annotations

import functools

import numpy as np


def is_narrow(x):
    """Whether an array holds floats of 16 bits: float16, or bfloat16, whose `kind` is V."""
    return x.itemsize == 2 and x.dtype.kind in "fV"


def widened(x):
    """The array in 32 bits if it holds floats of 16."""
    return x.astype(np.float32) if is_narrow(x) else x


def native(dtype):
    """A dtype in the byte order of this machine: itself, the very object, if it is."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def in_32_bits(kernel, at=0):
    """A kernel that computes in 32 bits, and gives its results in the dtype of argument number `at`, if that has 16."""

    @functools.wraps(kernel)
    def run(*args, **options):
        if not is_narrow(args[at]):
            return kernel(*args, **options)
        dtype = native(args[at].dtype)
        result = kernel(*_each(widened, args), **options)
        with np.errstate(over="ignore"):  # of float16: inf, without a warning
            return _each(lambda x: x.astype(dtype) if x.dtype == np.float32 else x, result)

    return run


def with_number_in_32_bits(kernel):
    """A kernel of two operands that computes in 32 bits if one is a Python number: 16 may have no place for it."""
    first, second = in_32_bits(kernel, 0), in_32_bits(kernel, 1)

    @functools.wraps(kernel)
    def run(a, b):
        if not hasattr(a, "dtype"):
            return second(a, b)
        return kernel(a, b) if hasattr(b, "dtype") else first(a, b)

    return run


def written_in_32_bits(*places):
    """A decorator of functions that write into some of the arrays they are given: those at these places, if not None."""

    def decorate(function):
        @functools.wraps(function)
        def run(*args):
            if not is_narrow(args[0]):
                return function(*args)
            wide = _each(widened, args)
            function(*wide)
            for place in places:
                if args[place] is not None:
                    with np.errstate(over="ignore"):
                        args[place][...] = wide[place]

        return run

    return decorate


def _each(function, value):
    """``function`` of an array, or of every array in tuples and lists."""
    if isinstance(value, (tuple, list)):
        return getattr(value, "_make", type(value))([_each(function, each) for each in value])
    return function(value) if hasattr(value, "dtype") else value
