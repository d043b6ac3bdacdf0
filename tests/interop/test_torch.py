"""Weights to PyTorch and back, in memory and through safetensors files, tied ones included."""

from __future__ import annotations

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.interop import torch as interop

torch = pytest.importorskip("torch")


def build(library):
    """A model with recurrent layers, tied weights and a buffer, in either library."""

    class Model(library.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = library.nn.Embedding(11, 6)
            self.lstm = library.nn.LSTM(6, 6, 2, bidirectional=True, batch_first=True)
            self.gru = library.nn.GRU(12, 6, batch_first=True, bias=False)
            self.attention = library.nn.MultiheadAttention(6, 2, batch_first=True)
            self.norm = library.nn.LayerNorm(6)
            self.output = library.nn.Linear(6, 11)
            self.output.weight = self.embedding.weight
            self.register_buffer("scale", library.full((1,), 0.5))

        def forward(self, words):
            y, _ = self.gru(self.lstm(self.embedding(words))[0])
            return self.output(self.norm(self.attention(y, y, y)[0])) * self.scale

    return Model()


WORDS = np.random.default_rng(0).integers(0, 11, (3, 5))


def output(library, model):
    return model(library.from_numpy(WORDS)).detach().numpy()


def test_from_pytorch():
    theirs, ours = build(torch), build(tinyrnn)
    assert interop.load_torch(ours, theirs) == ([], [])
    np.testing.assert_allclose(output(tinyrnn, ours), output(torch, theirs), atol=1e-5, rtol=1e-5)
    assert ours.output.weight is ours.embedding.weight
    state = interop.from_torch(theirs.state_dict())
    assert list(state) == list(theirs.state_dict()) == list(ours.state_dict())
    state["norm.weight"].fill_(7.0)
    assert theirs.norm.weight[0].item() == 1, "a copy"


def test_to_pytorch():
    theirs, ours = build(torch), build(tinyrnn)
    theirs.load_state_dict(interop.to_torch(ours))
    np.testing.assert_allclose(output(tinyrnn, ours), output(torch, theirs), atol=1e-5, rtol=1e-5)
    theirs.load_state_dict(interop.to_torch(ours.state_dict()))


@pytest.mark.parametrize("writer", [torch, tinyrnn])
def test_files_that_both_read(tmp_path, writer):
    from safetensors import safe_open
    from safetensors.torch import load_model

    model, path = build(writer), tmp_path / "model.safetensors"
    interop.save_file(model, path)
    with safe_open(path, "np") as file:
        assert len(list(file.keys())) == len(model.state_dict()) - 1, "the tied weight once"
    ours, theirs = build(tinyrnn), build(torch)
    ours.load_state_dict(interop.load_file(path))
    load_model(theirs, path)
    for library, each in ((tinyrnn, ours), (torch, theirs)):
        np.testing.assert_allclose(output(library, each), output(writer, model), atol=1e-5, rtol=1e-5)


def test_a_file_that_pytorch_wrote(tmp_path):
    from safetensors.torch import save_model

    theirs, ours, path = build(torch), build(tinyrnn), tmp_path / "model.safetensors"
    save_model(theirs, path)
    ours.load_state_dict(interop.load_file(path))
    np.testing.assert_allclose(output(tinyrnn, ours), output(torch, theirs), atol=1e-5, rtol=1e-5)


def test_all_dtypes_and_shapes(tmp_path):
    state = {
        "half": tinyrnn.ones(2, dtype=tinyrnn.float16),
        "double": tinyrnn.ones(2, 3, dtype=tinyrnn.float64).t(),
        "scalar": tinyrnn.tensor(3),
        "empty": tinyrnn.zeros(0, 4),
        "flags": tinyrnn.tensor([True, False]),
    }
    interop.save_file(state, tmp_path / "state.safetensors")
    for back in (interop.load_file(tmp_path / "state.safetensors"), interop.from_torch(interop.to_torch(state))):
        for name, tensor in state.items():
            assert back[name].dtype == tensor.dtype and back[name].shape == tensor.shape
            assert (back[name] == tensor).all()


def test_wrong_sources_say_so(tmp_path):
    with pytest.raises(TypeError, match="expected a module or a state dict, got int"):
        interop.from_torch(3)
    with pytest.raises(TypeError, match="'step' is a int, expected a tensor"):
        interop.from_torch({"step": 3})
    with pytest.raises(RuntimeError, match="Missing key"):
        interop.load_torch(nn.GRU(3, 4), torch.nn.Linear(3, 4))
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model.pt: expected a safetensors file.*a pickle, which is never read.*save_file"):
        interop.load_file(tmp_path / "model.pt")


def test_the_pickle_error_of_load_names_what_exists(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "model.pt")
    with pytest.raises(Exception, match=r"tinyrnn\.interop\.torch\.save_file"):
        tinyrnn.load(tmp_path / "model.pt")
