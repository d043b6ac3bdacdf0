"""Tensors and modules on a GPU: getting there and back, and what is said of those that are apart."""

from __future__ import annotations

import io

import numpy as np
import pytest

import tinyrnn
from tinyrnn import interop, nn
from tinyrnn.kernels.gpu import loader


def test_there_and_back(cuda, rng):
    x = tinyrnn.tensor(rng.normal(size=(2, 3)), requires_grad=True)
    for moved in (x.to("cuda"), x.to(cuda), x.cuda(), x.cuda(0), x.to(0), x.to(tinyrnn.ones(1, device=cuda).double())):
        assert moved.device == cuda and moved.is_cuda and not x.is_cuda and moved.dtype == x.dtype
        assert moved.to(cuda) is moved and x.cpu() is x and moved.cpu().device == tinyrnn.device("cpu")
        np.testing.assert_array_equal(moved.detach().cpu().numpy(), x.detach().numpy())
    (x.cuda() * x.cuda()).sum().backward()
    assert x.grad.device == tinyrnn.device("cpu")
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy())
    assert x.to("cuda", tinyrnn.float32).dtype == tinyrnn.float32 and "cuda:0" in repr(x.cuda())


def test_tensors_are_made_where_they_are_asked_for(cuda):
    made = [
        tinyrnn.zeros(2, 3, device="cuda"), tinyrnn.ones(2, device=cuda), tinyrnn.full((2,), 7, device=cuda),
        tinyrnn.empty(2, device=cuda), tinyrnn.arange(4, device=cuda), tinyrnn.linspace(0, 1, 3, device=cuda),
        tinyrnn.eye(3, device=cuda), tinyrnn.tensor([1.0, 2.0], device=cuda), tinyrnn.as_tensor([1], device=cuda),
        tinyrnn.rand(2, device=cuda), tinyrnn.randn(2, device=cuda), tinyrnn.randint(0, 5, (3,), device=cuda),
        tinyrnn.randperm(4, device=cuda),
    ]  # fmt: skip
    x = made[0]
    made += [tinyrnn.zeros_like(x), tinyrnn.rand_like(x), tinyrnn.full_like(x, 2.5), x.new_zeros(3), x.new_tensor([1.0])]
    made += [tinyrnn.tensor(x.array), x.clone(), x.detach(), tinyrnn.stack([x, x]), x[0], x > 0, x.sum()]
    assert {each.device for each in made} == {cuda}
    assert tinyrnn.zeros_like(x, device="cpu").device == tinyrnn.device("cpu")
    assert nn.Linear(3, 2, device=cuda).weight.device == cuda == nn.LSTM(3, 2, device=cuda).weight_hh_l0.device


def test_the_default_device(cuda):
    with cuda:
        assert tinyrnn.ones(2).device == cuda == nn.Linear(2, 2).bias.device == tinyrnn.get_default_device()
        with tinyrnn.device("cpu"):
            assert tinyrnn.ones(2).device.type == "cpu"
    tinyrnn.set_default_device("cuda")
    assert tinyrnn.tensor(1.0).device == cuda
    tinyrnn.set_default_device(None)
    assert tinyrnn.tensor(1.0).device.type == "cpu"


def test_same_random_numbers_as_on_the_cpu(cuda):
    drawn = []
    for device in ("cpu", "cuda"):
        tinyrnn.manual_seed(5)
        x = tinyrnn.randn(4, device=device)
        drawn.append(nn.functional.dropout(x, 0.5).cpu().numpy())
    np.testing.assert_array_equal(*drawn)


def test_samples_are_drawn_beside_the_probabilities(cuda):
    drawn = []
    for device in ("cpu", "cuda"):
        tinyrnn.manual_seed(5)
        p = tinyrnn.tensor([[0.2, 0.3, 0.5], [0.9, 0.1, 0.0]], device=device)
        samples = [
            tinyrnn.multinomial(p, 2),
            tinyrnn.multinomial(p, 4, replacement=True),
            tinyrnn.bernoulli(p),
            tinyrnn.normal(p, p),
        ]
        assert {each.device.type for each in samples} == {device}
        drawn.append([each.tolist() for each in samples])
    assert drawn[0] == drawn[1]


def test_writing_to_one_place_several_times_leaves_the_last(cuda):
    x = tinyrnn.zeros(3, 2, device=cuda)
    values = tinyrnn.arange(8.0, device=cuda).reshape(4, 2).requires_grad_()
    index = tinyrnn.tensor([1, 1, 2, 1], device=cuda)
    written = x.index_copy(0, index, values)
    assert written.tolist() == [[0, 0], [6, 7], [4, 5]]
    written.sum().backward()
    assert values.grad.tolist() == [[0, 0], [0, 0], [1, 1], [1, 1]]


def test_tensors_that_are_apart(cuda):
    here, there = tinyrnn.ones(2), tinyrnn.ones(2, device=cuda)
    for function in (lambda: here + there, lambda: there * here, lambda: there > here, lambda: here.where(here > 0, there)):
        with pytest.raises(RuntimeError, match=r"same device, but found at least two devices, (cpu|cuda:0) and (cpu|cuda:0)"):
            function()
    number = tinyrnn.tensor(2.0, requires_grad=True)  # but a 0-d tensor goes with anything
    (there * number).sum().backward()
    assert number.grad.item() == 2 and number.grad.device.type == "cpu"
    with pytest.raises(TypeError, match=r"can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu\(\)"):
        there.numpy()
    np.testing.assert_array_equal(there.numpy(force=True), [1, 1])
    there.copy_(here * 3)
    assert there.tolist() == [3, 3]
    assert there[tinyrnn.tensor([1])].device == cuda


def test_models_move_in_place_and_load_from_anywhere(cuda, rng):
    model = nn.LSTM(3, 4)
    weight = model.weight_ih_l0
    assert model.to(cuda) is model and model.weight_ih_l0 is weight and weight.device == cuda
    file = io.BytesIO()
    tinyrnn.save({"model": model.state_dict(), "tied": [weight, weight]}, file)
    file.seek(0)
    loaded = tinyrnn.load(file)
    assert loaded["model"]["weight_ih_l0"].device.type == "cpu"
    loaded["tied"][0].detach().zero_()
    assert not loaded["tied"][1].any()
    file.seek(0)
    assert tinyrnn.load(file, map_location="cuda")["model"]["weight_ih_l0"].device == cuda
    other = nn.LSTM(3, 4)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.weight_ih_l0.detach().numpy(), weight.detach().cpu().numpy())
    assert model.cpu().weight_ih_l0.device.type == "cpu"


def test_what_programs_ask(cuda):
    assert tinyrnn.cuda.is_available() and tinyrnn.cuda.device_count() >= 1 and tinyrnn.cuda.current_device() == 0
    assert tinyrnn.accelerator.is_available() and tinyrnn.accelerator.current_accelerator().type == "cuda"
    tinyrnn.cuda.synchronize()
    tinyrnn.cuda.empty_cache()
    found = tinyrnn.cuda.get_device_properties(0)
    assert tinyrnn.cuda.get_device_name() == found.name and found.total_memory > 0 and found.multi_processor_count > 0
    assert tinyrnn.cuda.get_device_capability("cuda") == (found.major, found.minor)
    assert tinyrnn.cuda.is_bf16_supported() is (found.major >= 8)
    held = tinyrnn.ones(100, device="cuda")
    assert held.nbytes <= tinyrnn.cuda.memory_allocated() <= tinyrnn.cuda.memory_reserved()
    free, total = tinyrnn.cuda.mem_get_info()
    assert 0 < free < total
    with tinyrnn.cuda.device(0):
        assert tinyrnn.ones(1, device="cuda").device == cuda
    assert tinyrnn.cuda.is_initialized() and tinyrnn.ones(1).cuda(non_blocking=True).device == cuda
    state = tinyrnn.cuda.get_rng_state_all()
    drawn = tinyrnn.rand(2)
    tinyrnn.cuda.set_rng_state_all(state)
    assert (tinyrnn.rand(2) == drawn).all()
    with pytest.raises(RuntimeError, match=r"'cuda:99' does not exist"):
        tinyrnn.ones(1, device="cuda:99")
    assert "CuPy" in tinyrnn.show_config()


def test_a_negative_number_is_no_gpu_and_changes_nothing(cuda):
    for module in (tinyrnn.cuda, pytest.importorskip("torch").cuda):
        before = tinyrnn.cuda.current_device()
        for number in (-1, -7):
            assert module.set_device(number) is None
            with module.device(number):
                assert tinyrnn.cuda.current_device() == before


def test_memory_is_shared_with_other_libraries(cuda, rng):
    x = tinyrnn.tensor(rng.normal(size=(2, 3)), device="cuda")
    shared = tinyrnn.from_dlpack(x)
    shared.mul_(2)
    assert shared.device == cuda and shared.data_ptr() == x.data_ptr() and (shared == x).all()
    interface = x.__cuda_array_interface__
    assert interface["shape"] == (2, 3) and interface["data"][0] == x.data_ptr()
    assert not hasattr(x.cpu(), "__cuda_array_interface__")
    with pytest.raises(RuntimeError, match=r"use tensor\.detach"):
        x.requires_grad_().__cuda_array_interface__


def test_models_leave_for_other_libraries(cuda, rng, tmp_path):
    torch, onnx = pytest.importorskip("torch"), pytest.importorskip("onnx")
    model, theirs = nn.LSTM(3, 4).to(cuda), torch.nn.LSTM(3, 4)
    interop.torch.load_torch(model, theirs)
    interop.torch.save_file(model, tmp_path / "model.safetensors")
    for state in (interop.torch.to_torch(model.state_dict()), interop.torch.load_file(tmp_path / "model.safetensors")):
        for name, weight in theirs.state_dict().items():
            np.testing.assert_array_equal(state[name].numpy(), weight.numpy())
    x = tinyrnn.ones(2, 1, 3, device=cuda)
    with pytest.raises(NotImplementedError, match=r"lies on a GPU; export it from main memory"):
        interop.onnx.export(model, (x,), tmp_path / "model.onnx")
    assert isinstance(interop.onnx.export(model.cpu(), (x.cpu(),)), onnx.ModelProto)


def test_every_initialization(cuda):
    """Drawn in main memory, whatever the device, so that models begin with the same numbers everywhere."""
    weights = {}
    for device in ("cpu", "cuda"):
        tinyrnn.manual_seed(0)
        w = tinyrnn.empty(6, 4, device=device)
        weights[device] = [
            initialize(w).detach().cpu().numpy().copy()
            for initialize in (
                nn.init.orthogonal_,
                nn.init.xavier_uniform_,
                nn.init.kaiming_normal_,
                nn.init.eye_,
                nn.init.trunc_normal_,
            )
        ]
    for got, expected in zip(weights["cuda"], weights["cpu"]):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_pinned_memory_and_names_of_types(cuda, rng):
    x = tinyrnn.tensor(rng.normal(size=(2, 3)))
    pinned = x.T.pin_memory()
    assert pinned.device.type == "cpu" and (pinned == x.T).all() and pinned.data_ptr() != x.data_ptr()
    assert tinyrnn.ones(0, 3).pin_memory().shape == (0, 3)
    there = pinned.to("cuda", non_blocking=True)
    assert (there.get_device(), pinned.get_device()) == (0, -1)
    assert (there.type(), pinned.type()) == ("torch.cuda.DoubleTensor", "torch.DoubleTensor")
    with pytest.raises(RuntimeError, match="only tensors in main memory can be pinned"):
        there.pin_memory()


def test_events(cuda):
    start, end, untimed = (tinyrnn.cuda.Event(enable_timing=timed) for timed in (True, True, False))
    start.record()
    tinyrnn.ones(1000, device="cuda").exp()
    end.record()
    end.synchronize()
    assert end.query() and start.elapsed_time(end) > 0
    with pytest.raises(ValueError, match=r"made with Event\(enable_timing=True\)"):
        start.elapsed_time(untimed)


def test_the_trainer(cuda, tmp_path):
    """The losses of a few steps are those of the CPU."""
    from tinyrnn.seq2seq import Codec, Seq2Seq, predict
    from tinyrnn.training import Trainer, TrainingConfig, load_checkpoint

    pairs = [(f"{a}{b}", f"{b}{a}") for a in "abcd" for b in "abcd"]
    losses = []
    for device in ("cpu", "cuda"):
        tinyrnn.manual_seed(1)
        codec = Codec.build([text for pair in pairs for text in pair], "char")
        model = Seq2Seq(codec, codec, embed=4, hidden=5, layers=1, max_length=4).double().to(device)
        trainer = Trainer(model, TrainingConfig(batch=8, epochs=2), pairs, pairs[:3], tmp_path / device)
        losses.append([entry["train_loss"] for entry in trainer.fit() if "train_loss" in entry])
        assert len(predict(model, ["ab", "c"])) == 2
        assert load_checkpoint(tmp_path / device)[0].device.type == "cpu"
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


@pytest.mark.skipif(loader.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_said_what_is_missing(run_python, tmp_path):
    (tmp_path / "cupy.py").write_text(
        "class cuda:\n class runtime:\n  class CUDARuntimeError(RuntimeError): pass\n"
        "  def getDeviceCount(): raise cuda.runtime.CUDARuntimeError('no driver')\n"
    )
    program = "import sys, tinyrnn\nprint(tinyrnn.cuda.is_available(), 'cupy' in sys.modules)\ntinyrnn.ones(1, device='cuda')"
    without = run_python(f"import sys; sys.modules['cupy'] = None\n{program}")
    assert without.stdout == "False True\n" and "'cuda' is not available: CuPy cannot be imported" in without.stderr
    assert "tinyrnn[cuda13]" in without.stderr
    unusable = run_python(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}")
    assert unusable.stdout == "False True\n" and "no NVIDIA GPU with a driver that fits (no driver)" in unusable.stderr
    (tmp_path / "cupy.py").write_text(
        "class cuda:\n class runtime:\n  class CUDARuntimeError(RuntimeError): pass\n  def getDeviceCount(): return 1\n"
        " class nvrtc:\n  def getVersion(): raise RuntimeError('no libnvrtc')\n"
    )
    no_compiler = run_python(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}")
    assert no_compiler.stdout == "False True\n" and "does not find NVIDIA's compiler NVRTC (no libnvrtc)" in no_compiler.stderr
