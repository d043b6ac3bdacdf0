"""What tests of the compiled kernels share: several numbers of threads, and arrays of any layout."""

from __future__ import annotations

import numpy as np
import pytest

try:
    from tinyrnn.kernels.cpu import native
except ImportError:  # nothing is compiled
    native = None


def on_threads(compute, numbers=(1, 2, 3)):
    """The results of ``compute()``, a list of arrays, on so many threads each."""
    if native is None:
        pytest.skip("without compiled kernels there are no threads")
    before, results = native.get_num_threads(), []
    for number in numbers:
        native.set_num_threads(number)
        results.append([np.array(each) for each in compute()])
    native.set_num_threads(before)
    return results


def assert_same_bits_on_any_number_of_threads(compute):
    first, *others = on_threads(compute)
    for other in others:
        for a, b in zip(first, other, strict=True):
            assert a.tobytes() == b.tobytes()


def unaligned(x):
    """The same numbers at an address that is a multiple of the element's size, but not of a vector's."""
    memory = np.empty(x.size + 1, x.dtype)[1:].reshape(x.shape)
    memory[...] = x
    return memory


def layouts(x):
    """The same numbers: contiguous, unaligned in both ways, strided, reversed, in the other byte order."""
    yield x
    yield unaligned(x)
    odd = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    yield odd
    yield np.repeat(x, 2, axis=0)[::2]
    yield x[::-1].copy()[::-1]
    yield x.astype(x.dtype.newbyteorder())
