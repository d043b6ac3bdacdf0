"""FloatTensor and the others, Tensor.new, Tensor.type: what programs of old call."""

from __future__ import annotations

import pytest

import tinyrnn
from tinyrnn import legacy

TYPES = ["Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool"]


@pytest.mark.parametrize("name", TYPES)
def test_they_make_tensors_of_their_dtype(name):
    torch = pytest.importorskip("torch")
    if name == "BFloat16":
        pytest.importorskip("ml_dtypes")
    ours, theirs = getattr(tinyrnn, f"{name}Tensor"), getattr(torch, f"{name}Tensor")
    for arguments in (([1, 0, 1],), ([[1], [0]],), (2, 3), ()):
        a, b = ours(*arguments), theirs(*arguments)
        assert tuple(a.shape) == tuple(b.shape) and str(a.dtype)[8:] == str(b.dtype)[6:]
        assert isinstance(a, ours) and not any(isinstance(a, other) for other in legacy._ALL if other is not ours)
    assert ours([1, 0]).tolist() == theirs([1, 0]).tolist() and repr(ours) == repr(theirs)
    assert tinyrnn.ones(2).type(ours).dtype == ours.dtype and tinyrnn.ones(2).type(ours).type() == theirs([1]).type()
    assert tinyrnn.ones(2).type(f"torch.{name}Tensor").dtype == ours.dtype


def test_new_is_of_the_same_dtype():
    x = tinyrnn.LongTensor([1, 2])
    assert x.new([3]).tolist() == [3] and x.new(2, 3).shape == (2, 3) and x.new(2, 3).dtype == tinyrnn.int64
    assert tinyrnn.ones(1).new(4).zero_().tolist() == [0, 0, 0, 0]


def test_the_default_type():
    try:
        tinyrnn.set_default_tensor_type("torch.DoubleTensor")
        assert tinyrnn.ones(1).dtype == tinyrnn.float64
        tinyrnn.set_default_tensor_type(tinyrnn.FloatTensor)
        assert tinyrnn.ones(1).dtype == tinyrnn.float32
    finally:
        tinyrnn.set_default_dtype(tinyrnn.float32)
    with pytest.raises(TypeError, match="only floating-point types"):
        tinyrnn.set_default_tensor_type(tinyrnn.LongTensor)


def test_errors():
    with pytest.raises(ValueError, match=r"invalid type: 'torch.floats'"):
        tinyrnn.ones(1).type("torch.floats")
    with pytest.raises(RuntimeError, match="device 'cuda' is not available"):
        tinyrnn.ones(1).type("torch.cuda.FloatTensor")
