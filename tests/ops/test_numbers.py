"""A number that is stored in an integer tensor: the same check wherever it comes in, equal to PyTorch's."""

from __future__ import annotations

import pytest

import tinyrnn

NUMBERS = [0, 7, 255, 256, 300, -1, -200, -255, -256, -300, 2.5, -1.5, float("inf"), float("nan"), 2**40]


def setitem(index):
    def write(lib, x, value):
        x[index(lib)] = value
        return x

    return write


def mask(lib):
    return lib.tensor([True, False])


def first(lib):
    return lib.tensor([0])


STORED = {
    "fill_": lambda lib, x, v: x.fill_(v),
    "x[0] =": setitem(lambda lib: 0),
    "x[mask] =": setitem(mask),
    "x[index] =": setitem(first),
    "masked_fill": lambda lib, x, v: x.masked_fill(mask(lib), v),
    "masked_fill_": lambda lib, x, v: x.masked_fill_(mask(lib), v),
    "scatter": lambda lib, x, v: x.scatter(0, first(lib), v),
    "scatter value": lambda lib, x, v: x.scatter(0, first(lib), value=v),
    "index_fill": lambda lib, x, v: x.index_fill(0, first(lib), v),
    "where": lambda lib, x, v: lib.where(mask(lib), v, x),
    "alpha": lambda lib, x, v: lib.add(x, x, alpha=v),
    "index_add": lambda lib, x, v: x.index_add(0, first(lib), x[:1], alpha=v),
}


def result(program, lib, value, dtype):
    try:
        return program(lib, lib.tensor([1, 100], dtype=getattr(lib, dtype)), value)
    except RuntimeError as error:
        return str(error).replace(str(value), "").split()[-2:]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64"])
@pytest.mark.parametrize("value", NUMBERS, ids=str)
@pytest.mark.parametrize("program", STORED.values(), ids=STORED.keys())
def test_like_pytorch(program, value, dtype):
    torch = pytest.importorskip("torch")
    ours, theirs = result(program, tinyrnn, value, dtype), result(program, torch, value, dtype)
    if isinstance(theirs, list):
        assert isinstance(ours, list), (ours, theirs)
    else:
        assert not isinstance(ours, list), (ours, theirs)
        assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
        assert str(ours.tolist()) == str(theirs.tolist())


@pytest.mark.parametrize("program", STORED.values(), ids=STORED.keys())
def test_the_error_names_number_and_dtype(program):
    with pytest.raises(RuntimeError, match="value 300 cannot be converted to type uint8 without overflow"):
        program(tinyrnn, tinyrnn.tensor([1, 2], dtype=tinyrnn.uint8), 300)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("program", [program for name, program in STORED.items() if name != "alpha" and name != "index_add"])
def test_floats_overflow_everywhere(program, dtype):
    with pytest.raises(RuntimeError, match="cannot be converted to type"):
        program(tinyrnn, tinyrnn.ones(2, dtype=getattr(tinyrnn, dtype)), 1e300)


def test_floats_overflow_too():
    x = tinyrnn.ones(2, dtype=tinyrnn.float16)
    with pytest.raises(RuntimeError, match=r"value 1000000000\.0 cannot be converted to type float16"):
        x.masked_fill(tinyrnn.tensor([True, False]), 1e9)
    assert x.masked_fill(tinyrnn.tensor([True, False]), float("-inf")).tolist() == [float("-inf"), 1]
