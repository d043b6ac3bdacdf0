"""What programs ask and set of the libraries behind PyTorch, none of which are used here.

``backends.cudnn.deterministic = True`` asks for what is always so: results are the same bits in every run. ``benchmark``
permits cuDNN to try what is faster; there is nothing here to permit. ``allow_tf32`` does what it does in PyTorch: products of
float32 on a GPU may be rounded to 10 bits of the fraction, those of recurrent layers (`cudnn`, True unless set) and all others
(`cuda.matmul`, False unless set, also by `set_float32_matmul_precision`).
"""

from __future__ import annotations

from tinyrnn import _lazy
from tinyrnn.kernels.gpu import tf32

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps"]

__getattr__ = _lazy.answering(__name__)

# Whose allow_tf32 is which of the switches that the kernels read.
_PRODUCTS = {"backends.cudnn": "recurrent", "backends.cuda.matmul": "others"}


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
        if name == "allow_tf32" and self._name in _PRODUCTS:
            tf32.allowed[_PRODUCTS[self._name]] = bool(value)
            return
        if name not in vars(self):
            raise _lazy.missing(self._name, name, vars(self))
        vars(self)[name] = value

    def __getattr__(self, name: str) -> object:
        if name == "allow_tf32" and self._name in _PRODUCTS:
            return tf32.allowed[_PRODUCTS[self._name]]
        raise _lazy.missing(self._name, name, vars(self))


class _Cudnn(_Backend):
    def version(self) -> None:
        """None: cuDNN is not used."""


cudnn = _Cudnn("backends.cudnn", enabled=True, deterministic=False, benchmark=False)
mps = _Backend("backends.mps")
mkl = _Backend("backends.mkl")
mkldnn = _Backend("backends.mkldnn", enabled=True)
cuda = _Backend("backends.cuda", matmul=_Backend("backends.cuda.matmul"))
