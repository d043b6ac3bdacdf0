"""A stand-in for CuPy where there is no GPU: arrays that refuse what CuPy's refuse, and kernels that run on the CPU.

Put in the place of CuPy (see conftest.py), it lets everything but the speed and the GPU itself be tested: that no op mixes
arrays of the GPU and of main memory, that kernels are launched with what they take, and, through cuda_on_cpu.h, that they
compute what the CPU computes. It cannot say whether a GPU would take a kernel. There are two GPUs, of which the second is for
arrays that lie on another than the current one.

The names here are CuPy's, as far as tinyrnn uses them.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import fake_cuda
import numpy as np

HERE = Path(__file__).parent
# Which functions and methods CuPy has, with the names of their parameters: written by make_cupy_names.py from CuPy itself.
_CUPY = json.loads((HERE / "cupy_names.json").read_text())
__version__ = _CUPY["version"]

# ---- arrays --------------------------------------------------------------------------------------------------------

_FURTHER_FUNCTIONS = ("linalg.qr", "lib.stride_tricks.sliding_window_view")
_ATTRIBUTES = ("shape", "dtype", "ndim", "size", "strides", "itemsize", "nbytes", "flags")


def _frames():
    """The callers, outside of this file, from the innermost."""
    frame = sys._getframe(1)
    while frame:
        if frame.f_code.co_filename != __file__:
            yield frame
        frame = frame.f_back


def _inside(value):
    """The NumPy array in an array of the GPU; numbers as they are, and arrays of main memory refused, as CuPy does."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (tuple, list)):
        return getattr(value, "_make", type(value))(_inside(each) for each in value)
    if isinstance(value, dict):
        return {key: _inside(each) for key, each in value.items()}
    return value


def _outside(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(np.asarray(value))
    if isinstance(value, (tuple, list)):
        return getattr(value, "_make", type(value))(_outside(each) for each in value)
    return value


def _in_float32(name, value):
    """Arrays of bfloat16 in any structure, as float32 if CuPy's function of this name gives that for them."""
    if name in _CUPY["widening"]:
        if isinstance(value, (tuple, list)):
            return type(value)(_in_float32(name, each) for each in value)
        if getattr(value, "dtype", None) is not None and value.dtype.name == "bfloat16":
            return value.astype(np.float32)
    return value


def _check_parameters(where, name, kwargs):
    parameters = where.get(name)
    if parameters is None:
        raise TypeError(f"CuPy has no {name}")
    unknown = kwargs.keys() - set(parameters)
    if parameters and unknown:
        raise TypeError(f"CuPy's {name} has no {', '.join(sorted(unknown))}: it takes {', '.join(parameters)}")


class ndarray:
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, array):
        """Of a NumPy array, which is copied to memory of the GPU unless it lies there."""
        self._array = array
        if fake_cuda.memory_of(array) is None:
            self._array = fake_cuda.empty(array.shape, array.dtype, np.empty_like(array).strides)
            self._array[...] = array

    def __getattr__(self, name):
        if name in _ATTRIBUTES:
            return getattr(self._array, name)
        if name.startswith("__") or name not in _CUPY["methods"]:
            raise AttributeError(f"'ndarray' object has no attribute '{name}'")
        method = getattr(self._array, name)

        def call(*args, **kwargs):
            _check_parameters(_CUPY["methods"], name, kwargs)
            if name in ("fill", "sort"):
                return method(*_inside(args), **_inside(kwargs))
            if kwargs.pop("out", None) is not None:
                raise AssertionError("an `out` that no part of tinyrnn should need")
            return _outside(method(*_inside(args), **_inside(kwargs)))

        return call

    @property
    def device(self):
        return fake_cuda.memory_of(self._array).device

    @property
    def __cuda_array_interface__(self):
        return {**self._array.__array_interface__, "version": 3}

    def __dlpack__(self, **options):
        return self

    def __dlpack_device__(self):
        return (2, 0)

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self._array.ctypes.data)

    @property
    def base(self):
        """The array of which this is a view, None of one with memory of its own."""
        return ndarray(self._array.base) if isinstance(self._array.base, np.ndarray) else None

    @property
    def T(self):
        return ndarray(self._array.T)

    def item(self, *index):
        return self._array.item(*index)

    def tolist(self):
        return self._array.tolist()

    def get(self):
        return self._array.copy()

    def set(self, host, stream=None):
        if fake_cuda.current_stream().captured is not None:
            raise RuntimeError("memory is written to from outside while a graph is captured")
        fake_cuda.note("set", stream)
        self._array[...] = host

    def view(self, dtype=None):
        return ndarray(self._array.view() if dtype is None else self._array.view(dtype))

    def __array__(self, dtype=None, copy=None):
        caller = next(frame for frame in _frames() if "/numpy/" not in frame.f_code.co_filename)
        if "/tinyrnn/" in caller.f_code.co_filename:
            raise TypeError(
                "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
                "explicitly."
            )
        return np.array(self._array, dtype)  # for the tests themselves, which look at numbers

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if method != "__call__":
            return NotImplemented
        _check_parameters(_CUPY["functions"], ufunc.__name__, kwargs)
        values = _inside(inputs)
        if out is None:
            with np.errstate(all="ignore"):
                return _outside(ufunc(*values, **_inside(kwargs)))
        with np.errstate(all="ignore"):
            ufunc(*values, out=_inside(out), **_inside(kwargs))
        return out[0]

    def __array_function__(self, function, classes, args, kwargs):
        if not all(issubclass(each, ndarray) for each in classes):
            return NotImplemented
        if function in (np.asarray, np.array):  # np.asarray(array, like=this): the way in
            return asarray(*args, **kwargs)
        if function.__module__ == "numpy":
            _check_parameters(_CUPY["functions"], function.__name__, kwargs)
        elif f"{function.__module__.partition('.')[2]}.{function.__name__}" not in _FURTHER_FUNCTIONS:
            raise TypeError(f"CuPy has no {function.__module__}.{function.__name__}")
        with np.errstate(all="ignore"):
            return _outside(function(*_in_float32(function.__name__, _inside(args)), **_inside(kwargs)))

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return iter([ndarray(each) for each in map(np.asarray, self._array)])

    def __bool__(self):
        return bool(self._array)

    def __float__(self):
        return float(self._array)

    def __int__(self):
        return int(self._array)

    def __repr__(self):
        return f"fake_cupy.{self._array!r}"

    def __getitem__(self, key):
        return ndarray(np.asarray(self._array[_inside(key)]))

    def __setitem__(self, key, value):
        self._array[_inside(key)] = value if isinstance(value, np.ndarray) and value.ndim == 0 else _inside(value)


def _operator(name, in_place=False):
    def apply(self, *others):
        if any(isinstance(other, np.ndarray) for other in others):
            raise TypeError(f"Unsupported type {np.ndarray}")
        with np.errstate(all="ignore"):
            result = getattr(self._array, name)(*_inside(others))
        if result is NotImplemented:
            return NotImplemented
        return self if in_place else _outside(result)

    return apply


for _name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"]:
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(ndarray, f"__r{_name}__", _operator(f"__r{_name}__"))
    if _name != "matmul":
        setattr(ndarray, f"__i{_name}__", _operator(f"__i{_name}__", in_place=True))
for _name in ["eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert"]:
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))

# ---- functions -----------------------------------------------------------------------------------------------------


def asarray(value, dtype=None):
    """From main memory to the GPU: the one way in."""
    if isinstance(value, ndarray):
        return value if dtype in (None, value.dtype) else value.astype(dtype)
    return ndarray(np.array(value, dtype))


def array(value, dtype=None):
    """A copy on the current GPU."""
    return ndarray(np.array(_inside(value) if isinstance(value, ndarray) else value, dtype))


def from_dlpack(value):
    assert value.__dlpack_device__()[0] == 2
    return value.__dlpack__().view()


def asnumpy(value):
    """From the GPU to main memory: the one way out."""
    return value.get()


def ascontiguousarray(value):
    return ndarray(np.ascontiguousarray(_inside(value)))


_compute_types = {}
_core = types.SimpleNamespace(
    get_compute_type=lambda dtype: _compute_types.get(dtype.name, "DEFAULT"),
    set_compute_type=lambda dtype, kind: _compute_types.update({dtype.name: kind}),
    _routines_linalg=types.SimpleNamespace(COMPUTE_TYPE_TF32="TF32", COMPUTE_TYPE_DEFAULT="DEFAULT"),
)


def matmul(a, b):
    a, b = _inside(a), _inside(b)
    if a.dtype.name in ("float16", "bfloat16"):
        assert a.ndim == b.ndim == 2, "CuPy may crash"
        if a.shape[0] == b.shape[1] == 1:  # CuPy's way with a row and a column
            return ndarray((a.reshape(-1) * b.reshape(-1)).astype(np.float32).sum().astype(a.dtype).reshape(1, 1))
        return ndarray(np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype))
    if a.dtype == np.float32 and _compute_types.get("float32") == "TF32":
        a, b = ((x.view(np.uint32) + 0x1000 & 0xFFFFE000).view(np.float32) for x in map(np.ascontiguousarray, (a, b)))
    return ndarray(np.asarray(np.matmul(a, b)))


def stack(arrays, axis=0):
    return ndarray(np.stack(_inside(arrays), axis))


def concatenate(arrays, axis=0):
    return ndarray(np.concatenate(_inside(arrays), axis))


def _new(function):
    return lambda *args, **kwargs: ndarray(function(*args, **kwargs))


zeros, ones, full, arange = map(_new, (np.zeros, np.ones, np.full, np.arange))


def empty(shape, dtype=float):
    return ndarray(fake_cuda.empty(shape, dtype))


# ---- kernels -------------------------------------------------------------------------------------------------------


_FLAGS = ["-std=c++17", "-O1", "-ffp-contract=off", "-fsanitize=alignment", "-fsanitize-undefined-trap-on-error"]
_FLAGS += ["-shared", "-fPIC", "-w"]


def _library(source, folders=()):
    """What g++ makes of C++ source: kept for the next run of the tests."""
    text = (
        " ".join(_FLAGS)
        + (HERE / "cuda_on_cpu.h").read_text()
        + source
        + "".join(file.read_text() for folder in folders for file in sorted(Path(folder).glob("*.*h")))
    )
    kept = Path(tempfile.gettempdir(), "tinyrnn_cuda_on_cpu", hashlib.sha256(text.encode()).hexdigest()[:32] + ".so")
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            file, made = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
            file.write_text(source)
            includes = [f"-I{each}" for each in (HERE, *folders)]
            done = subprocess.run(["g++", *_FLAGS, *includes, str(file), "-o", str(made)], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(done.stderr[:6000])
            own = kept.with_suffix(f".{id(made)}")
            own.write_bytes(made.read_bytes())
            own.replace(kept)
    return ctypes.CDLL(str(kept))


class RawModule:
    """Kernels of one file, instantiated by their names."""

    def __init__(self, *, code, options=(), name_expressions=()):
        folders = [option[2:] for option in options if option.startswith("-I")]
        launchers = "".join(
            f'extern "C" void describe_{i}(char *to) {{ fibers::describe(&{name}, to); }}\n'
            f'extern "C" const char *launch_{i}(unsigned *grid, unsigned *block, void **arguments) {{\n'
            f"    return fibers::call(&{name}, grid, block, arguments);\n}}\n"
            for i, name in enumerate(name_expressions)
        )
        self._library = _library(f'#include "cuda_on_cpu.h"\n{code}\n{launchers}', folders)
        self._names = list(name_expressions)

    def get_function(self, name):
        return _Kernel(self._library, self._names.index(name), name)


class _Kernel:
    def __init__(self, library, number, name):
        self._launch = getattr(library, f"launch_{number}")
        self._launch.restype = ctypes.c_char_p
        self._loaded = False
        text = ctypes.create_string_buffer(4096)
        getattr(library, f"describe_{number}")(text)
        self._parameters = text.value.decode().split()
        self._name = name

    def __call__(self, grid, block, args):
        stream = fake_cuda.current_stream()
        if stream.captured is not None and not self._loaded:
            raise RuntimeError(f"{self._name}: loaded while a graph is captured, which a GPU may refuse; launch it before")
        self._loaded = True
        grid, block = ((*sizes, 1, 1)[:3] for sizes in (grid, block))
        if len(args) != len(self._parameters):
            raise TypeError(f"{self._name}: takes {len(self._parameters)} arguments, got {len(args)}")
        values = [_argument(self._name, *each) for each in zip(self._parameters, args)]
        pointers = (ctypes.c_void_p * len(values))(*[value.ctypes.data for value in values])

        def run():
            error = self._launch((ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block), pointers)
            if error:
                raise RuntimeError(f"{self._name}: {error.decode()}")
            return values, args  # kept as long as the launch is

        stream.do(self._name, run)


def _argument(kernel, parameter, value):
    """The bytes that CuPy passes for one argument, checked against what the kernel takes."""
    if isinstance(value, ndarray):
        inside = value._array
        if not parameter.startswith("*"):
            raise TypeError(f"{kernel}: an array for a parameter of type {parameter}")
        if not inside.flags.c_contiguous:
            raise TypeError(f"{kernel}: an array that is not contiguous: {inside.shape}, {inside.strides}")
        wanted = parameter[1:]
        found = "V2" if inside.dtype.name in ("float16", "bfloat16") else inside.dtype.str[1:]
        if (wanted[0] != "V" or wanted == "V2") and wanted != found:
            raise TypeError(f"{kernel}: an array of {found} for a pointer to {wanted}")
        return np.array(inside.ctypes.data, np.uintp)
    if parameter.startswith("*") and type(value) is np.uintp and value == 0:  # a null pointer
        return np.array(value)
    plain = {bool: np.bool_, int: np.int64, float: np.float64}.get(type(value))
    value = np.array(value if plain is None else plain(value))
    if value.dtype.str[1:] != parameter:
        raise TypeError(f"{kernel}: a {value.dtype.str[1:]} for a parameter of type {parameter}")
    return value


class ElementwiseKernel:
    """An operation on every element, in C++; letters stand for a type."""

    def __init__(self, in_params, out_params, operation, name="kernel", preamble=""):
        self._in, self._out = (self._parsed(each) for each in (in_params, out_params))
        self._operation, self._name, self._preamble = operation, name, preamble

    @staticmethod
    def _parsed(parameters):
        return [tuple(each.split()) for each in parameters.split(",")]

    def __call__(self, *args):
        inputs = args[: len(self._in)]
        letters = {}
        for (kind, name), value in zip(self._in, inputs, strict=True):
            if isinstance(value, np.ndarray):
                raise TypeError(f"{self._name}: Unsupported type {np.ndarray}")
            if len(kind) == 1 and isinstance(value, ndarray) and letters.setdefault(kind, value.dtype) != value.dtype:
                raise TypeError(f"{self._name}: {name} is of {value.dtype}, others of {letters[kind]}")

        def dtype_of(kind):
            return np.dtype(letters[kind] if len(kind) == 1 else kind)

        shape = np.broadcast_shapes(*[np.shape(_inside(value)) for value in inputs])
        values = [
            np.ascontiguousarray(np.broadcast_to(np.asarray(_inside(value), dtype_of(kind)), shape))
            for (kind, _), value in zip(self._in, inputs)
        ]
        results = [np.empty(shape, dtype_of(kind)) for kind, _ in self._out]
        types_used = tuple(sorted((letter, dtype.name) for letter, dtype in letters.items()))
        pointers = (ctypes.c_void_p * (len(values) + len(results)))(*[each.ctypes.data for each in (*values, *results)])
        self._compiled(types_used)(ctypes.c_long(int(np.prod(shape, dtype=int))), pointers)
        wrapped = tuple(map(ndarray, results))
        return wrapped[0] if len(wrapped) == 1 else wrapped

    @functools.cache  # noqa: B019 (kernels live as long as the tests)
    def _compiled(self, types_used):
        names = {
            "float32": "float",
            "float64": "double",
            "float16": "_Float16",
            "bfloat16": "bfloat16",
            "int64": "long long",
            "int32": "int",
            "uint8": "unsigned char",
            "int8": "signed char",
            "int16": "short",
            "bool": "bool",
        }
        typedefs = "".join(f"typedef {names[name]} {letter};\n" for letter, name in types_used)
        named = {kind: kind if len(kind) == 1 else names[kind] for kind, _ in self._in + self._out}
        qualifiers = ["const "] * len(self._in) + [""] * len(self._out)
        variables = "".join(
            f"        {const}{named[kind]} &{name} = (({named[kind]} *)arrays[{place}])[i];\n"
            for place, (const, (kind, name)) in enumerate(zip(qualifiers, self._in + self._out))
        )
        source = (
            f'#include "cuda_on_cpu.h"\nusing namespace std;\n{typedefs}{self._preamble}\n'
            f'extern "C" void run(long count, void **arrays) {{\n    for (long i = 0; i < count; i++) {{\n'
            f"{variables}        {self._operation};\n    }}\n}}\n"
        )
        return _library(source).run


# ---- the GPU ---------------------------------------------------------------------------------------------------------


class _Pool:
    def free_all_blocks(self):
        pass

    def used_bytes(self):
        return 512

    def total_bytes(self):
        return 1024


def get_default_memory_pool():
    return _Pool()


get_default_pinned_memory_pool = get_default_memory_pool

cuda = types.ModuleType("cupy.cuda")
cuda.Device = fake_cuda.Device
cuda.Stream = fake_cuda.Stream
cuda.get_current_stream = fake_cuda.current_stream
cuda.Event = fake_cuda.Event
cuda.alloc_pinned_memory = bytearray
cuda.get_elapsed_time = fake_cuda.elapsed
cuda.nvrtc = types.SimpleNamespace(getVersion=lambda: (13, 0))
_PROPERTIES = {"name": b"stand-in", "major": 9, "minor": 0, "totalGlobalMem": 2**30, "multiProcessorCount": 132}
cuda.runtime = types.SimpleNamespace(
    getDeviceCount=lambda: 2,
    getDevice=lambda: fake_cuda.Device().id,
    getDeviceProperties=lambda number: _PROPERTIES,
    memGetInfo=lambda: (2**29, 2**30),
    CUDARuntimeError=RuntimeError,
    driverGetVersion=lambda: 13000,
)
