"""Compiles the .cu files for the GPU that is there, when a kernel is first asked for, and finds kernels in them."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from tinyrnn.kernels.gpu import loader

FOLDER = Path(__file__).parent
# The names that numbers have in CUDA; Half and Bfloat are in numbers.cuh.
TYPES = {"float32": "float", "float64": "double", "float16": "Half", "bfloat16": "Bfloat"}
WHOLE = {
    "int64": "long long",
    "int32": "int",
    "int16": "short",
    "int8": "signed char",
    "uint8": "unsigned char",
    "bool": "bool",
}


# How much is compiled at once: a module costs a start of the compiler and a file in CuPy's cache, and every kernel in it the
# time of somebody who may not need it. NVRTC takes less than half a second for all kernels of most files, of one type of
# numbers, so they come together; for a file of the sweep 3 to 6 seconds, for one of its modes a half to one, so it is the modes
# that come one by one (recurrent.kernels_of).


def kernels(file: str, names: tuple[str, ...]) -> dict[str, Any]:
    """{name: kernel} of a .cu file, compiled as one module for the current GPU, for names such as "scale<float>"."""
    return _kernels(file, names, loader.number_of_gpu(None))


@functools.cache
def _kernels(file: str, names: tuple[str, ...], gpu: int) -> dict[str, Any]:
    options = ("-std=c++17", f"-I{FOLDER}")
    code = f"// with headers {_headers()}\n{(FOLDER / file).read_text()}"  # CuPy's cache only looks at the code
    module = loader.cupy().RawModule(code=code, options=options, name_expressions=names)
    return {name: module.get_function(name) for name in names}


@functools.cache
def kernels_in(file: str) -> tuple[str, ...]:
    """The names of the kernels of a .cu file, without their types."""
    defined = r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\("
    return tuple(re.findall(defined, (FOLDER / file).read_text()))


@functools.cache
def compiled_with(file: str, name: str) -> tuple[str, ...]:
    """The names of all kernels of a file, of the types of one of them: what is compiled when that one is asked for."""
    types = name[name.index("<") :]
    return tuple([kernel + types for kernel in kernels_in(file)])


@functools.cache
def _headers() -> str:
    """A hash of what the .cu files include."""
    digest = hashlib.sha256()
    for file in (*sorted(FOLDER.glob("*.cuh")), FOLDER.parent / "cells.h"):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def wide(dtype: np.dtype) -> np.dtype:
    """What numbers of `dtype` are computed in."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def blocks(*sizes: tuple[int, int]) -> tuple[int, ...]:
    """The grid for (elements, elements per block) along each dimension."""
    return tuple([-(-count // each) for count, each in sizes])


def contiguous(*arrays: Any) -> list[Any]:
    """The arrays, contiguous; None stays None."""
    return [None if array is None else loader.cupy().ascontiguousarray(array) for array in arrays]


def check_current_gpu(*arrays: Any) -> None:
    """RuntimeError if arrays lie on another GPU than the current one, on which kernels run."""
    current = loader.number_of_gpu(None)
    for array in arrays:
        if array.device.id != current:
            raise RuntimeError(
                f"a tensor lies on cuda:{array.device.id}, but the current GPU is cuda:{current}; call "
                f"tinyrnn.cuda.set_device({array.device.id}), or compute within `with tinyrnn.cuda.device({array.device.id}):`"
            )


def _plain(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """None as a null pointer."""
    check_current_gpu(*[each for each in arguments if loader.is_array(each)])
    return tuple([np.uintp(0) if each is None else each for each in arguments])


def run(file: str, name: str, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
    """Launch a kernel; None among the arguments is a null pointer."""
    kernels(file, compiled_with(file, name))[name](grid, block, _plain(arguments))


def over_rows(file: str, kernel: str, rows: int, dtype: np.dtype, arguments: tuple[Any, ...]) -> None:
    """Launch a kernel of which a block takes one row."""
    run(file, f"{kernel}<{(TYPES | WHOLE)[dtype.name]}>", (rows,), (128,), arguments)


def over_elements(file: str, kernel: str, count: int, dtype: np.dtype, arguments: tuple[Any, ...]) -> None:
    """Launch a kernel of which a thread takes one element."""
    if count:
        run(file, f"{kernel}<{(TYPES | WHOLE)[dtype.name]}>", blocks((count, 256)), (256,), arguments)
