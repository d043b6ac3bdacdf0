"""The libraries that run beside us: which of them are there, and their number of threads."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Final

import tinyrnn

PEERS: Final = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}
"""Module names, and what they are called in tables."""
TORCH: Final = PEERS["torch"]
ONNX_RUNTIME: Final = PEERS["onnxruntime"]


class Peers:
    """The peers that were asked for and are installed.

    Parameters
    ----------
    names : iterable of str
        Keys of `PEERS`.

    Attributes
    ----------
    torch, onnxruntime : module or None
    missing : list of str
        A sentence for every peer that was asked for in vain.
    """

    def __init__(self, names: Iterable[str] = PEERS) -> None:
        self.missing: list[str] = []
        wanted = set(names)
        self.torch = self._load("torch", wanted)
        self.onnxruntime = self._load("onnxruntime", wanted)
        if self.onnxruntime is not None and self._load("onnx", {"onnx"}) is None:
            self.onnxruntime = None

    def _load(self, name: str, wanted: set[str]) -> Any:
        if name not in wanted:
            return None
        try:
            return importlib.import_module(name)
        except ImportError:
            what = PEERS.get(name, "ONNX Runtime needs onnx, which")
            self.missing.append(f"{what} is not installed (pip install {name}): it is left out")
            return None

    @property
    def loaded(self) -> dict[str, ModuleType]:
        """Those that are there, by the name in the tables."""
        both = {TORCH: self.torch, ONNX_RUNTIME: self.onnxruntime}
        return {name: module for name, module in both.items() if module is not None}

    def set_threads(self, threads: int) -> dict[str, int]:
        """Give every side `threads` threads; returns what each says that it uses."""
        tinyrnn.set_num_threads(threads)
        used = {"tinyrnn": tinyrnn.get_num_threads()}
        if self.torch is not None:
            self.torch.set_num_threads(threads)
            used[TORCH] = self.torch.get_num_threads()
        if self.onnxruntime is not None:
            used[ONNX_RUNTIME] = threads  # each session is made with it: onnx_models.session
        return used
