"""save and load: what is written comes back exactly, and nothing else can be written or read."""

from __future__ import annotations

import io
import math
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn, optim

DTYPES = ["float16", "float32", "float64", "bool", "uint8", "int8", "int16", "int32", "int64"]


def there_and_back(obj, **options):
    file = io.BytesIO()
    tinyrnn.save(obj, file)
    file.seek(0)
    return tinyrnn.load(file, **options)


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, tinyrnn.Tensor):
        assert a.dtype == b.dtype and a.shape == b.shape and a.requires_grad == b.requires_grad
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    elif isinstance(a, dict):
        assert list(a) == list(b) and [type(key) for key in a] == [type(key) for key in b]
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b):
            assert_same(one, other)
    else:
        assert a == b or math.isnan(a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3), (3, 4, 5)])
def test_tensors(dtype, shape, rng):
    tensor = tinyrnn.from_numpy(np.asarray(rng.normal(0, 3, shape)).astype(dtype))
    loaded = there_and_back(tensor)
    assert_same(tensor, loaded)
    loaded.fill_(1)  # its memory is its own, and can be written to


def test_structures():
    tensor = tinyrnn.arange(3)
    obj = {
        "list": [1, 2.5, True, None, "ä\n", [], [tensor]],
        "tuple": (1, (), ({"deep": tensor},)),
        "ordered": OrderedDict([("b", 1), ("a", tensor)]),
        "counter": Counter([3, 3, 5]),
        "set": {1, 2},
        "size": tensor.shape,
        0: -1, 1.5: float("inf"), None: float("nan"), True: 2**70, (1, "x"): 0.1 + 0.2,
        "numpy": [np.float32(0.1), np.int64(3), np.float64(1e-300)],
    }  # fmt: skip
    assert_same(there_and_back(obj), obj)
    assert_same(there_and_back({}), {})
    assert_same(there_and_back(None), None)
    assert_same(there_and_back({"tensor": [1, False]}), {"tensor": [1, False]})  # not taken for the file's own marks


def test_gradients_are_wanted_as_before():
    loaded = there_and_back([tinyrnn.ones(2, requires_grad=True), nn.Parameter(tinyrnn.ones(2)), tinyrnn.ones(2)])
    assert [each.requires_grad for each in loaded] == [True, True, False]
    assert all(each.is_leaf for each in loaded)


WINDOWS = {
    "rows": lambda x: [x[1:3], x[2:4], x[3:]],
    "the shorter first": lambda x: [x, x[0], x[3:]],
    "columns": lambda x: [x[:, 1], x[:, ::2], x.t()[1:]],
    "other storage, too": lambda x: [x[0], x.clone(), x[0, 2:4], x.double(), x[1]],
    "expanded": lambda x: [x[0, 0].expand(3), x[0], x[:1].expand(4, 5)],
    "empty ones between": lambda x: [x, x[2:2], x[3:], x[5:]],
    "elements": lambda x: [x[1, 2], x[1], x.flatten()[7]],
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_share_memory_as_in_pytorch(name, tmp_path):
    torch = pytest.importorskip("torch")
    seen = []
    for lib in (tinyrnn, torch):
        lib.save(WINDOWS[name](lib.arange(25.0).reshape(5, 5)), tmp_path / "file")
        tensors = lib.load(tmp_path / "file")
        for number, tensor in enumerate(tensors):
            if tensor.ndim == 0 or 0 not in tensor.stride():
                tensor.add_(100 * number)
        seen.append([tensor.tolist() for tensor in tensors])
    assert seen[0] == seen[1]


def test_what_lies_around_windows_is_not_stored(tmp_path):
    x = tinyrnn.zeros(1000, 100)
    tinyrnn.save([x[5:7], x[6:8]], tmp_path / "file")
    assert (tmp_path / "file").stat().st_size < 3 * 400 + 400


def test_a_window_that_reaches_out_is_damage(tmp_path):
    x = tinyrnn.zeros(8)
    tinyrnn.save([x[1:4], x[2:6]], tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    assert whole.count(b"[1, [4], [1]]") == 1
    for wrong in (b"[2, [4], [1]]", b"[1, [4], [2]]", b"[1, [9], [1]]", b"[1, [4], []] ", b"[0, [0], [1]]"):
        (tmp_path / "file").write_bytes(whole.replace(b"[1, [4], [1]]", wrong))
        with pytest.raises(RuntimeError, match="is damaged"):
            tinyrnn.load(tmp_path / "file")


def test_what_is_too_deep_or_too_large_is_not_written():
    nested = inside = []
    for _ in range(98):
        inside.append([])
        inside = inside[0]
    assert there_and_back({"key": nested}) == {"key": nested}
    inside.append([[1]])
    for deep in (nested, {"key": nested}):
        with pytest.raises(ValueError, match="save: obj is nested more than 100 deep, or holds itself"):
            there_and_back(deep)
    for obj, place in (({"n": 10**5000}, r"obj\['n'\]"), ({10**5000: 1}, r"key \(an integer\) of obj")):
        with pytest.raises(ValueError, match=f"save: {place} is an integer of 16610 bits"):
            there_and_back(obj)
    assert there_and_back(-(2**10_000) + 1) == -(2**10_000) + 1


def test_the_same_memory_is_stored_once_and_shared_again(tmp_path):
    weight = tinyrnn.randn(100, 100)
    tinyrnn.save({"a": weight, "b": weight.detach(), "part": weight[:2], "t": weight.t()}, tmp_path / "file")
    assert (tmp_path / "file").stat().st_size < 2.5 * weight.nbytes
    loaded = tinyrnn.load(tmp_path / "file")
    for name, expected in {"a": weight, "b": weight, "part": weight[:2], "t": weight.t()}.items():
        np.testing.assert_array_equal(loaded[name].numpy(), expected.numpy())
    loaded["a"].zero_()
    assert loaded["b"].abs().sum() == 0 and loaded["b"]._version == loaded["a"]._version
    assert loaded["part"].abs().sum() == 0 and loaded["part"]._version == loaded["a"]._version


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.lstm = nn.LSTM(6, 3, 2, bidirectional=True)
        self.out = nn.Linear(6, 7)
        self.out.weight = self.embedding.weight
        self.register_buffer("count", tinyrnn.tensor(3))

    def forward(self, x):
        return self.out(self.lstm(self.embedding(x))[0])


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, 0.1, momentum=0.9),
    "Adam": optim.Adam,
    "AdamW": lambda p: optim.AdamW([{"params": p, "lr": 0.1}]),
    "RMSprop": lambda p: optim.RMSprop(p, momentum=0.1, centered=True),
    "Adagrad": optim.Adagrad,
}
SCHEDULES = {
    "MultiStepLR": lambda o: optim.lr_scheduler.MultiStepLR(o, [1, 2]),
    "OneCycleLR": lambda o: optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=9, cycle_momentum=False),
    "LambdaLR": lambda o: optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "ReduceLROnPlateau": lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "CosineAnnealingLR": lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 5),
    "SequentialLR": lambda o: optim.lr_scheduler.SequentialLR(
        o, [optim.lr_scheduler.LinearLR(o), optim.lr_scheduler.StepLR(o, 1)], [2]
    ),
}


def step(model, optimizer, schedule):
    optimizer.zero_grad()
    loss = model(tinyrnn.tensor([[1, 2], [3, 0]])).logsumexp(-1).square().mean()
    loss.backward()
    optimizer.step()
    schedule.step(*([loss.item()] if "Plateau" in type(schedule).__name__ else []))
    return loss.item()


@pytest.mark.parametrize("make_optimizer, make_schedule", [*zip(OPTIMIZERS, SCHEDULES), ("Adam", "SequentialLR")])
def test_training_goes_on_as_if_it_had_not_been_interrupted(tmp_path, make_optimizer, make_schedule):
    def build(seed):
        tinyrnn.manual_seed(seed)
        model = Tagger()
        optimizer = OPTIMIZERS[make_optimizer](list(model.parameters()))
        return model, optimizer, SCHEDULES[make_schedule](optimizer)

    parts = build(0)
    for _ in range(3):
        step(*parts)
    state = {"epoch": 3, "rng": tinyrnn.get_rng_state(), "parts": [part.state_dict() for part in parts]}
    tinyrnn.save(state, tmp_path / "state.pt")
    loaded = tinyrnn.load(tmp_path / "state.pt", map_location="cpu")
    assert_same(loaded, state)
    expected = [step(*parts) for _ in range(3)]
    others = build(1)
    for part, saved in zip(others, loaded["parts"], strict=True):
        part.load_state_dict(saved)
    assert [step(*others) for _ in range(3)] == expected
    assert others[0].out.weight is others[0].embedding.weight


def test_paths_and_file_objects(tmp_path):
    tensor = tinyrnn.arange(4)
    for place in (str(tmp_path / "a"), tmp_path / "b"):
        tinyrnn.save(tensor, place)
        assert_same(tinyrnn.load(place), tensor)
    with open(tmp_path / "c", "wb") as file:
        tinyrnn.save(tensor, file)
    with open(tmp_path / "c", "rb") as file:
        assert_same(tinyrnn.load(file), tensor)
    with open(tmp_path / "c", "w") as file, pytest.raises(TypeError, match=r"got TextIOWrapper; .*open\(path, 'wb'\)"):
        tinyrnn.save(tensor, file)
    with pytest.raises(TypeError, match=r"got NoneType; pass a path or open\(path, 'rb'\)"):
        tinyrnn.load(None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    from tinyrnn import files

    tinyrnn.save([1], tmp_path / "a")

    def crash(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(files.os, "fsync", crash)
    with pytest.raises(OSError, match="No space"):
        tinyrnn.save([2], tmp_path / "a")
    assert tinyrnn.load(tmp_path / "a") == [1] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "obj, message",
    [
        (Tagger(), r"^save: obj is of type Tagger, .* save model.state_dict\(\) and load it with load_state_dict$"),
        ({"model": Tagger()}, r"^save: obj\['model'\] is of type Tagger, .* save obj\['model'\].state_dict\(\)"),
        ({"a": [1, (2, lambda x: x)]}, r"obj\['a'\]\[1\]\[1\] is of type function, .* save what it is made from"),
        ([np.zeros(2)], r"obj\[0\] is of type ndarray, .* tinyrnn.from_numpy"),
        ([defaultdict(list)], r"obj\[0\] is of type defaultdict, .* make it a dict with dict\(...\)"),
        ({tinyrnn: 1}, "key <module .* of obj is of type module"),
        ([object()], "save tensors, numbers, strings, None"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_named_with_its_place(tmp_path, obj, message):
    with pytest.raises(TypeError, match=message):
        tinyrnn.save(obj, tmp_path / "file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_of_pytorch_are_not_read(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.ones(2)}, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(RuntimeError, match=r"model.pt is a pickle from PyTorch, .* safetensors.torch.save_file"):
        tinyrnn.load(tmp_path / "model.pt", weights_only=False)


def test_files_of_other_programs(tmp_path):
    from safetensors.numpy import save_file

    for length in range(300):  # the header's length, with which the file begins, is no mark of a pickle
        save_file({"weight" + "x" * length: np.ones(2, np.float32)}, tmp_path / "file")
        assert next(iter(tinyrnn.load(tmp_path / "file").values())).tolist() == [1, 1]


def test_damaged_files(tmp_path):
    tinyrnn.save([tinyrnn.ones(100)], tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    for data in (b"", b"hello, this is text", whole[:-5], whole[:30]):
        with pytest.raises(RuntimeError, match="the file is no whole safetensors file"):
            tinyrnn.load(io.BytesIO(data))


def test_map_location():
    tensor = tinyrnn.ones(2)
    for place in (
        "cpu",
        tinyrnn.device("cpu"),
        {"cuda:0": "cpu"},
        lambda storage, location: storage,
        lambda storage, location: None,
    ):
        assert_same(there_and_back(tensor, map_location=place), tensor)
    for place in ("cuda", {"cpu": "cuda:1"}, lambda storage, location: storage.cuda()):
        with pytest.raises(RuntimeError, match=r"device 'cuda(:1)?' is not available"):
            there_and_back(tensor, map_location=place)
