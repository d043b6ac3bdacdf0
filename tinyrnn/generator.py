"""Generators: streams of random numbers with a state that can be saved.

The streams are those of NumPy's Philox, a counter-based generator (Salmon et al. 2011, Parallel random numbers: as easy
as 1, 2, 3); they are not PyTorch's. Masks (ops/dropout.py) come from a Philox of their own, in which a number depends on the
seed, on how many masks there were before, and on its place, so that any number of threads and any device draw the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrnn import devices
from tinyrnn.engine.base import TensorBase, wrap

_WORDS = (("counter", 4), ("key", 2), ("buffer", 4), ("buffer_pos", 1), ("has_uint32", 1), ("uinteger", 1))
_STATE_BYTES = 8 * (2 + sum(count for _, count in _WORDS))
_DEFAULT_SEED = 67280421310721  # PyTorch's


class Generator:
    """A stream of random numbers."""

    def __init__(self, device: Any = "cpu") -> None:
        self.device = devices.available(device)
        self.manual_seed(_DEFAULT_SEED)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to `seed`, -2**63 to 2**64 - 1; returns the generator."""
        number = int(seed)
        if not -(2**63) <= number < 2**64:
            raise RuntimeError(f"manual_seed: expected a seed from -2**63 to 2**64 - 1, got {seed}")
        self._seed = number % 2**64
        self._masks = 0
        self._numpy: np.random.Generator | None = None
        return self

    @property
    def numpy(self) -> np.random.Generator:
        """The NumPy generator behind it, made when the first number is drawn: `import tinyrnn` need not load numpy.random."""
        if self._numpy is None:
            self._numpy = np.random.Generator(np.random.Philox(self._seed))
        return self._numpy

    def initial_seed(self) -> int:
        """The seed that the stream was started with."""
        return self._seed

    def seed(self) -> int:
        """Start a stream of which nobody knows; returns its seed."""
        import secrets

        self.manual_seed(secrets.randbits(63))
        return self._seed

    def next_mask(self) -> tuple[int, int]:
        """(seed, call) for the kernels that draw a mask; every time another call."""
        call = self._masks
        self._masks = call + 1
        return self._seed, call

    def get_state(self) -> Any:
        """The state as a uint8 tensor."""
        state: Any = self.numpy.bit_generator.state
        state = {**state, **state["state"]}
        words = [np.asarray(state[name], np.uint64).reshape(count) for name, count in _WORDS]
        return wrap(np.concatenate([np.asarray([self._seed, self._masks], np.uint64), *words]).view(np.uint8))

    def set_state(self, new_state: Any) -> Generator:
        """Go on from a state that `get_state` returned (also of another generator)."""
        array = new_state.array if isinstance(new_state, TensorBase) else None
        if array is None or array.dtype != np.uint8 or array.size != _STATE_BYTES:
            raise RuntimeError(f"RNG state must be a uint8 tensor of {_STATE_BYTES} elements, from get_state()")
        words = np.ascontiguousarray(array).view(np.uint64)
        parts: dict[str, Any] = {}
        start = 2
        for name, count in _WORDS:
            parts[name] = words[start : start + count].copy() if count > 1 else int(words[start])
            start += count
        philox = {"counter": parts.pop("counter"), "key": parts.pop("key")}
        self._seed, self._masks = int(words[0]), int(words[1])
        self.numpy.bit_generator.state = {"bit_generator": "Philox", "state": philox, **parts}
        return self

    def __repr__(self) -> str:
        return f"<tinyrnn.Generator seed={self._seed}>"


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the generator that is used where none is given."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def seed() -> int:
    """Seed the default generator with an unknown number, and return that."""
    return default_generator.seed()


def get_rng_state() -> Any:
    """The state of the default generator as a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Set the state of the default generator."""
    default_generator.set_state(new_state)
