"""Creation functions: values, dtypes and shapes are PyTorch's; memory is shared or not as promised."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn

# Expressions that mean the same for tinyrnn and torch.
SAME = """
m.tensor(1) | m.tensor(1.5) | m.tensor(True) | m.tensor([]) | m.tensor([[]]) | m.tensor([1, 2.5, True]) | m.tensor([True, 2])
m.tensor(((1, 2), (3, 4))) | m.tensor(range(3)) | m.tensor([range(2), range(2)]) | m.tensor(np.float64(1.5))
m.tensor([np.float64(1.5)]) | m.tensor([np.float32(1.5), 2.0]) | m.tensor([np.int32(1)]) | m.tensor(np.int8(1))
m.tensor(np.ones((2, 3), np.float64)) | m.tensor([np.ones(2), np.ones(2)]) | m.tensor([1.7, -1.7], dtype=m.int64)
m.tensor([0, 2], dtype=m.bool) | m.tensor([m.tensor(1.0), 2]) | m.tensor([1, 2], dtype=m.float16)
m.tensor([1.0, 2.0], requires_grad=True) | m.tensor(np.zeros((0, 3), np.int32)) | m.tensor([float("inf"), 1])
m.as_tensor([1, 2]) | m.as_tensor(np.ones(2)) | m.as_tensor(np.ones(2), dtype=m.int32) | m.as_tensor(3.0)
m.asarray([1.0]) | m.asarray(np.ones(2)) | m.from_numpy(np.arange(3, dtype=np.int16))
m.zeros(2, 3) | m.zeros((2, 3)) | m.zeros([2]) | m.zeros(()) | m.zeros(0) | m.ones(2, dtype=m.bool) | m.ones(m.Size([2, 1]))
m.full((2,), True) | m.full((2,), 1) | m.full((2,), 1.5) | m.full((2, 2), 1, dtype=m.float64) | m.full((), m.tensor(3))
m.arange(3) | m.arange(3.0) | m.arange(1, 2, 0.25) | m.arange(5, 0, -2) | m.arange(0, 1, 0.1) | m.arange(2, 5) | m.arange(0)
m.arange(-1.5, 4, dtype=m.int64) | m.arange(2.5, 10, 2.5, dtype=m.int64) | m.arange(-1.5, 9, 2.5, dtype=m.int32)
m.arange(3, dtype=m.float64) | m.arange(1, 2.5) | m.arange(end=3) | m.arange(start=1, end=3) | m.arange(0.5, 3) | m.arange(True)
m.linspace(0, 1, 5) | m.linspace(0, 1, 1) | m.linspace(3, -3, 4, dtype=m.float64) | m.linspace(0, 10, 5, dtype=m.int64)
m.linspace(0, 1, 0) | m.eye(3) | m.eye(2, 3) | m.eye(3, 2, dtype=m.int64) | m.eye(0) | m.zeros(2, 0, requires_grad=True)
m.zeros_like(m.ones(2, 3)) | m.ones_like(m.zeros(2, dtype=m.int32)) | m.ones_like(m.zeros(2), dtype=m.int64)
m.full_like(m.zeros(2), 3) | m.full_like(m.zeros(2, dtype=m.int64), 3.7) | m.zeros_like(m.tensor(1.0), requires_grad=True)
m.ones(2).new_zeros(3) | m.ones(2, dtype=m.int64).new_ones((1, 2)) | m.ones(2).new_full((2,), 7) | m.ones(2).new_tensor([1, 2])
m.ones(2).double().new_zeros(1, dtype=m.int32) | m.numel(m.zeros(2, 3)) | m.is_tensor(m.ones(1)) | m.is_tensor(1)
m.is_floating_point(m.ones(1)) | m.is_floating_point(m.arange(2))
m.Tensor([1, 2]) | m.Tensor() | m.Tensor([[1], [2.5]]) | m.Tensor((2, 3)) | m.Tensor(range(3)) | m.Tensor([]) | m.Tensor(0)
m.Tensor(np.array([1, 2])) | m.Tensor(np.array(1.5)) | m.Tensor(np.ones((2, 3))) | m.Tensor([m.tensor(1.0), 2])
m.Tensor(m.ones(2)) | m.Tensor([True, False]) | m.Tensor(0, 3) | m.Tensor(m.Size([0, 2])) | m.nn.Parameter(m.Tensor([3]))
m.Tensor(2, 3).shape == (2, 3) | m.Tensor(m.Size([4])).shape == (4,) | m.Tensor(np.int64(2)).shape == (2,)
"""


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy.ndarrays is extremely slow:UserWarning")
@pytest.mark.parametrize("expression", [e.strip() for e in SAME.replace("\n", "|").split("|") if e.strip()])
def test_same_as_pytorch(expression):
    torch = pytest.importorskip("torch")
    ours, theirs = (eval(expression, {"m": module, "np": np}) for module in (tinyrnn, torch))
    if not tinyrnn.is_tensor(ours):
        assert ours == theirs
        return
    assert ours.dtype.name == str(theirs.dtype).removeprefix("torch.")
    assert ours.shape == tuple(theirs.shape) and ours.requires_grad == theirs.requires_grad
    assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda: tinyrnn.tensor([[1, 2], [3]]),
            ValueError,
            "expected sequence of length 2 at dim 1 .got length 1, at position 1",
        ),
        (lambda: tinyrnn.tensor([1, [2]]), ValueError, "expected sequence of a number at dim 1"),
        (lambda: tinyrnn.tensor([[[1], [2]], [[1], [2, 3]]]), ValueError, "length 1 at dim 2 .got length 2"),
        (lambda: tinyrnn.tensor("a"), TypeError, "expected numbers.*got str"),
        (lambda: tinyrnn.tensor(["a"]), TypeError, "got str"),
        (lambda: tinyrnn.tensor(None), TypeError, "got NoneType"),
        (lambda: tinyrnn.tensor([1, None]), TypeError, "got NoneType"),
        (lambda: tinyrnn.tensor({1, 2}), TypeError, "got set"),
        (lambda: tinyrnn.tensor(1j), TypeError, "got complex"),
        (lambda: tinyrnn.tensor(2**70), RuntimeError, "too large for"),
        (lambda: tinyrnn.tensor([300], dtype=tinyrnn.uint8), RuntimeError, "value 300 cannot be converted to type uint8"),
        (lambda: tinyrnn.tensor([1], requires_grad=True), RuntimeError, "Only Tensors of floating point"),
        (lambda: tinyrnn.zeros(2, dtype=tinyrnn.int64, requires_grad=True), RuntimeError, "Only Tensors of floating point"),
        (lambda: tinyrnn.zeros(-1), RuntimeError, "must be non-negative"),
        (lambda: tinyrnn.zeros(), TypeError, "missing 1 required positional argument"),
        (lambda: tinyrnn.zeros(2.5), TypeError, "the size must be ints"),
        (lambda: tinyrnn.zeros([2, 3], 4), TypeError, "the size must be ints"),
        (lambda: tinyrnn.zeros(2, dtype="float32"), TypeError, "expected a dtype"),
        (lambda: tinyrnn.zeros(2, device="cuda"), RuntimeError, "device 'cuda' is not available: .*CuPy.*use device='cpu'"),
        (lambda: tinyrnn.zeros(2, device="mps"), RuntimeError, "there is no device 'mps'"),
        (lambda: tinyrnn.arange(0, 1, 0), RuntimeError, "step must be nonzero"),
        (lambda: tinyrnn.arange(3, 0), RuntimeError, "inconsistent with step sign"),
        (lambda: tinyrnn.arange(float("nan")), RuntimeError, "unsupported range"),
        (lambda: tinyrnn.linspace(0, 1, -1), RuntimeError, "non-negative"),
        (lambda: tinyrnn.from_numpy([1]), TypeError, "expected np.ndarray .got list"),
        (lambda: tinyrnn.from_numpy(np.ones(2, ">f4")), ValueError, "foreign order"),
        (lambda: tinyrnn.asarray([1.0], copy=False), ValueError, "cannot be had without a copy"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_list_that_contains_itself():
    items = []
    items.append(items)
    with pytest.raises(ValueError, match="contain themselves"):
        tinyrnn.tensor(items)


def test_tensor_copies_and_the_others_share():
    array = np.zeros(3, np.float32)
    copied, shared, also = tinyrnn.tensor(array), tinyrnn.from_numpy(array), tinyrnn.as_tensor(array)
    array[0] = 7
    assert copied.tolist() == [0, 0, 0] and shared.tolist() == also.tolist() == [7, 0, 0]
    shared[1] = 5.0
    assert array[1] == 5
    assert tinyrnn.as_tensor(shared) is shared
    assert not np.shares_memory(tinyrnn.asarray(array, copy=True).array, array)
    assert np.shares_memory(tinyrnn.asarray(array).array, array)


def test_tensor_of_a_deque():
    from collections import deque

    x = tinyrnn.tensor(deque([1.0, 2.5]))
    assert x.tolist() == [1.0, 2.5] and x.dtype == tinyrnn.float32


def test_tensor_of_a_tensor_warns_and_copies():
    x = tinyrnn.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="detach"):
        y = tinyrnn.tensor(x)
    assert not y.requires_grad and not np.shares_memory(x.array, y.array)


def test_from_numpy_warns_of_read_only_memory():
    array = np.zeros(2)
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        tinyrnn.from_numpy(array)


def test_dlpack_both_ways():
    torch = pytest.importorskip("torch")
    ours = tinyrnn.ones(2, 3)
    theirs = torch.from_dlpack(ours)
    theirs[0, 0] = 5
    assert ours[0, 0].item() == 5
    back = tinyrnn.from_dlpack(theirs)
    assert back.dtype is tinyrnn.float32 and np.shares_memory(back.array, ours.array)
    with pytest.raises(BufferError, match="require gradient"):
        ours.requires_grad_().__dlpack__()


@pytest.mark.parametrize("value", [3, None, [1.0, 2.0], object()], ids=lambda value: type(value).__name__)
def test_what_speaks_no_dlpack_is_named(value):
    torch = pytest.importorskip("torch")
    for lib in (tinyrnn, torch):
        with pytest.raises(RuntimeError, match="from_dlpack") as raised:
            lib.from_dlpack(value)
        assert lib is torch or f"but got {type(value).__name__};" in str(raised.value)


def test_foreign_byte_order_is_converted_by_a_copy():
    assert tinyrnn.tensor(np.array([1, 2], ">i4")).tolist() == [1, 2]


def test_devices():
    cpu = tinyrnn.device("cpu")
    assert str(cpu) == "cpu" and repr(cpu) == "device(type='cpu')"
    assert cpu == tinyrnn.device(cpu) and hash(cpu) == hash(tinyrnn.device("cpu"))
    assert tinyrnn.device("cuda:1").index == tinyrnn.device("cuda", 1).index == 1 and cpu != tinyrnn.device("cuda")
    assert tinyrnn.ones(1).device == cpu and tinyrnn.ones(1, device=cpu).device.type == "cpu"
    assert not tinyrnn.cuda.is_available() and tinyrnn.cuda.device_count() == 0
    for wrong in ("cuda:x", "gpu", "cuda:-1"):
        with pytest.raises(RuntimeError, match="device"):
            tinyrnn.device(wrong)


def test_legacy_constructor():
    numbers = np.ones(2, np.float32)
    x = tinyrnn.Tensor(numbers)
    assert not np.shares_memory(x.array, numbers) and not x.requires_grad and x.is_leaf
    assert tinyrnn.Tensor(tinyrnn.arange(2)).dtype is tinyrnn.float32
    tinyrnn.set_default_dtype(tinyrnn.float64)
    try:
        assert tinyrnn.Tensor([1]).dtype is tinyrnn.Tensor(1).dtype is tinyrnn.Tensor().dtype is tinyrnn.float64
    finally:
        tinyrnn.set_default_dtype(tinyrnn.float32)
    for wrong in ((3.0,), (True,), (None,), ("ab",), (2, 3.0), ([1], 2), (numbers, True)):
        with pytest.raises(TypeError, match=r"Tensor\(\): expected sizes \(ints\), or one sequence, array or tensor, got"):
            tinyrnn.Tensor(*wrong)
    with pytest.raises(RuntimeError, match="non-negative"):
        tinyrnn.Tensor(-1)


def test_legacy_constructor_of_the_uncompiled_engine(run_python):
    done = run_python("import tinyrnn; print(tinyrnn.Tensor([1, 2]) * 2, (tinyrnn.Tensor(2, 3) + 1).shape)", TINYRNN_PURE="1")
    assert done.stdout.strip() == "tensor([2., 4.]) tinyrnn.Size([2, 3])", done.stderr


def test_full_refuses_numbers_that_do_not_fit():
    for make in (
        lambda: tinyrnn.full((2,), 300, dtype=tinyrnn.uint8),
        lambda: tinyrnn.full_like(tinyrnn.ones(2, dtype=tinyrnn.uint8), 300),
    ):
        with pytest.raises(RuntimeError, match="without overflow"):
            make()
    assert tinyrnn.full_like(tinyrnn.zeros(1, dtype=tinyrnn.uint8), -1).tolist() == [255]
