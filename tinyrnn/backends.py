"""What programs ask and set of the libraries behind PyTorch, none of which are used here.

``backends.cudnn.deterministic = True`` asks for what is always so: results are the same bits in every run. ``benchmark`` and
``allow_tf32`` permit cuDNN and CUDA to be faster; there is nothing here to permit.
"""

from __future__ import annotations

from tinyrnn import _lazy

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps"]

__getattr__ = _lazy.answering(__name__)


class _Backend:
    """A library: whether it is there, and its switches, which may be set and read back."""

    _name: str
    _available: bool

    def __init__(self, name: str, available: bool = False, **switches: object) -> None:
        vars(self).update(switches)
        vars(self).update(_name=name, _available=available)

    def is_available(self) -> bool:
        """Whether the library is used."""
        return self._available

    def __setattr__(self, name: str, value: object) -> None:
        if name not in vars(self):
            raise _lazy.missing(self._name, name, vars(self))
        vars(self)[name] = value

    def __getattr__(self, name: str) -> object:
        raise _lazy.missing(self._name, name, vars(self))


cudnn = _Backend("backends.cudnn", enabled=True, deterministic=False, benchmark=False, allow_tf32=True)
mps = _Backend("backends.mps")
mkl = _Backend("backends.mkl")
mkldnn = _Backend("backends.mkldnn", enabled=True)
cuda = _Backend("backends.cuda", matmul=_Backend("backends.cuda.matmul", allow_tf32=False))
