"""Models on disk: ``model.safetensors`` and ``config.json``, written so that a good pair is never lost.

The weights carry a copy of ``config.json`` in their header, so that replacing one file is the whole commit: whatever
happens while a run saves a better checkpoint, the directory holds the old model or the new one. Only where a model of other
sizes or vocabularies is replaced, a crash between the two files leaves the old config beside the new weights; loading says so.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tinyrnn.engine.base import wrap
from tinyrnn.files import stored_array, write_atomically
from tinyrnn.seq2seq.model import Seq2Seq

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
FORMAT: Final = "tinyrnn-seq2seq-1"

_KINDS: Final = ("BF16", "F16", "F32", "F64")


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or a directory that cannot take one; the message names the file."""


def holds_model(directory: str | os.PathLike[str]) -> bool:
    """Whether a directory has one of the two files of a model."""
    return any((Path(directory) / name).exists() for name in (WEIGHTS, CONFIG))


def prepare_directory(directory: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Make the directory if need be, and make sure that a model can be written to it.

    Raises
    ------
    CheckpointError
        If it is a file, cannot be made or written to, or holds a model and `overwrite` is False.
    """
    path = Path(directory)
    try:
        if path.exists() and not path.is_dir():
            raise CheckpointError(f"{path}: expected a directory to write to, got a file; name another one")
        if not overwrite and holds_model(path):
            raise CheckpointError(
                f"{path}: expected a directory without a model, got one that holds one; "
                "name another one, or pass --overwrite (overwrite=True)"
            )
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / ".writable", b"")
        (path / ".writable").unlink()
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected a directory to write to, got '{error.strerror}'; check its permissions or name another one"
        ) from error
    return path


def save_checkpoint(directory: str | os.PathLike[str], model: Seq2Seq, **entries: Any) -> None:
    """Write ``model.safetensors`` and ``config.json``.

    Parameters
    ----------
    directory : path
        Has to exist.
    model : Seq2Seq
    **entries
        JSON data to keep in the config beside the model's sizes, units and vocabularies: the recipe, the results.

    Raises
    ------
    OSError
        If the files cannot be written; the checkpoint that was there before still loads.
    """
    import tinyrnn

    config = {"format": FORMAT, "tinyrnn": tinyrnn.__version__, "model": model.to_json(), **entries}
    text = json.dumps(config, ensure_ascii=False, indent=1)
    weights = {name: np.ascontiguousarray(tensor.cpu().numpy()) for name, tensor in model.state_dict().items()}
    write_atomically(Path(directory) / WEIGHTS, save(weights, metadata={"config": text}))
    write_atomically(Path(directory) / CONFIG, text.encode())


def load_checkpoint(directory: str | os.PathLike[str]) -> tuple[Seq2Seq, dict[str, Any]]:
    """Read a model back.

    Returns
    -------
    model : Seq2Seq
        In evaluation mode.
    config : dict
        The content of ``config.json``.

    Raises
    ------
    CheckpointError
        If a file is missing, cut off, not what its name says, or of another model than the other file, or if a
        weight is no finite floating-point number.
    """
    path = Path(directory)
    if not path.is_dir():
        raise CheckpointError(f"{path}: expected the directory of a trained model, got no such directory")
    told = _parse_config(_read_config(path / CONFIG), path / CONFIG)
    weights, text = _read_weights(path / WEIGHTS)
    config = _parse_config(text, path / WEIGHTS)
    if config["model"] != told["model"]:
        raise CheckpointError(
            f"{path / CONFIG}: expected the config of {WEIGHTS} beside it, got that of another model; "
            "put back the two files that were saved together"
        )
    model = _rebuild(config["model"], path / CONFIG)
    _check_weights(model, weights, path / WEIGHTS)
    model.load_state_dict({name: wrap(array) for name, array in weights.items()})
    model.eval()
    return model, config


def _read_config(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected the config of a trained model, got '{error.strerror}'; "
            "name the directory that 'tinyrnn train --out' wrote"
        ) from error


def _parse_config(text: str | bytes, path: Path) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: expected JSON, got something else ({error}); the file is damaged, restore it"
        ) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or "model" not in data:
        raise CheckpointError(
            f"{path}: expected a config of the format {FORMAT!r}, got another file; train the model again or restore it"
        )
    return data


def _read_weights(path: Path) -> tuple[dict[str, np.ndarray], str]:
    if not path.is_file():
        raise CheckpointError(f"{path}: expected the weights of a trained model, got no such file; restore it")
    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get("config")
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (not a dict)
            for name, kind in kinds.items():
                if kind not in _KINDS:
                    raise CheckpointError(
                        f"{path}: expected for {name} one of the types {', '.join(_KINDS)}, got {kind}; restore the file"
                    )
            weights = {name: stored_array(file, name) for name in kinds}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: expected a whole safetensors file, got one cut off or damaged ({error}); restore it"
        ) from error
    if text is None:
        raise CheckpointError(
            f"{path}: expected weights that tinyrnn saved, got a safetensors file without its config; restore it"
        )
    return weights, text


def _rebuild(data: dict[str, Any], path: Path) -> Seq2Seq:
    try:
        return Seq2Seq.from_json(data)
    except ValueError as error:
        raise CheckpointError(f"{path}: expected a model that can be built, got {error}; restore the file") from error


def _check_weights(model: Seq2Seq, weights: dict[str, np.ndarray], path: Path) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    got = {name: array.shape for name, array in weights.items()}
    for name in sorted(expected.keys() | got.keys()):
        if expected.get(name) != got.get(name):
            raise CheckpointError(
                f"{path}: expected for {name} {_shape(expected, name)}, got {_shape(got, name)}; "
                "the weights are of another model"
            )
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise CheckpointError(
                f"{path}: expected for {name} finite numbers, got nan or infinity; restore the file or train again"
            )


def _shape(shapes: dict[str, tuple[int, ...]], name: str) -> str:
    return f"of shape {shapes[name]}" if name in shapes else "nothing of that name"
