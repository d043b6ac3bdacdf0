"""Weights from Keras, out of its files or a live model, and back."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyrnn.nn.bidirectional import Bidirectional
from tinyrnn.nn.embedding import Embedding
from tinyrnn.nn.linear import Linear
from tinyrnn.nn.module import Module
from tinyrnn.nn.normalization import LayerNorm
from tinyrnn.nn.recurrent import GRU, LSTM, RNN, RNNBase


def load_keras(model: Module, source: Any) -> Module:
    """Copy the weights of a Keras model into `model`, and return it.

    Layers are matched kind by kind, each kind in order: the first LSTM of ``model.modules()`` takes the weights of Keras'
    first LSTM, and so on. Each layer of ``num_layers=2`` counts as a layer of its own.

    ==========================  ====================================================================================
    Keras                       here
    ==========================  ====================================================================================
    ``Dense``                   ``nn.Linear``; activations are yours to apply
    ``Embedding``               ``nn.Embedding``; in place of ``mask_zero`` pass ``lengths=`` to the layers behind it
    ``LayerNormalization``      ``nn.LayerNorm(..., eps=1e-3)``, Keras' default
    ``LSTM``, ``SimpleRNN``     ``nn.LSTM``, ``nn.RNN``; with ``single_bias=True`` they have as many parameters as Keras'
    ``GRU``                     ``nn.GRU``
    ``GRU(reset_after=False)``  ``nn.GRU(reset_after=False, single_bias=True)``
    ``Bidirectional``           the layer with ``bidirectional=True``, or ``nn.Bidirectional``
    ==========================  ====================================================================================

    Where a layer here has two biases and Keras' has one, bias_hh becomes zero.

    Parameters
    ----------
    model : Module
    source : path of a ``.keras`` or ``.weights.h5`` file, which is read without Keras; or a Keras model or layer
        A ``.weights.h5`` file holds no settings; from the others, activations of recurrent layers, epsilon and what else
        changes the result of a layer are compared too.

    Raises
    ------
    ValueError
        If number, shapes or settings of the layers differ, or the file is none of these or damaged; nothing is copied then.
    ImportError
        If h5py, which reads the files, is missing.
    """
    state: dict[str, np.ndarray] = {}
    for ours, theirs in _matched(_layers_of(model), _layers_from(source)):
        _check(ours, theirs)
        for part, array in zip(ours.parts, theirs.arrays, strict=True):
            state |= part.into_ours(np.asarray(array))
    model.load_state_dict(state, strict=False)
    return model


def keras_weights(model: Module) -> list[np.ndarray]:
    """The parameters of a layer or a whole model as arrays laid out for ``set_weights`` of Keras' layer or model.

    Layers come in the order of ``model.modules()``; two biases of a layer become one sum where Keras has one.

    Raises
    ------
    ValueError
        If a layer has parameters that no layer of Keras has.
    """
    return [array for layer in _layers_of(model) for array in layer.as_keras()]


# ---- our side ------------------------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """One array of Keras, and the one or two parameters here that hold the same numbers."""

    parameters: dict[str, np.ndarray]
    transposed: bool = False
    swapped: int = 0  # Keras has z before r, in blocks of so many rows: how many columns one gate has
    stacked: bool = False  # whether Keras has a row for either bias

    def as_keras(self) -> np.ndarray:
        arrays = [self._swap(array) for array in self.parameters.values()]
        if self.stacked:
            return np.stack([*arrays, np.zeros_like(arrays[0])][:2])
        array = sum(arrays[1:], arrays[0])
        return np.array(array.T if self.transposed else array, order="C")

    def into_ours(self, array: np.ndarray) -> dict[str, np.ndarray]:
        """Values by name of parameter; a bias that Keras lacks is zero."""
        arrays = list(array) if self.stacked else [array.T if self.transposed else array]
        arrays = [*map(self._swap, arrays), np.zeros_like(arrays[0])]
        return dict(zip(self.parameters, arrays, strict=False))

    def _swap(self, array: np.ndarray) -> np.ndarray:
        H = self.swapped
        return np.concatenate([array[H : 2 * H], array[:H], array[2 * H :]]) if H else array


class _Layer(NamedTuple):
    """What is one layer in Keras: a module, or of a recurrent one a layer out of num_layers."""

    path: str
    kind: str
    module: Module
    parts: list[_Part]

    def as_keras(self) -> list[np.ndarray]:
        return [part.as_keras() for part in self.parts]


_KINDS = {Linear: "Dense", Embedding: "Embedding", LayerNorm: "LayerNormalization", LSTM: "LSTM", GRU: "GRU", RNN: "SimpleRNN"}


def _kind_of(module: Module) -> str | None:
    return next((kind for cls, kind in _KINDS.items() if isinstance(module, cls)), None)


def _layers_of(model: Module) -> list[_Layer]:
    state = {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}
    layers: list[_Layer] = []
    within = None  # the prefix of a Bidirectional whose layers are read together with it
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        if within is not None and prefix.startswith(within):
            continue
        if isinstance(module, Bidirectional):
            within = prefix
            layers.append(_two_directions(path, module, prefix, state))
        elif isinstance(module, RNNBase):
            layers += _recurrent(path, module, prefix, state)
        elif kind := _kind_of(module):
            own = {name: state[prefix + name] for name in ("weight", "bias") if prefix + name in state}
            parts = [_Part({prefix + name: array}, transposed=kind == "Dense") for name, array in own.items()]
            layers.append(_Layer(path or kind, kind, module, parts))
    known = {name for layer in layers for part in layer.parts for name in part.parameters}
    names = [name for name, _ in model.named_parameters() if name not in known]
    if names:
        raise ValueError(f"{names[0]}: no layer of Keras has such a parameter, expected those of {', '.join(_KINDS.values())}")
    return [layer for layer in layers if layer.parts]


def _recurrent(path: str, module: RNNBase, prefix: str, state: dict) -> Iterator[_Layer]:
    kind = str(_kind_of(module))
    for layer in range(module.num_layers):
        endings = ("", "_reverse")[: module._directions]
        parts = [part for ending in endings for part in _sweep(module, prefix, f"_l{layer}{ending}", state)]
        name = path or kind
        yield _Layer(
            f"{name}, layer {layer}" if module.num_layers > 1 else name,
            f"Bidirectional {kind}" if module.bidirectional else kind,
            module,
            parts,
        )


def _two_directions(path: str, module: Bidirectional, prefix: str, state: dict) -> _Layer:
    layers = {name: getattr(module, name) for name in ("forward_layer", "backward_layer")}
    kind = _kind_of(module.forward_layer)
    if kind is None or kind != _kind_of(module.backward_layer) or module.forward_layer.num_layers > 1:
        raise ValueError(
            f"{path or 'Bidirectional'}: Keras' has one layer per direction, expected two RNN, LSTM or GRU of one layer"
        )
    parts = [part for name, layer in layers.items() for part in _sweep(layer, f"{prefix}{name}.", "_l0", state)]
    return _Layer(path or "Bidirectional", f"Bidirectional {kind}", module, parts)


def _sweep(module: RNNBase, prefix: str, suffix: str, state: dict) -> list[_Part]:
    """The arrays of one layer in one direction: kernel, recurrent kernel and bias."""
    names = [f"{prefix}{name}{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    swapped = module.hidden_size if isinstance(module, GRU) else 0
    parts = [_Part({name: state[name]}, transposed=True, swapped=swapped) for name in names[:2]]
    biases = {name: state[name] for name in names[2:] if name in state}
    stacked = isinstance(module, GRU) and module.reset_after
    return [*parts, _Part(biases, swapped=swapped, stacked=stacked)] if biases else parts


# ---- Keras' side ---------------------------------------------------------------------------------------------------


class _KerasLayer(NamedTuple):
    name: str
    kind: str
    arrays: list[np.ndarray]
    settings: dict[str, Any]


# What reading raises that is no file of Keras, or not a whole one.
_DAMAGES = (
    OSError, KeyError, TypeError, AttributeError, RuntimeError, json.JSONDecodeError, UnicodeDecodeError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


def _layers_from(source: Any) -> list[_KerasLayer]:
    if isinstance(source, (str, Path)):
        try:
            layers = _from_file(Path(source))
        except (FileNotFoundError, PermissionError):
            raise
        except _DAMAGES as error:
            raise ValueError(
                f"{source} is damaged, or not of Keras 3, expected a .keras or .weights.h5 file; what was wrong: "
                f"{type(error).__name__}: {error}"
            ) from error
    elif hasattr(source, "get_weights"):
        layers = list(_from_live(source))
    else:
        raise TypeError(f"source is {type(source).__name__}, expected a Keras model or a path of a .keras or .weights.h5 file")
    return [layer for layer in layers if layer.arrays]


def _from_live(layer: Any) -> Iterator[_KerasLayer]:
    if hasattr(layer, "layers"):
        for each in layer.layers:
            yield from _from_live(each)
    else:
        settings = layer.get_config() if hasattr(layer, "get_config") else {}
        kind, settings = _unwrapped(type(layer).__name__, settings)
        yield _KerasLayer(layer.name, kind, layer.get_weights(), settings)


def _unwrapped(kind: str, settings: dict) -> tuple[str, dict]:
    """Kind and settings of a layer; of a Bidirectional and a TimeDistributed those of the layer inside."""
    inner = settings.get("layer")
    if kind == "TimeDistributed" and inner:
        return inner["class_name"], inner["config"]
    if kind == "Bidirectional" and inner:
        return f"Bidirectional {inner['class_name']}", inner["config"] | {"merge_mode": settings["merge_mode"]}
    return kind, settings


def _from_file(path: Path) -> list[_KerasLayer]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError('reading files of Keras needs h5py: pip install "tinyrnn[keras]"') from error
    if not zipfile.is_zipfile(path):
        with h5py.File(path) as file:
            return _from_groups(_container(file, path))
    with zipfile.ZipFile(path) as archive:
        missing = {"config.json", "model.weights.h5"} - set(archive.namelist())
        if missing:
            raise ValueError(f"{path} has no {sorted(missing)[0]}, expected a file written by model.save('....keras')")
        config = json.loads(archive.read("config.json"))["config"]
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            layers = _container(file, path)
            return list(_from_config(config["layers"], layers)) if "layers" in config else _from_groups(layers)


def _container(file: Any, path: Path) -> Any:
    if "layers" not in file:
        raise ValueError(
            f"{path} has no list of layers, expected a Sequential or functional model saved by Keras 3; pass the live model"
        )
    return file["layers"]


def _from_config(configs: list[dict], group: Any) -> Iterator[_KerasLayer]:
    """Layers in the order of the model. A group is called after its layer's class, with a number from the second on."""
    counts: dict[str, int] = {}
    for config in configs:
        class_name, settings = config["class_name"], config["config"]
        stem = _snake_case(class_name)
        number = counts[stem] = counts.get(stem, -1) + 1
        found = group.get(f"{stem}_{number}" if number else stem, {})  # the inputs of a Sequential have none
        if "layers" in settings:
            yield from _from_config(settings["layers"], found["layers"])
        else:
            kind, inner = _unwrapped(class_name, settings)
            yield _KerasLayer(settings["name"], kind, _arrays(found), inner)


def _from_groups(group: Any) -> list[_KerasLayer]:
    """Layers in the order of their numbers, which is known within each kind only: all that a .weights.h5 file tells."""
    for name, each in group.items():
        if "layers" in each and _arrays(each):
            raise ValueError(
                f"{name} is a model within the model, and a .weights.h5 file does not say in which order its layers come; "
                f"save the whole model as .keras, or pass the live model"
            )
    numbered = sorted((*_stem_and_number(name), name) for name in group)
    return [_KerasLayer(name, _kind_by_group(stem, group[name]), _arrays(group[name]), {}) for stem, _, name in numbered]


def _stem_and_number(name: str) -> tuple[str, int]:
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if number.isdecimal() else (name, 0)


_GROUPS = {"dense": "Dense", "time_distributed": "Dense", "embedding": "Embedding", "layer_normalization": "LayerNormalization"}
_BY_GATES = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}


def _kind_by_group(stem: str, group: Any) -> str:
    sweep = group.get("forward_layer", group)
    if "cell/vars/1" not in sweep:
        return _GROUPS.get(stem, stem)
    H, columns = sweep["cell/vars/1"].shape
    kind = _BY_GATES.get(columns // H, stem)
    return kind if sweep is group else f"Bidirectional {kind}"


def _arrays(group: Any) -> list[np.ndarray]:
    """What Keras' get_weights() returns of this layer: forward before backward, no states of random numbers."""
    found = [group["vars"][name][()] for name in sorted(group.get("vars", ()))]
    for name in sorted(group, key=lambda name: (name == "backward_layer", name)):
        if name not in ("vars", "seed_generator") and hasattr(group[name], "keys"):
            found += _arrays(group[name])
    return found


def _snake_case(name: str) -> str:
    """Keras' own rule: SimpleRNN is simple_rnn, LayerNormalization layer_normalization."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


# ---- both ----------------------------------------------------------------------------------------------------------


def _matched(ours: list[_Layer], theirs: list[_KerasLayer]) -> Iterator[tuple[_Layer, _KerasLayer]]:
    """Pairs of layers, those of one kind in order."""
    for kind in dict.fromkeys([layer.kind for layer in ours] + [layer.kind for layer in theirs]):
        here = [layer for layer in ours if layer.kind == kind]
        there = [layer for layer in theirs if layer.kind == kind]
        if len(here) != len(there):
            names = [", ".join(each) or "none" for each in ([layer.name for layer in there], [layer.path for layer in here])]
            raise ValueError(f"{kind}: Keras has {len(there)} ({names[0]}), expected {len(here)} as here ({names[1]})")
        yield from zip(here, there, strict=True)


def _check(ours: _Layer, theirs: _KerasLayer) -> None:
    """ValueError unless shapes and, where they are known, settings agree."""
    expected = [array.shape for array in ours.as_keras()]
    got = [tuple(np.shape(array)) for array in theirs.arrays]
    if got != expected:
        raise ValueError(
            f"{ours.path}: Keras' layer {theirs.name} has weights of shapes {_listed(got)}, expected {_listed(expected)}"
        )
    for name, value in _settings(ours.module).items():
        found = theirs.settings.get(name, value)
        if found != value:
            raise ValueError(f"{ours.path}: Keras' layer {theirs.name} has {name}={found!r}, expected {value!r}")


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes)) or "none"


def _settings(module: Module) -> dict[str, Any]:
    """Keras' names and values of what changes the result of a layer without being seen in its weights."""
    if isinstance(module, Bidirectional):
        return _settings(module.forward_layer) | {"merge_mode": module.merge_mode}
    if isinstance(module, LayerNorm):
        return {"epsilon": module.eps, "rms_scaling": False}
    if not isinstance(module, RNNBase):
        return {}
    settings = {"merge_mode": "concat", "go_backwards": False}
    if module.mode.startswith("RNN"):
        return settings | {"activation": module.mode.partition("_")[2].lower()}
    settings |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
    return settings | ({"reset_after": module.mode == "GRU"} if module.mode.startswith("GRU") else {})
