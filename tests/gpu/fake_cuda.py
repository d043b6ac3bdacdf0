"""The GPUs of the stand-in for CuPy: their memory, streams, graphs and events. There are two, as fake_cupy.py says."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import time

import numpy as np

# ---- devices and memory ----------------------------------------------------------------------------------------------

_current_gpu = 0


class Device:
    compute_capability = "90"

    def __init__(self, id=None):
        self.id = _current_gpu if id is None else id

    def __enter__(self):
        self._outer = Device()
        self.use()
        return self

    def __exit__(self, *error):
        self._outer.use()

    def use(self):
        global _current_gpu
        _current_gpu = self.id

    def synchronize(self):
        pass


_mprotect = ctypes.CDLL(None).mprotect
_mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
_BEYOND = 2**20


class _Memory(mmap.mmap):
    """Memory of a GPU, of which the last part may not be touched: what goes past the end of an array is found at once.

    It is full of 0xFF, NaN in every type: what a kernel does not write, or reads from before an array, is found as well.
    """

    def __new__(cls, nbytes):
        if current_stream().captured is not None:
            raise RuntimeError("memory is taken while a graph is captured")
        size = -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
        memory = super().__new__(cls, -1, size + _BEYOND, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        ctypes.memset(address, 0xFF, size)
        if _mprotect(address + size, _BEYOND, 0):
            raise OSError("mprotect")
        memory.device, memory.end = Device(), size
        return memory


def memory_of(array):
    """The `_Memory` that a NumPy array lies in; None if it is not memory of a GPU."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base if isinstance(array.base, _Memory) else None


def empty(shape, dtype, strides=None):
    """A NumPy array at the end of memory of its own."""
    nbytes = int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize
    memory = _Memory(nbytes)
    return np.ndarray(shape, dtype, memory, memory.end - nbytes, strides)


# ---- streams, graphs, events ----------------------------------------------------------------------------------------


def note(what, stream, more=None):
    """What streams are told, in order: for a test to put something else here."""


class Graph:
    def __init__(self, launches):
        self._launches = launches

    def launch(self, stream):
        note("graph", stream)
        for launch in self._launches:
            launch()


class Stream:
    """Launches run at once, or are written down while a graph is captured."""

    def __init__(self, null=False, non_blocking=False):
        self.captured, self._blocking = None, not non_blocking

    def do(self, name, launch):
        if self.captured is None:
            note("launch", self, name)
            launch()
        else:
            self.captured.append(launch)

    def begin_capture(self):
        if self._blocking:
            raise RuntimeError("a stream that others wait for is captured, which a launch in another thread would break")
        self.captured = []

    def end_capture(self):
        launches, self.captured = self.captured, None
        return Graph(launches)

    def synchronize(self):
        pass

    def wait_event(self, event):
        note("wait", self, event)

    def record(self, event=None):
        event = event or Event()
        note("record", self, event)
        return event

    @contextlib.contextmanager
    def _as_current(self):
        global _stream
        before, _stream = _stream, self
        try:
            yield self
        finally:
            _stream = before

    def __enter__(self):
        self._entered = self._as_current()
        return self._entered.__enter__()

    def __exit__(self, *error):
        return self._entered.__exit__(*error)


_stream = Stream()


def current_stream():
    return _stream


class Event:
    done = True

    def __init__(self, block=False, disable_timing=False):
        self._timed = not disable_timing

    def record(self, stream=None):
        self.time = time.perf_counter()

    def synchronize(self):
        pass


def elapsed(start, end):
    assert start._timed and end._timed
    return 1000 * (end.time - start.time)
