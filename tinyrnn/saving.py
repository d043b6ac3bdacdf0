"""save and load: tensors, and the dicts and lists they stand in, as one safetensors file; nothing is ever pickled.

The arrays are the file's tensors, named by number; its metadata holds the structure as JSON. There None, booleans, numbers,
strings and lists stand for themselves, and everything else is an object with one key: ``{"tensor": [number,
requires_grad]}``, ``{"dict": [[key, value], ...]}``, ``{"tuple": [...]}``. Tensors that overlap in memory are one array of
the file; each adds ``[offset, shape, strides]``, its window in elements.
"""

from __future__ import annotations

import io
import os
from collections import Counter, OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinyrnn import devices, dtypes
from tinyrnn.engine.base import TensorBase, version_of, wrap
from tinyrnn.engine.tape import requires_grad
from tinyrnn.files import write_atomically
from tinyrnn.ops.transfer import transfer
from tinyrnn.size import Size

_PLAIN = (bool, int, float, str, type(None))
_SEQUENCES: dict[str, Any] = {"tuple": tuple, "set": set, "Size": Size}
_MAPPINGS: dict[str, Any] = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}
_NAMES = {kind: name for name, kind in (_SEQUENCES | _MAPPINGS).items()}
# By safetensors' names.
_TYPES = dict(zip(("BOOL", "U8", "I8", "I16", "I32", "I64", "BF16", "F16", "F32", "F64"), dtypes.ALL, strict=True))
_FORMAT = "tinyrnn"  # the key of the metadata
_NOT_OURS = object()
_DEEPEST = 100  # so that reading never runs into Python's own limit
_MOST_BITS = 10_000  # of an integer, as Python refuses to read more than some thousand digits


def save(obj: Any, f: Any) -> None:
    """Write `obj` to a file, which is replaced at once: it holds the old content or the new, also after a crash.

    Parameters
    ----------
    obj
        Tensors, numbers, strings, booleans and None, in dicts, lists, tuples, sets, OrderedDicts and Counters nested at will:
        the ``state_dict()`` of a model, optimizer or schedule is all of that. Tensors that overlap in memory, as tied weights
        and views do, are stored once, with what lies between their elements, and share it again once loaded; what lies
        around them is not stored. A Parameter comes back as a tensor that requires a gradient.
    f : path or file object
        A file object has to be open for writing bytes.

    Raises
    ------
    TypeError
        If something in `obj` is of another type, naming its place.
    ValueError
        If `obj` is nested more than 100 deep, or an integer has more than 10,000 bits.
    OSError
        If the file cannot be written; the old one is then as it was.
    """
    import json  # like the library, slow to load, and seldom needed

    from safetensors.numpy import save as to_bytes

    writer = _Writer()
    structure = writer.packed(obj, "obj")
    arrays = {str(number): array for number, array in enumerate(writer.arrays())}
    data = to_bytes(arrays, metadata={_FORMAT: json.dumps(structure)})
    if isinstance(f, (str, os.PathLike)):
        write_atomically(Path(f), data)
    else:
        _check_binary(f, "write").write(data)


def load(f: Any, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read what `save` has written. Another program's safetensors file is read as the dict of its tensors.

    Parameters
    ----------
    f : path or file object
        A file object has to be open for reading bytes.
    map_location : device, str, dict or function, optional
        Where the tensors go, by default the CPU, wherever they were when they were saved; of a dict, what it has for "cpu".
        A function is called with each tensor and "cpu", and may return another tensor. On a GPU tied tensors stay one, while
        other views of one memory become copies.
    weights_only : bool
        Whether to refuse what could run a program. Such a file cannot be written here nor read, so False reads the same.

    Raises
    ------
    RuntimeError
        If `f` is a pickle from PyTorch, or is no whole safetensors file.
    """
    place = _placing(map_location)
    name = str(f) if isinstance(f, (str, os.PathLike)) else "the file"
    data = Path(f).read_bytes() if isinstance(f, (str, os.PathLike)) else _check_binary(f, "read").read()
    try:
        arrays, structure = _parsed(data, name)
        if structure is _NOT_OURS:
            return OrderedDict((key, place(wrap(array))) for key, array in arrays.items())
        tensors = {int(number): wrap(array) for number, array in arrays.items()}
        return _unpacked(structure, tensors, place)
    except _MapLocationError as error:
        raise error.__cause__ or error from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise RuntimeError(
            f"{name} is damaged: what it says of its structure cannot be read; write it again with tinyrnn.save"
        ) from error


def _check_binary(f: Any, method: str) -> Any:
    if not hasattr(f, method) or isinstance(f, io.TextIOBase):
        mode = "wb" if method == "write" else "rb"
        raise TypeError(
            f"expected a path or a file open for bytes, got {type(f).__name__}; pass a path or open(path, '{mode}')"
        )
    return f


class _Writer:
    """Takes an object apart into JSON and `arrays`."""

    def __init__(self) -> None:
        self._tensors: list[tuple[list, np.ndarray]] = []  # what stands for it in the JSON, and its array
        self._copies: dict[int, tuple[Any, np.ndarray]] = {}  # arrays of a GPU, by id, and what they are in main memory

    def packed(self, value: Any, place: str, depth: int = 0) -> Any:
        kind = type(value)
        if kind is int and value.bit_length() > _MOST_BITS:
            raise ValueError(f"save: {place} is an integer of {value.bit_length()} bits, expected at most 10000; save hex(...)")
        if kind in _PLAIN:
            return value
        if isinstance(value, TensorBase):
            entry = [0, requires_grad(value)]
            self._tensors.append((entry, self._in_main_memory(value.array)))
            return {"tensor": entry}
        if depth == _DEEPEST:
            raise ValueError(f"save: obj is nested more than {_DEEPEST} deep, or holds itself; save flatter lists or dicts")
        if kind is list:
            return self._items(value, place, depth)
        if kind in _NAMES and isinstance(value, dict):
            keys = [self.packed(key, f"key {_shown(key)} of {place}", depth + 1) for key in value]
            items = [self.packed(item, f"{place}[{key!r}]", depth + 1) for key, item in value.items()]
            return {_NAMES[kind]: list(zip(keys, items))}
        if kind in _NAMES:
            return {_NAMES[kind]: self._items(value, place, depth)}
        if isinstance(value, np.generic) and _is_number(value.dtype):
            return {"number": [value.dtype.name, value.item()]}
        raise TypeError(f"save: {place} is of type {kind.__name__}, which is never written to a file; {_remedy(value, place)}")

    def _items(self, values: Iterable[Any], place: str, depth: int) -> list[Any]:
        return [self.packed(value, f"{place}[{number}]", depth + 1) for number, value in enumerate(values)]

    def _in_main_memory(self, array: Any) -> np.ndarray:
        if isinstance(array, np.ndarray):
            return array
        if id(array) not in self._copies:
            self._copies[id(array)] = array, devices.in_main_memory(array)
        return self._copies[id(array)][1]

    def arrays(self) -> list[np.ndarray]:
        """The arrays to store. The entries of the tensors are told which is theirs, and which part of it."""
        arrays: list[np.ndarray] = []
        for group in _overlapping(self._tensors):
            windows = {(_address(array), array.shape, array.strides) for _, array in group}
            _, first = group[0]
            if len(windows) > 1:
                size, low = first.itemsize, _address(first)
                last = max(_end(array) for _, array in group)
                first = np.lib.stride_tricks.as_strided(first, ((last - low) // size,), (size,))
            for entry, array in group:
                entry[0] = len(arrays)
                if len(windows) > 1:
                    strides = [stride // size for stride in array.strides]
                    entry.append([(_address(array) - low) // size, list(array.shape), strides])
            arrays.append(np.asarray(first, order="C"))
        return arrays


def _is_number(dtype: np.dtype) -> bool:
    return (dtype.kind in "biuf" and dtype != np.longdouble) or dtype.name == "bfloat16"


def _overlapping(tensors: list[tuple[list, np.ndarray]]) -> Iterable[list[tuple[list, np.ndarray]]]:
    """Groups of those whose memory, from the first element to the last, overlaps; in each, the first begins first."""
    groups: list[list] = []
    end, kind = 0, None
    for each in sorted(tensors, key=lambda each: (_kind(each[1]), _address(each[1]))):
        array = each[1]
        if not (groups and _kind(array) == kind and _address(array) < end):
            groups.append([])
            end, kind = 0, _kind(array)
        groups[-1].append(each)
        end = max(end, _end(array))
    return groups


def _kind(array: Any) -> tuple:
    """Arrays of one kind can be windows onto one array of elements; any other is the only one of its kind."""
    size = array.itemsize
    plain = array.size and all(stride >= 0 and stride % size == 0 for stride in array.strides)
    return (array.dtype.str, _address(array) % size, 0 if plain else id(array))


def _address(array: Any) -> int:
    return array.__array_interface__["data"][0]


def _end(array: Any) -> int:
    """The address behind the last element."""
    return _address(array) + sum((n - 1) * stride for n, stride in zip(array.shape, array.strides)) + array.itemsize


def _shown(key: Any) -> str:
    return "(an integer)" if type(key) is int and key.bit_length() > _MOST_BITS else repr(key)


def _remedy(value: Any, place: str) -> str:
    if hasattr(value, "state_dict"):
        return f"save {'model' if place == 'obj' else place}.state_dict() and load it with load_state_dict"
    if isinstance(value, np.ndarray):
        return "make it a tensor with tinyrnn.from_numpy(...)"
    for kind in (dict, tuple, list):
        if isinstance(value, kind):
            return f"make it a {kind.__name__} with {kind.__name__}(...)"
    if callable(value):
        return "save what it is made from, and make it again after loading"
    return "save tensors, numbers, strings, None, and dicts, lists and tuples of them"


# ---- reading -------------------------------------------------------------------------------------------------------


def _parsed(data: bytes, name: str) -> tuple[dict[str, np.ndarray], Any]:
    """The arrays of a safetensors file, and the structure that `save` has put into its metadata, or `_NOT_OURS`."""
    if data[:1] in (b"P", b"\x80") and data[8:9] != b"{":  # a zip file or a bare pickle, and no header of safetensors
        raise RuntimeError(
            f"{name} is a pickle from PyTorch, which could run any program and is never read here; in PyTorch, save it with "
            f"safetensors.torch.save_file(state_dict, path), or with tinyrnn.interop.torch.save_file(model, path)"
        )
    import json

    from safetensors import SafetensorError, deserialize

    try:
        arrays = {key: _array(**stored) for key, stored in deserialize(data)}
    except (SafetensorError, KeyError, TypeError) as error:
        raise RuntimeError(
            f"{name} is no whole safetensors file of types that tinyrnn has ({error}); write it again with tinyrnn.save"
        ) from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text = header.get("__metadata__", {}).get(_FORMAT)
    return arrays, _NOT_OURS if text is None else json.loads(text)


def _array(dtype: str, shape: list[int], data: bytearray) -> np.ndarray:
    return np.frombuffer(data, _TYPES[dtype].numpy).reshape(shape)


def _unpacked(packed: Any, tensors: dict[int, Any], place: Any) -> Any:
    if isinstance(packed, list):
        return [_unpacked(item, tensors, place) for item in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return _tensor(tensors[content[0]], *content[1:], place=place)
    if kind == "number":
        dtype = dtypes.bfloat16.numpy if content[0] == "bfloat16" else np.dtype(content[0])
        if not _is_number(dtype):
            raise ValueError(f"no number is of type {dtype}")
        return dtype.type(content[1])
    items = _unpacked(content, tensors, place)
    return _MAPPINGS[kind](dict(items)) if kind in _MAPPINGS else _SEQUENCES[kind](items)


def _tensor(stored: Any, tracked: bool, window: Any = None, *, place: Any) -> Any:
    tensor = wrap(stored.array if window is None else _windowed(stored.array, *window))
    tensor.version = version_of(stored)  # shared: one memory, one counter of writes
    tensor = place(tensor)
    tensor.requires_grad = tracked
    return tensor


def _windowed(array: Any, offset: int, shape: list[int], strides: list[int]) -> Any:
    """A window onto a vector, in elements; ValueError if it reaches out of it."""
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if min(offset, *strides, 0) < 0 or min(shape, default=1) < 1 or last >= array.size:
        raise ValueError(f"a window of shape {shape} reaches out of {array.size} elements")
    steps = [stride * array.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(array[offset:], shape, steps)


class _MapLocationError(Exception):
    """Carries what a program's own function raised past what is said of damaged files."""


def _placing(map_location: Any) -> Any:
    """The function that brings a tensor to where `map_location` wants it."""
    if callable(map_location):

        def place(tensor: Any) -> Any:
            try:
                moved = map_location(tensor, "cpu")
                if not isinstance(moved, TensorBase | None):
                    raise TypeError(f"map_location returned a {type(moved).__name__}, expected a tensor or None")
            except Exception as error:
                raise _MapLocationError from error
            return tensor if moved is None else moved

        return place
    wanted = map_location.get("cpu") if isinstance(map_location, dict) else map_location
    target = devices.CPU if wanted is None else devices.available(wanted)
    moved: dict[int, tuple[Any, Any]] = {}  # by id of the array: what is one in the file stays one

    def move(tensor: Any) -> Any:
        if target == devices.CPU:
            return tensor
        _, there = moved.setdefault(id(tensor.array), (tensor.array, transfer(tensor, target)))
        result = wrap(there.array)
        result.version = version_of(there)
        return result

    return move
