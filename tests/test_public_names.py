"""The public namespace: complete, PyTorch's where it has the name, lazy, and helpful about what is missing."""

from __future__ import annotations

import json

import pytest

import tinyrnn

OUR_OWN = {"show_config", "tape", "interop", "seq2seq", "training"}  # names that PyTorch does not have at its top


@pytest.mark.parametrize("name", tinyrnn.__all__)
def test_every_listed_name_exists(name):
    assert hasattr(tinyrnn, name)


def test_names_are_pytorchs():
    torch = pytest.importorskip("torch")
    assert not [name for name in tinyrnn.__all__ if name not in OUR_OWN and not hasattr(torch, name)]
    assert len(set(tinyrnn.__all__)) == len(tinyrnn.__all__)


def test_nothing_public_is_unlisted():
    import types

    public = {
        name for name, value in vars(tinyrnn).items() if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public - {"annotations"} == set(tinyrnn.__all__) & public


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(AttributeError, match=r"has no 'tensro'.*nearest.*tensor"):
        tinyrnn.tensro
    with pytest.raises(AttributeError, match=r"has no 'fft'.*subset of PyTorch"):
        tinyrnn.fft
    assert not hasattr(tinyrnn, "__wrapped__") and getattr(tinyrnn, "jit", None) is None
    with pytest.raises(ImportError):
        from tinyrnn import quantization  # noqa: F401


@pytest.mark.parametrize(
    "place, name, near",
    [
        ("nn", "Conv2d", "Linear over flattened images$"),
        ("nn", "Linaer", "Linear"),
        ("nn.functional", "conv2d", "Linear over flattened images$"),
        ("nn.functional", "softmx", "softmax"),
        ("nn.init", "dirac_", None),
        ("nn.init", "xavier_uniform", "xavier_uniform_"),
        ("nn.utils", "spectral_norm", "weight_norm$"),
        ("nn.utils.rnn", "pack_padded_sequnce", "pack_padded_sequence"),
        ("optim", "RMSProp", "RMSprop"),
        ("optim.lr_scheduler", "CosineAnealingLR", "CosineAnnealingLR"),
        ("optim.lr_scheduler", "CosineLR", None),
        ("nn", "cat", "tinyrnn.cat$"),
        ("nn", "Lstm", "LSTM$"),
        ("nn", "EmbeddingBag", r"Embedding, and \.mean"),
        ("nn.functional", "LSTM", "tinyrnn.nn.LSTM$"),
        ("optim", "StepLR", "tinyrnn.optim.lr_scheduler.StepLR$"),
        ("optim", "Adadelta", "Adam"),
        ("cuda", "GradScaler", r"tinyrnn.amp.GradScaler$"),
        ("utils.data", "Dataloader", "DataLoader"),
        ("optim", "AdamWW", "AdamW"),
        ("autograd", "Funktion", "Function"),
    ],
)
def test_so_are_those_of_the_parts(place, name, near):
    import importlib

    module = importlib.import_module(f"tinyrnn.{place}")
    place = place.replace(".", r"\.")
    answer = rf"^tinyrnn\.{place} has no '{name}' \(it is a subset of PyTorch\); "
    answer += f"the nearest there is: .*{near}" if near else rf"dir\(tinyrnn\.{place}\) lists what there is$"
    with pytest.raises(AttributeError, match=answer):
        getattr(module, name)
    assert not hasattr(module, name) and not hasattr(module, "__wrapped__")


def test_names_of_other_parts_are_found_from_the_top():
    for name, near in {"LSTM": "tinyrnn.nn.LSTM", "Adam": "tinyrnn.optim.Adam", "view_as": "Tensor.view_as"}.items():
        with pytest.raises(AttributeError, match=f"has no '{name}'.*the nearest there is: {near}$"):
            getattr(tinyrnn, name)
    with pytest.raises(AttributeError, match=r"Tensor has no 'stack'.*the nearest there is: tinyrnn.stack$"):
        tinyrnn.ones(2).stack


def test_what_stands_instead_is_never_there_itself():
    from tinyrnn import _lazy

    public = {name for part in _lazy._PUBLIC for name in vars(_lazy.importlib.import_module(f"tinyrnn.{part}".rstrip(".")))}
    assert set(_lazy._INSTEAD) & public <= {"functional"}  # of autograd


def test_parts_are_there():
    from tinyrnn import _lazy

    for name in _lazy.PARTS:
        assert getattr(tinyrnn, name).__name__ == f"tinyrnn.{name}"


def test_parts_load_when_asked_for(run_python):
    code = """
import json, sys, tinyrnn
parts = lambda: sorted({name.split(".")[1] for name in sys.modules if name.startswith("tinyrnn.")})
before = parts()
tinyrnn.nn.Linear
import tinyrnn.optim as optim
print(json.dumps([before, parts()]))
"""
    done = run_python(code)
    before, after = json.loads(done.stdout or "[[], []]")
    assert not {"nn", "optim", "training", "seq2seq", "cuda", "cli"} & set(before), done.stderr
    assert {"nn", "optim"} <= set(after)


def test_dir_and_config():
    assert {"nn", "tensor", "float32"} <= set(dir(tinyrnn))
    shown = tinyrnn.show_config()
    for word in ("engine", "CPU kernels", "float32", "numpy", tinyrnn.__version__):
        assert word in shown
    assert "uncompiled" in shown or "compiled" in shown


def test_config_says_when_the_plain_files_run(run_python):
    done = run_python("import tinyrnn; print(tinyrnn.show_config())", TINYRNN_PURE="1")
    engine = next(line for line in done.stdout.splitlines() if line.startswith("engine"))
    assert "uncompiled" in engine, done.stderr


def test_constants():
    import math

    assert (tinyrnn.pi, tinyrnn.e, tinyrnn.inf) == (math.pi, math.e, math.inf) and tinyrnn.nan != tinyrnn.nan
    assert tinyrnn.newaxis is None and tinyrnn.__version__ == "0.1.0"
