"""What a tensor says about itself, converts to, prints as, and how it takes part in autograd."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def test_shape_and_layout(torch):
    for ours, theirs in ((tinyrnn.zeros(2, 3, 4), torch.zeros(2, 3, 4)), (tinyrnn.tensor(1), torch.tensor(1))):
        assert ours.shape == tuple(theirs.shape) and ours.size() == tuple(theirs.size())
        assert ours.ndim == ours.dim() == theirs.dim() and ours.numel() == ours.nelement() == theirs.numel()
        assert ours.stride() == theirs.stride() and ours.element_size() == ours.itemsize == theirs.element_size()
        assert ours.nbytes == theirs.nbytes
    x, y = tinyrnn.zeros(2, 3).t(), torch.zeros(2, 3).t()
    assert x.stride() == y.stride() and x.stride(-1) == y.stride(-1) and x.is_contiguous() == y.is_contiguous()
    assert x.size(0) == x.size(-2) == 3
    with pytest.raises(IndexError, match=r"expected to be in range of \[-2, 1\], but got 2"):
        x.size(2)


def test_size_stays_a_size(torch):
    ours, theirs = tinyrnn.zeros(2, 3).shape, torch.zeros(2, 3).shape
    for make in (lambda s: s[:1], lambda s: s + (1,), lambda s: s * 2, lambda s: s[1:]):
        assert isinstance(make(ours), tinyrnn.Size) and make(ours) == tuple(make(theirs))
    assert ours.numel() == 6 and repr(ours) == "tinyrnn.Size([2, 3])" and ours[0] == 2 and ours == (2, 3)


def test_python_numbers():
    x = tinyrnn.tensor([[2]])
    assert (x.item(), int(x), float(x), bool(x), [0, 1, 2][x]) == (2, 2, 2.0, True, 2)
    assert tinyrnn.tensor(1.5).item() == 1.5 and x.tolist() == [[2]] and tinyrnn.tensor(3).tolist() == 3
    assert f"{tinyrnn.tensor(1.5):.3f} {tinyrnn.ones(2)}" == "1.500 tensor([1., 1.])"
    two = tinyrnn.ones(2)
    with pytest.raises(RuntimeError, match="a Tensor with 2 elements cannot be converted to Scalar"):
        two.item()
    with pytest.raises(ValueError, match="only one element tensors"):
        float(two)
    with pytest.raises(RuntimeError, match="more than one value is ambiguous"):
        bool(two)
    with pytest.raises(RuntimeError, match="no values is ambiguous"):
        bool(tinyrnn.ones(0))
    with pytest.raises(TypeError, match="only integer tensors"):
        [1, 2][tinyrnn.tensor(1.0)]
    with pytest.raises(TypeError, match="0-d tensor"):
        len(tinyrnn.tensor(1))
    with pytest.raises(TypeError, match="format"):
        f"{two:.2f}"


def test_numpy_shares_memory_and_refuses_gradients():
    x = tinyrnn.zeros(3)
    x.numpy()[0] = 5
    assert x[0].item() == 5 and np.shares_memory(np.asarray(x), x.numpy())
    assert not np.shares_memory(np.array(x), x.numpy()) and np.asarray(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError):
        np.asarray(x, dtype=np.float64, copy=False)
    x.requires_grad_()
    for call in (x.numpy, lambda: np.asarray(x), lambda: np.exp(x)):
        with pytest.raises(RuntimeError, match=r"Use tensor.detach\(\).numpy\(\) instead"):
            call()
    assert x.numpy(force=True)[0] == 5


def test_numpy_functions_and_operators():
    x = tinyrnn.ones(2)
    assert isinstance(np.exp(x), tinyrnn.Tensor) and np.exp(x).dtype is tinyrnn.float32
    for result in (np.ones(2, np.float32) * x, x * np.ones(2, np.float32), np.float64(2) * x):
        assert isinstance(result, tinyrnn.Tensor) and result.dtype is tinyrnn.float32
    y = np.full(2, 3.0) * tinyrnn.ones(2, dtype=tinyrnn.float64).requires_grad_()
    assert y.requires_grad


def test_conversions(torch):
    x, y = tinyrnn.tensor([0.0, 1.5, -2.5]), torch.tensor([0.0, 1.5, -2.5])
    for name in ("float", "double", "half", "int", "long", "short", "bool", "cpu"):
        ours, theirs = getattr(x, name)(), getattr(y, name)()
        assert ours.dtype.name == str(theirs.dtype)[6:] and ours.tolist() == theirs.tolist()
    for ours, theirs in ((x.to(tinyrnn.int64), y.to(torch.int64)), (x.type(tinyrnn.float64), y.type(torch.float64)),
                         (x.to("cpu", tinyrnn.float16), y.to("cpu", torch.float16)), (x.to(x.long()), y.to(y.long())),
                         (x.type_as(x.double()), y.type_as(y.double())), (x.to(dtype=tinyrnn.int32), y.to(dtype=torch.int32)),
                         (x.to("cpu", non_blocking=True), y.to("cpu"))):  # fmt: skip
        assert ours.dtype.name == str(theirs.dtype)[6:] and ours.tolist() == theirs.tolist()
    assert x.to(tinyrnn.float32) is x and x.to("cpu") is x and x.float() is x and x.to(x) is x
    assert not np.shares_memory(x.to("cpu", copy=True).array, x.array)
    assert x.type() == y.type() and x.is_floating_point() and not x.long().is_floating_point() and not x.is_cuda
    with pytest.raises(RuntimeError, match="'cuda' is not available"):
        x.cuda()
    with pytest.raises(RuntimeError, match="'cuda' is not available"):
        x.to("cuda:0")
    with pytest.raises(TypeError, match="unexpected keyword argument 'dtyp'"):
        x.to(dtyp=tinyrnn.float64)


def test_conversion_is_recorded():
    x = tinyrnn.ones(2, requires_grad=True)
    (x.double() * 3.0).sum().backward()
    assert x.grad.dtype is tinyrnn.float32 and x.grad.tolist() == [3, 3]


def test_requires_grad():
    x = tinyrnn.ones(2)
    assert not x.requires_grad and x.is_leaf and x.grad_fn is None and x.requires_grad_() is x and x.requires_grad
    y = x * 2.0
    assert y.requires_grad and not y.is_leaf and y.grad_fn.name == "mul" and y.requires_grad_() is y
    with pytest.raises(RuntimeError, match="you can only change requires_grad flags of leaf variables"):
        y.requires_grad = False
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype"):
        tinyrnn.tensor([1]).requires_grad_()
    with pytest.raises(RuntimeError, match="must be a bool"):
        x.requires_grad = 1
    x.requires_grad = False
    assert not x.requires_grad


def test_grad_takes_only_what_fits():
    x = tinyrnn.ones(2, requires_grad=True)
    x.grad = tinyrnn.zeros(2)
    assert x.grad.tolist() == [0, 0]
    with pytest.raises(RuntimeError, match=r"gradient of size '\[3\]' to a tensor of size '\[2\]'"):
        x.grad = tinyrnn.ones(3)
    with pytest.raises(RuntimeError, match="must have the same dtype"):
        x.grad = tinyrnn.ones(2, dtype=tinyrnn.float64)
    with pytest.raises(TypeError, match="got grad of type int"):
        x.grad = 3
    with pytest.raises(RuntimeError, match="its own grad"):
        x.grad = x
    x.grad = None
    assert x.grad is None


def test_detach_and_data_share_memory_and_writes():
    x = tinyrnn.ones(2, requires_grad=True)
    for make in (lambda t: t.detach(), lambda t: t.data):
        y = make(x)
        assert not y.requires_grad and np.shares_memory(y.array, x.array)
        before = x._version
        y.add_(1.0)
        assert x._version == y._version == before + 1
    assert x.tolist() == [3, 3]
    h = x * 2.0
    assert h.detach_() is h and h.is_leaf and not h.requires_grad
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        (x * 1.0).view(2, 1).detach_()


def test_assigning_data():
    x = tinyrnn.ones(2, requires_grad=True)
    x.data = tinyrnn.tensor([5.0, 6.0])
    assert x.tolist() == [5, 6] and x.requires_grad and x.is_leaf
    x.data.mul_(2.0)
    x.grad = tinyrnn.ones(2)
    x.grad.data.zero_()
    assert x.tolist() == [10, 12] and x.grad.tolist() == [0, 0]
    with pytest.raises(TypeError, match="Variable data has to be a tensor, but got int"):
        x.data = 3


def test_version_counts_writes():
    x = tinyrnn.zeros(4)
    assert x._version == 0
    x.add_(1.0)
    x[1:].zero_()
    assert x._version == 2 and x[2:]._version == 2 and x.clone()._version == 0


class Weight(tinyrnn.Tensor):
    """A subclass with attributes of its own, like Parameter."""


def test_deepcopy():
    x = Weight([1, 1])
    x.requires_grad_()
    x.name = ["w"]
    x.grad = tinyrnn.full((2,), 3.0)
    y, z = copy.deepcopy([x, x])
    assert y is z and type(y) is Weight and y.requires_grad and y.tolist() == [1, 1] and y.grad.tolist() == [3, 3]
    assert not np.shares_memory(x.array, y.array) and not np.shares_memory(x.grad.array, y.grad.array)
    assert y.name == ["w"] and y.name is not x.name
    (y * 2.0).sum().backward()
    assert x.grad.tolist() == [3, 3] and y.grad.tolist() == [5, 5]
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2.0)


def test_shallow_copy(torch):
    for lib in (tinyrnn, torch):
        x = lib.nn.Parameter(lib.ones(2))
        x.label = ["w"]
        (x * 2.0).sum().backward()
        y = copy.copy(x)
        assert y is not x and type(y) is type(x) and y.requires_grad and y.is_leaf and y.grad is None and y.label is x.label
        y.data[0] = 5.0
        assert x.tolist() == [5, 1] and x._version == y._version
        (y * 3.0).sum().backward()
        assert x.grad.tolist() == [2, 2] and y.grad.tolist() == [3, 3]
        z = copy.copy(x * 2.0)
        assert z.requires_grad and z.is_leaf and z.tolist() == [10, 2]
        assert not copy.copy(lib.tensor([1, 2])).requires_grad


def test_unknown_methods_are_answered_in_a_sentence(monkeypatch):
    x = tinyrnn.ones(2)
    with pytest.raises(AttributeError, match=r"Tensor has no 'put_' \(it is a subset of PyTorch\)"):
        x.put_
    with pytest.raises(AttributeError, match=r"has no 'cumsumm'.*nearest.*cumsum"):
        nn.Parameter(x).cumsumm
    assert not hasattr(x, "put_") and getattr(x, "fft", 3) == 3 and not hasattr(x, "__array_interface__")
    with pytest.raises(AttributeError, match=r"^Tensor has no attribute '_repr_html_'$"):
        x._repr_html_

    def broken(array):
        return array.absent

    monkeypatch.setattr("tinyrnn.devices.of_array", broken)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):  # the error of the property, not of its name
        x.device


def test_data_shares_the_version():
    x = tinyrnn.ones(2, requires_grad=True)
    y = x.tanh()
    y.data.zero_()
    with pytest.raises(RuntimeError, match="modified"):
        y.sum().backward()


def test_what_optimizers_and_old_programs_ask(torch):
    for lib in (tinyrnn, torch):
        x = lib.ones(2, 3)
        assert not (x.is_sparse or x.is_complex() or lib.is_complex(x)) and x.ndimension() == 2
        assert x.data_ptr() == x.detach()[0].data_ptr() != x[1].data_ptr()
        lib.set_default_device("cpu")
        try:
            assert str(lib.get_default_device()) == "cpu"
        finally:
            lib.set_default_device(None)
    with pytest.raises(RuntimeError):
        tinyrnn.set_default_device("cuda")
    assert tinyrnn.get_default_device() == tinyrnn.device("cpu")


def test_resize(torch):
    for lib in (tinyrnn, torch):
        x = lib.arange(6).reshape(2, 3)
        assert x.resize_(2, 2) is x and x.tolist() == [[0, 1], [2, 3]]
        assert lib.ones(2).new().resize_((3, 1)).fill_(2).tolist() == [[2], [2], [2]]
        assert lib.ones(2).resize_(lib.ones(3).size())[:2].tolist() == [1, 1]
        with pytest.raises(RuntimeError, match=r"requires? a? ?grad"):
            lib.ones(2, requires_grad=True).resize_(3)


def test_pickling_is_refused():
    with pytest.raises(TypeError, match="never pickled: save it with safetensors"):
        pickle.dumps(tinyrnn.ones(2))


PRINTED = """
m.tensor(1e-5) | m.tensor([1e-5, 1.0]) | m.tensor([1.5, 1e9]) | m.tensor([1.0, 2.0, float("nan"), float("inf")])
m.tensor([1.5, 2.0, float("nan"), -float("inf")]) | m.arange(3000.0).view(3, 1000) | m.tensor([True, False]) | m.tensor(True)
m.tensor(3) | m.tensor([-1.5, 22.25]) | m.zeros(2, 2, 2) | m.tensor([0.0]) | m.tensor([100000.5]) | m.tensor([0.0001])
m.tensor([1, -200]) | m.ones(2, dtype=m.int32) | m.ones(2, 3, dtype=m.float64, requires_grad=True) | m.ones(0, 3) | m.ones(0)
m.zeros(0, dtype=m.int64) | m.arange(30) | m.arange(40.0) | m.linspace(0, 1, 17) | m.arange(2000)
m.ones(2, requires_grad=True)
m.arange(1001).view(7, 11, 13) | m.full((3, 30), 0.5) | m.full((20,), 0.25, dtype=m.float64, requires_grad=True)
"""


@pytest.mark.parametrize("expression", [e.strip() for e in PRINTED.replace("\n", "|").split("|") if e.strip()])
def test_prints_like_pytorch(torch, expression):
    ours, theirs = repr(eval(expression, {"m": tinyrnn})), repr(eval(expression, {"m": torch}))
    assert ours.replace("tinyrnn.", "torch.").split() == theirs.split()
    if len(theirs) < 200:
        assert ours.splitlines()[0].replace("tinyrnn.", "torch.") == theirs.splitlines()[0]


def test_prints_the_op():
    x = tinyrnn.ones(2, requires_grad=True)
    assert repr(x * 2.0) == "tensor([2., 2.], grad_fn=<MulBackward>)"
    assert "grad_fn=<LogSoftmaxBackward>" in repr(x.log_softmax(0))
