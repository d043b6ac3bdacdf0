"""bfloat16 where it meets the world: Python, NumPy, PyTorch, files, random numbers, the default dtype."""

from __future__ import annotations

import copy
import io
import sys
import warnings

import numpy as np
import pytest

import tinyrnn
from tinyrnn import autograd, nn
from tinyrnn.utils.data import DataLoader, TensorDataset, default_collate

ml_dtypes = pytest.importorskip("ml_dtypes", reason="NumPy's bfloat16 comes from the package ml_dtypes")

NUMBERS = [[1.5, -2.0, 3.14159], [1e-3, 1e4, 0.0]]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def test_python_numbers_and_printing_beside_pytorch(torch):
    ours, theirs = (library.tensor(NUMBERS, dtype=library.bfloat16) for library in (tinyrnn, torch))
    assert ours.tolist() == theirs.tolist() and type(ours.tolist()[0][0]) is float
    assert ours[0, 2].item() == theirs[0, 2].item() and f"{ours[0, 2]:.2f}" == "3.14" and int(ours[0, 2]) == 3
    for x, y in ((ours, theirs), (ours[0], theirs[0]), (ours.sum(), theirs.sum()), (ours[:0], theirs[:0])):
        assert repr(x) == repr(y).replace("torch.", "tinyrnn.")
    for function in ("element_size", "is_floating_point", "type", "stride", "numel"):
        assert getattr(ours, function)() == getattr(theirs, function)()


def test_numpy_both_ways():
    x = tinyrnn.tensor(NUMBERS, dtype=tinyrnn.bfloat16)
    array = x.numpy()
    assert array.dtype == ml_dtypes.bfloat16 and tinyrnn.from_numpy(array).dtype == tinyrnn.bfloat16
    array[0, 0] = 7
    assert x[0, 0].item() == 7, "one memory"
    assert np.asarray(x, np.float32).dtype == np.float32 and isinstance(np.abs(x), tinyrnn.Tensor)
    for made in (tinyrnn.tensor(array), tinyrnn.tensor(array[0, 0]), tinyrnn.tensor([x[0], x[1]]), tinyrnn.as_tensor(array)):
        assert made.dtype == tinyrnn.bfloat16
    for library in (np, tinyrnn):
        with pytest.raises(BufferError, match="NumPy does not export bfloat16"):
            library.from_dlpack(x)


def test_pytorch_both_ways(torch, tmp_path):
    from tinyrnn.interop import torch as interop

    ours, theirs = nn.GRU(3, 4).bfloat16(), torch.nn.GRU(3, 4).bfloat16()
    interop.load_torch(ours, theirs)
    for name, tensor in interop.to_torch(ours).items():
        assert tensor.dtype == torch.bfloat16 and torch.equal(tensor, theirs.state_dict()[name])
    for model in (ours, theirs):
        interop.save_file(model, tmp_path / "model.safetensors")
        for state in (interop.load_file(tmp_path / "model.safetensors"), tinyrnn.load(tmp_path / "model.safetensors")):
            assert {value.dtype for value in state.values()} == {tinyrnn.bfloat16}
            assert all((state[name] == value).all() for name, value in ours.state_dict().items())
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    y, _ = ours(tinyrnn.tensor(x).bfloat16())
    expected, _ = theirs(torch.tensor(x).bfloat16())
    np.testing.assert_allclose(y.detach().float().numpy(), expected.detach().float().numpy(), atol=2**-5)
    with pytest.raises(TypeError, match=r"from_dlpack: Unsupported dtype.*convert it"):
        tinyrnn.from_dlpack(torch.ones(2, dtype=torch.bfloat16))


def test_files():
    x = tinyrnn.tensor(NUMBERS, dtype=tinyrnn.bfloat16)
    file = io.BytesIO()
    tinyrnn.save({"x": x, "view": x[:, 1:], "parameter": nn.Parameter(x), "number": x.numpy()[0, 2]}, file)
    file.seek(0)
    back = tinyrnn.load(file)
    assert (back["x"] == x).all() and (back["view"] == x[:, 1:]).all() and back["parameter"].requires_grad
    assert type(back["number"]) is ml_dtypes.bfloat16 and back["number"] == x[0, 2].item()
    back["view"].zero_()
    assert back["x"][0].tolist() == [1.5, 0, 0], "one memory"


def test_files_in_a_fresh_process(tmp_path, run_python):
    """safetensors does not load ml_dtypes by itself."""
    tinyrnn.save({"number": ml_dtypes.bfloat16(3)}, tmp_path / "number")
    tinyrnn.save(nn.Linear(2, 2).bfloat16().state_dict(), tmp_path / "ours")
    interop = pytest.importorskip("tinyrnn.interop.torch")
    interop.save_file(nn.Linear(2, 2).bfloat16(), tmp_path / "plain")
    for read in (
        "load('ours')['bias']",
        "interop.torch.load_file('plain')['bias']",
        "tensor(tinyrnn.load('number')['number'])",
    ):
        done = run_python(f"import tinyrnn, tinyrnn.interop.torch; print(tinyrnn.{read}.dtype)")
        assert done.stdout == "tinyrnn.bfloat16\n", done.stderr


def test_files_without_the_package(tmp_path, monkeypatch):
    tinyrnn.save({"x": tinyrnn.ones(2, dtype=tinyrnn.bfloat16)}, tmp_path / "file")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match="pip install"):
        tinyrnn.load(tmp_path / "file")


def test_checkpoints(tmp_path):
    from tinyrnn.seq2seq import Codec, Seq2Seq
    from tinyrnn.training import load_checkpoint, save_checkpoint

    codec = Codec.build(["abc"], "char")
    model = Seq2Seq(codec, codec, embed=4, hidden=6).bfloat16()
    save_checkpoint(tmp_path, model)
    again, _ = load_checkpoint(tmp_path)
    assert all((value.float() == again.state_dict()[name]).all() for name, value in model.state_dict().items())


def test_random_numbers():
    tinyrnn.manual_seed(0)
    shape, kind = (100_000,), {"dtype": tinyrnn.bfloat16}
    for x, low, high in (
        (tinyrnn.rand(shape, **kind), 0, 1), (tinyrnn.empty(shape, **kind).uniform_(-1, 1), -1, 1),
        (tinyrnn.rand_like(tinyrnn.ones(shape, **kind)), 0, 1),
    ):  # fmt: skip
        assert x.dtype == tinyrnn.bfloat16 and low <= x.min() and x.max() < high
        assert abs(x.float().mean().item() - (low + high) / 2) < 0.01
    for x in (tinyrnn.randn(shape, **kind), tinyrnn.normal(0.0, 1.0, shape, **kind), tinyrnn.empty(shape, **kind).normal_()):
        assert x.dtype == tinyrnn.bfloat16 and abs(x.float().std().item() - 1) < 0.02
    half = tinyrnn.full(shape, 0.5, **kind)
    for x in (tinyrnn.bernoulli(half), half.clone().bernoulli_(0.5), nn.functional.dropout(half, 0.5)):
        assert x.dtype == tinyrnn.bfloat16 and abs(x.float().mean().item() - 0.5) < 0.01
    assert half.clone().random_().max().item() <= 256 and tinyrnn.randint(0, 9, (3,), **kind).dtype == tinyrnn.bfloat16
    for name in ("xavier_uniform_", "kaiming_normal_", "orthogonal_", "trunc_normal_", "eye_"):
        assert getattr(nn.init, name)(tinyrnn.empty(4, 4, **kind)).isfinite().all()


def test_creation():
    kind = {"dtype": tinyrnn.bfloat16}
    like = tinyrnn.ones(2, **kind)
    made = [
        tinyrnn.arange(0, 1, 0.25, **kind), tinyrnn.linspace(0, 1, 4, **kind), tinyrnn.eye(2, **kind), tinyrnn.zeros(2, **kind),
        tinyrnn.full((2,), 0.1, **kind), tinyrnn.full_like(tinyrnn.ones(2), 2.5, **kind), tinyrnn.ones_like(like),
        tinyrnn.ones(2).bfloat16(), tinyrnn.ones(2).to(tinyrnn.bfloat16), tinyrnn.tensor([True]).bfloat16(), like.new_zeros(3),
        tinyrnn.BFloat16Tensor([1, 2]), tinyrnn.ones(2).type("torch.BFloat16Tensor"), like.new_tensor([0.1]),
        default_collate([like, like]), default_collate([like.numpy(), like.numpy()]), default_collate([like.numpy()[0]] * 2),
        copy.deepcopy(nn.Linear(2, 2).bfloat16()).weight, *next(iter(DataLoader(TensorDataset(like), batch_size=2))),
    ]  # fmt: skip
    assert {x.dtype for x in made} == {tinyrnn.bfloat16}


def test_as_the_default_dtype():
    tinyrnn.set_default_dtype(tinyrnn.bfloat16)
    try:
        model = nn.LSTM(3, 4)
        y, _ = model(tinyrnn.rand(5, 1, 3))
        y.sum().backward()
        numbers = [tinyrnn.tensor(1.5), tinyrnn.tensor([1, 2]) / 2, tinyrnn.tensor(True) + 0.5, tinyrnn.tensor(2) ** 0.5]
        assert {x.dtype for x in (y, model.weight_hh_l0.grad, *numbers)} == {tinyrnn.bfloat16}
        assert repr(tinyrnn.tensor(1.5)) == "tensor(1.5000)" and tinyrnn.finfo().dtype == "bfloat16"
    finally:
        tinyrnn.set_default_dtype(tinyrnn.float32)


class Cube(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient.float() * 3 * x.float() ** 2  # the dtype of x is what it becomes


def test_gradients():
    x = tinyrnn.tensor([1.0, 2.0], dtype=tinyrnn.bfloat16, requires_grad=True)
    Cube.apply(x).sum().backward()
    assert x.grad.dtype == tinyrnn.bfloat16 and x.grad.tolist() == [3, 12]
    with pytest.raises(ValueError, match=r"finite differences need float64: pass input.double\(\)"):
        autograd.gradcheck(Cube.apply, (x,))
    x.grad = None
    x.float().square().sum().backward()
    assert x.grad.dtype == tinyrnn.bfloat16 and x.grad.tolist() == [2, 4]
    with warnings.catch_warnings(), pytest.raises(RuntimeError, match="'sqrt' returned nan"):
        warnings.simplefilter("ignore")
        with autograd.detect_anomaly():
            (tinyrnn.zeros(2, dtype=tinyrnn.bfloat16, requires_grad=True).sqrt() * 0).sum().backward()


def test_models():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).bfloat16()
    assert {p.dtype for p in model.parameters()} == {tinyrnn.bfloat16}
    assert model.to(tinyrnn.float32)[0].weight.dtype == tinyrnn.float32
    model.to(tinyrnn.bfloat16).load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    assert model[0].weight.dtype == tinyrnn.bfloat16
    with pytest.raises(TypeError, match=r"input is tinyrnn.float32, expected tinyrnn.bfloat16 like the weight"):
        model(tinyrnn.ones(2, 3))


def test_no_onnx_file():
    onnx = pytest.importorskip("tinyrnn.interop.onnx")
    pytest.importorskip("onnx")
    for model, x in ((nn.LSTM(3, 4).bfloat16(), tinyrnn.ones(5, 1, 3).bfloat16()), (nn.Tanh(), tinyrnn.ones(2).bfloat16())):
        with pytest.raises(NotImplementedError, match=r"bfloat16.*export it in float32, with model.float\(\)"):
            onnx.export(model, (x,))

    class Rounding(nn.Module):
        def forward(self, x):
            return x.to(tinyrnn.bfloat16).float()

    with pytest.raises(NotImplementedError, match="few operators in bfloat16"):
        onnx.export(Rounding(), (tinyrnn.ones(2),))
