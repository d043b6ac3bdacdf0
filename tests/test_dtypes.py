"""dtypes and PyTorch's promotion, over all pairs."""

from __future__ import annotations

import copy
import itertools
import pickle
import re
import sys
import textwrap

import numpy as np
import pytest

import tinyrnn
from tinyrnn import dtypes

pytest.importorskip("ml_dtypes", reason="dtypes.ALL has bfloat16, whose arrays are those of ml_dtypes")

NAMES = [each.name for each in dtypes.ALL]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def default_float64():
    tinyrnn.set_default_dtype(tinyrnn.float64)
    yield
    tinyrnn.set_default_dtype(tinyrnn.float32)


def short_name(torch_dtype):
    return str(torch_dtype).removeprefix("torch.")


def test_promote_types_over_all_pairs(torch):
    for a, b in itertools.product(NAMES, NAMES):
        expected = short_name(torch.promote_types(getattr(torch, a), getattr(torch, b)))
        assert tinyrnn.promote_types(dtypes.named(a), dtypes.named(b)).name == expected, (a, b)


def test_can_cast_over_all_pairs(torch):
    for a, b in itertools.product(NAMES, NAMES):
        expected = torch.can_cast(getattr(torch, a), getattr(torch, b))
        assert tinyrnn.can_cast(dtypes.named(a), dtypes.named(b)) == expected, (a, b)


def operands(module):
    """Vectors and 0-d tensors of every dtype, and Python and NumPy numbers.

    Not np.bool_: PyTorch takes it for a float, by an oversight; here it is a bool.
    """
    for name in NAMES:
        yield f"vector {name}", module.ones(2, dtype=getattr(module, name))
        yield f"0-d {name}", module.ones((), dtype=getattr(module, name))
    for number in (True, 1, 1.5, np.int8(1), np.uint8(1), np.int32(1), np.int64(1), np.float16(1),
                   np.float32(1), np.float64(1)):  # fmt: skip
        yield f"number {type(number).__name__}", number


@pytest.mark.parametrize("default", ["float32", "float64"])
def test_result_type_over_all_pairs(torch, default):
    torch.set_default_dtype(getattr(torch, default))
    tinyrnn.set_default_dtype(dtypes.named(default))
    try:
        ours, theirs = list(operands(tinyrnn)), list(operands(torch))
        for ((name, a), (_, x)), ((other, b), (_, y)) in itertools.product(zip(ours, theirs), repeat=2):
            expected = short_name(torch.result_type(x, y))
            assert tinyrnn.result_type(a, b).name == expected, (name, other)
    finally:
        torch.set_default_dtype(torch.float32)
        tinyrnn.set_default_dtype(tinyrnn.float32)


def test_operators_follow_result_type(torch):
    ours, theirs = list(operands(tinyrnn)), list(operands(torch))
    for ((name, a), (_, x)), ((other, b), (_, y)) in itertools.product(zip(ours, theirs), repeat=2):
        if not (tinyrnn.is_tensor(a) or tinyrnn.is_tensor(b)) or (isinstance(a, np.generic)):
            continue
        assert (a * b).dtype.name == short_name((x * y).dtype), (name, other)
        assert (a + b).dtype.name == short_name((x + y).dtype), (name, other)


def test_numpy_scalars_on_the_left():
    """They count as Python numbers, and the result is a tensor."""
    x = tinyrnn.ones(2)
    for number in (np.float64(2), np.float32(2), np.int64(2), np.int8(2)):
        for result in (number * x, x * number, number + x, x - number):
            assert isinstance(result, tinyrnn.Tensor) and result.dtype is tinyrnn.float32


def test_categories_and_sizes(torch):
    for name in NAMES:
        ours, theirs = dtypes.named(name), getattr(torch, name)
        assert ours.is_floating_point == theirs.is_floating_point and ours.itemsize == theirs.itemsize
        assert ours.is_signed == theirs.is_signed and ours.is_complex == theirs.is_complex


def test_names():
    assert tinyrnn.float is tinyrnn.float32 and tinyrnn.double is tinyrnn.float64 and tinyrnn.half is tinyrnn.float16
    assert tinyrnn.long is tinyrnn.int64 and tinyrnn.int is tinyrnn.int32 and tinyrnn.short is tinyrnn.int16
    assert repr(tinyrnn.bool) == "tinyrnn.bool"
    with pytest.raises(TypeError, match="no dtype 'float8'"):
        dtypes.named("float8")


@pytest.mark.parametrize("name", NAMES)
def test_a_dtype_is_one_object(name):
    dtype = dtypes.named(name)
    assert copy.deepcopy(dtype) is dtype and pickle.loads(pickle.dumps(dtype)) is dtype
    assert dtypes.as_dtype(dtype.numpy) is dtype and dtypes.as_dtype(dtype) is dtype


def test_as_dtype_of_python_types(default_float64):
    assert dtypes.as_dtype(float) is tinyrnn.float64 and dtypes.as_dtype(int) is tinyrnn.int64
    assert dtypes.as_dtype(bool) is tinyrnn.bool
    for wrong in ("float32", 3, complex, None, str):
        with pytest.raises(TypeError, match="expected a dtype"):
            dtypes.as_dtype(wrong)


def test_default_dtype(default_float64):
    assert tinyrnn.get_default_dtype() is tinyrnn.float64
    assert tinyrnn.tensor(1.5).dtype is tinyrnn.zeros(1).dtype is tinyrnn.rand(1).dtype is tinyrnn.float64
    with pytest.raises(TypeError, match="only floating-point types"):
        tinyrnn.set_default_dtype(tinyrnn.int64)


@pytest.mark.parametrize("name", ["complex64", "uint16", "U3", "object"])
def test_foreign_dtypes_are_refused(name):
    with pytest.raises(TypeError, match="not supported"):
        tinyrnn.tensor(np.zeros(2, name))


def test_finfo_and_iinfo(torch):
    for name in ("bfloat16", "float16", "float32", "float64"):
        ours, theirs = tinyrnn.finfo(dtypes.named(name)), torch.finfo(getattr(torch, name))
        for field in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
            assert getattr(ours, field) == getattr(theirs, field), field
    for name in ("uint8", "int8", "int16", "int32", "int64"):
        ours, theirs = tinyrnn.iinfo(dtypes.named(name)), torch.iinfo(getattr(torch, name))
        assert (ours.bits, ours.max, ours.min, ours.dtype) == (theirs.bits, theirs.max, theirs.min, theirs.dtype)
    assert repr(tinyrnn.iinfo(tinyrnn.int8)) == repr(torch.iinfo(torch.int8))
    assert tinyrnn.finfo().dtype == "float32" and "eps=1.19209e-07" in repr(tinyrnn.finfo())
    with pytest.raises(TypeError, match="use iinfo"):
        tinyrnn.finfo(tinyrnn.int32)
    with pytest.raises(TypeError, match="use finfo"):
        tinyrnn.iinfo(tinyrnn.float32)


def test_bfloat16_takes_no_time_until_it_is_used(run_python):
    code = """
        import sys, tinyrnn
        assert repr(tinyrnn.bfloat16) == "tinyrnn.bfloat16" and tinyrnn.promote_types(tinyrnn.bfloat16, tinyrnn.float32)
        tinyrnn.nn.LSTM(2, 3)(tinyrnn.rand(4, 1, 2))[0].sum().backward()
        assert "ml_dtypes" not in sys.modules
        tinyrnn.ones(2, dtype=tinyrnn.bfloat16)
        assert "ml_dtypes" in sys.modules
    """
    done = run_python(textwrap.dedent(code))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "use",
    [
        lambda: tinyrnn.zeros(2, dtype=tinyrnn.bfloat16),
        lambda: tinyrnn.ones(2).bfloat16(),
        lambda: tinyrnn.ones(2).to(tinyrnn.bfloat16),
        lambda: tinyrnn.nn.Linear(2, 3).bfloat16(),
        lambda: tinyrnn.finfo(tinyrnn.bfloat16),
        lambda: tinyrnn.set_default_dtype(tinyrnn.bfloat16),
    ],
)
def test_bfloat16_without_its_package(monkeypatch, use):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match=re.escape('pip install "tinyrnn[bfloat16]"')):
        use()
    assert tinyrnn.get_default_dtype() is tinyrnn.float32
