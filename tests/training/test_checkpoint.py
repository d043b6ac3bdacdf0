"""Checkpoints: what is saved comes back, what is damaged is named, and a good pair is never lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tinyrnn.files import write_atomically
from tinyrnn.random import manual_seed
from tinyrnn.seq2seq import Codec, Seq2Seq, search_all
from tinyrnn.training import CheckpointError, checkpoint, load_checkpoint, save_checkpoint
from tinyrnn.training.checkpoint import prepare_directory

SOURCES = [[4], [5, 4, 6], [6, 6]]


def make_model(seed: int = 0, texts: str = "abc", **options: Any) -> Seq2Seq:
    manual_seed(seed)
    codec = Codec.build([texts], "char")
    return Seq2Seq(codec, codec, **{"embed": 4, "hidden": 6, "layers": 2, "max_length": 7, **options})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, make_model(), note="ä")
    return tmp_path


def fail(directory: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(directory)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("attention", ["general", "dot", "additive"])
def test_a_saved_model_predicts_the_same(tmp_path: Path, cell: str, attention: str) -> None:
    model = make_model(cell=cell, attention=attention, texts="äbc")
    save_checkpoint(tmp_path, model, result={"step": 3})
    again, config = load_checkpoint(tmp_path)
    assert config["result"] == {"step": 3}
    assert not again.training
    assert again.to_json() == model.to_json()
    for before, after in zip(search_all(model, SOURCES), search_all(again, SOURCES), strict=True):
        assert before.ids == after.ids and before.log_prob == after.log_prob


def test_the_config_is_readable(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    assert config["note"] == "ä"
    assert config["model"]["source"] == {"unit": "char", "vocabulary": ["<pad>", "<s>", "</s>", "<unk>", *"abc"]}
    assert {"format", "tinyrnn"} < config.keys()
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]


def test_weights_cut_off_anywhere_are_named(saved: Path) -> None:
    path = saved / "model.safetensors"
    data = path.read_bytes()
    for size in (0, 4, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        assert fail(saved).startswith(f"{path}: expected a whole safetensors file")
    path.write_bytes(b"PK\x03\x04" + os.urandom(500))
    assert fail(saved).startswith(f"{path}: expected a whole safetensors file")
    path.unlink()
    assert fail(saved).startswith(f"{path}: expected the weights")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"{}", b'{"format": "other", "model": {}}', b"[" * 100_000])
def test_a_broken_config_is_named(saved: Path, content: bytes) -> None:
    (saved / "config.json").write_bytes(content)
    assert fail(saved).startswith(f"{saved / 'config.json'}: expected ")


def test_missing_config_and_directory(saved: Path) -> None:
    (saved / "config.json").unlink()
    assert fail(saved).startswith(f"{saved / 'config.json'}: expected the config of a trained model")
    assert "no such directory" in fail(saved / "absent")
    assert "no such directory" in fail(saved / "model.safetensors")


@pytest.mark.parametrize("options", [{"hidden": 7}, {"cell": "gru"}, {"texts": "abcd"}, {"texts": "xyz"}])
@pytest.mark.parametrize("swapped", ["config.json", "model.safetensors"])
def test_files_of_two_models_are_told_apart(saved: Path, options: dict[str, Any], swapped: str) -> None:
    other = saved / "other"
    other.mkdir()
    save_checkpoint(other, make_model(**options))
    shutil.copy(other / swapped, saved / swapped)
    assert "that of another model" in fail(saved)


def test_weights_of_another_model_are_named(saved: Path) -> None:
    path = saved / "model.safetensors"
    weights = load_file(path)
    metadata = {"config": (saved / "config.json").read_text(encoding="utf-8")}
    save_file({**weights, "decoder.output.bias": np.zeros(3, np.float32)}, path, metadata)
    assert "expected for decoder.output.bias of shape (7,), got of shape (3,)" in fail(saved)
    save_file({**weights, "more": np.zeros(3, np.float32)}, path, metadata)
    assert "expected for more nothing of that name" in fail(saved)
    del weights["encoder.embedding.weight"]
    save_file(weights, path, metadata)
    assert "encoder.embedding.weight" in fail(saved)
    save_file(weights, path)
    assert "expected weights that tinyrnn saved" in fail(saved)


@pytest.mark.parametrize("model", [5, [1], "model", None, {}, {"hidden": 10**30}])
def test_a_model_that_cannot_be_built_is_named(saved: Path, model: Any) -> None:
    path = saved / "model.safetensors"
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    config["model"] = {**config["model"], **model} if model and isinstance(model, dict) else model
    (saved / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(load_file(path), path, {"config": json.dumps(config)})
    assert fail(saved).startswith(f"{saved / 'config.json'}: expected a model that can be built, got ")


@pytest.mark.parametrize(("kind", "size"), [("U16", 2), ("BOOL", 1), ("F8_E4M3", 1)])
def test_weights_of_another_type_are_named(saved: Path, kind: str, size: int) -> None:
    # Written by hand because NumPy has not all of these types.
    config = (saved / "config.json").read_text(encoding="utf-8")
    entry = {"dtype": kind, "shape": [7], "data_offsets": [0, 7 * size]}
    header = json.dumps({"__metadata__": {"config": config}, "decoder.output.bias": entry}).encode()
    path = saved / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(7 * size))
    assert f"{path}: expected for decoder.output.bias one of the types BF16, F16, F32, F64, got {kind}" in fail(saved)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_named(saved: Path, value: float) -> None:
    path = saved / "model.safetensors"
    weights = load_file(path)
    weights["decoder.output.bias"][2] = value
    save_file(weights, path, {"config": (saved / "config.json").read_text(encoding="utf-8")})
    assert f"{path}: expected for decoder.output.bias finite numbers, got nan or infinity" in fail(saved)


def test_weights_of_another_precision_are_converted(saved: Path) -> None:
    path = saved / "model.safetensors"
    metadata = {"config": (saved / "config.json").read_text(encoding="utf-8")}
    save_file({name: array.astype(np.float64) for name, array in load_file(path).items()}, path, metadata)
    assert load_checkpoint(saved)[0].decoder.output.weight.array.dtype == np.float32


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_save_that_fails_midway_leaves_a_model(saved: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    replace = os.replace

    def full_disk(source: Path, target: Path) -> None:
        if target.name == file:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(checkpoint.os, "replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(saved, make_model(seed=1), note="new")
    monkeypatch.undo()
    model, config = load_checkpoint(saved)
    expected = make_model(seed=1 if file == "config.json" else 0)
    assert config["note"] == ("new" if file == "config.json" else "ä"), "the config is that of the weights"
    np.testing.assert_array_equal(model.decoder.output.weight.detach().numpy(), expected.decoder.output.weight.detach().numpy())
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]


def test_a_file_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_directories_are_made_and_tried(saved: Path, tmp_path: Path) -> None:
    assert prepare_directory(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not list((tmp_path / "a" / "b").iterdir())
    with pytest.raises(CheckpointError, match=r"model\.safetensors: expected a directory to write to, got a file"):
        prepare_directory(saved / "model.safetensors")
    with pytest.raises(CheckpointError, match="expected a directory to write to, got 'Not a directory'"):
        prepare_directory(saved / "model.safetensors" / "below")
    with pytest.raises(CheckpointError, match="expected a directory without a model"):
        prepare_directory(saved)
    assert prepare_directory(saved, overwrite=True) == saved


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_must_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CheckpointError, match="expected a directory to write to, got 'Permission denied'"):
            prepare_directory(tmp_path)
    finally:
        tmp_path.chmod(0o700)
