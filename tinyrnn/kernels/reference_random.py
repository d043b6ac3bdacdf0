"""Dropout in plain NumPy: its random numbers are those of a counter-based generator, the same on every backend.

Every element has its own number, which depends on a seed, on the number of the call and on the place of the element, and
on nothing else: so a mask need not be kept for backward, and no thread waits for another one's numbers.
"""

from __future__ import annotations

import math

import numpy as np

from tinyrnn.kernels.narrow import in_32_bits

_quiet = np.errstate(all="ignore")
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_STEPS = 0x9E3779B9, 0xBB67AE85


def philox(counters, calls, key):
    """Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").

    Parameters
    ----------
    counters, calls : uint64 arrays of shape (N,), the lower and upper half of the counters.
    key : int, 64 bits.

    Returns
    -------
    uint32, (N, 4).
    """
    words = [counters & _LOW, counters >> _HALF, calls & _LOW, calls >> _HALF]
    keys = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        first, second = words[0] * _MULTIPLIERS[0], words[2] * _MULTIPLIERS[1]
        words = [
            (second >> _HALF) ^ words[1] ^ np.uint64(keys[0]),
            second & _LOW,
            (first >> _HALF) ^ words[3] ^ np.uint64(keys[1]),
            first & _LOW,
        ]
        keys = [(part + step) & 0xFFFFFFFF for part, step in zip(keys, _STEPS)]
    return np.stack(words, axis=-1).astype(np.uint32)


def keep_mask(like, shape, p, scale, seed, call):
    size = math.prod(shape)
    blocks = np.arange((size + 3) // 4, dtype=np.uint64)
    words = philox(blocks, np.full_like(blocks, call), seed).reshape(-1)[:size]
    kept = (words >> np.uint32(8)) >= math.ceil(p * 2**24)
    return np.asarray((kept * like.dtype.type(scale)).reshape(shape), like=like)


@_quiet
@in_32_bits
def dropout_forward(x, p, seed, call):
    return x * keep_mask(x, x.shape, p, 1 / (1 - p) if p < 1 else 0, seed, call)


def dropout_backward(grad, p, seed, call):
    return dropout_forward(grad, p, seed, call)
