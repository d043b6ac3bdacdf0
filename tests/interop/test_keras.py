"""Weights from Keras' files and models and back, against outputs that Keras computed (make_keras_fixture.py)."""

from __future__ import annotations

import json
import sys
import zipfile
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tinyrnn
from tinyrnn import nn
from tinyrnn.interop.keras import keras_weights, load_keras

FIXTURE = Path(__file__).parent / "keras_fixture"


class Classifier(nn.Module):
    """Embedding -> BiLSTM over all steps -> BiLSTM -> Dense relu -> Dense sigmoid."""

    def __init__(self, words=11, features=4, first=5, second=3, hidden=4):
        super().__init__()
        self.embedding = nn.Embedding(words, features)
        self.first = nn.LSTM(features, first, batch_first=True, bidirectional=True, single_bias=True)
        self.second = nn.Bidirectional(nn.LSTM(2 * first, second, batch_first=True, single_bias=True))
        self.hidden = nn.Linear(2 * second, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(self, words):
        _, (h, _) = self.second(self.first(self.embedding(words))[0])
        return tinyrnn.sigmoid(self.output(tinyrnn.relu(self.hidden(tinyrnn.cat([h[0], h[1]], -1)))))


class Forecaster(nn.Module):
    """LSTM -> LSTM -> Dense."""

    def __init__(self, first=6, second=4):
        super().__init__()
        self.first = nn.LSTM(1, first, batch_first=True, single_bias=True)
        self.second = nn.LSTM(first, second, batch_first=True, single_bias=True)
        self.output = nn.Linear(second, 1)

    def forward(self, x):
        return self.output(self.second(self.first(x)[0])[0][:, -1])


class Mixture(nn.Module):
    """What the others lack: GRU in both forms and directions, SimpleRNN, LayerNormalization."""

    def __init__(self, single_bias=True):
        super().__init__()
        self.before = nn.GRU(3, 5, batch_first=True, reset_after=False, single_bias=single_bias)
        self.norm = nn.LayerNorm(5, eps=1e-3)
        self.after = nn.GRU(5, 4, batch_first=True)
        self.both = nn.GRU(4, 3, batch_first=True, bidirectional=True)
        self.summed = nn.Bidirectional(nn.RNN(6, 5, batch_first=True, single_bias=single_bias), merge_mode="sum")
        self.plain = nn.RNN(5, 4, nonlinearity="relu", batch_first=True, single_bias=single_bias)
        self.output = nn.Linear(4, 2, bias=False)

    def forward(self, x):
        x = self.norm(self.before(x)[0])
        for layer in (self.after, self.both, self.summed, self.plain):
            x = layer(x)[0]
        return self.output(x)


MODELS = {"classifier": Classifier, "forecaster": Forecaster, "mixture": Mixture}


@pytest.fixture(scope="module")
def values():
    with np.load(FIXTURE / "values.npz") as file:
        return dict(file)


def weights_of(values, name):
    """What Keras' model.get_weights() returned."""
    return [array for key, array in sorted(values.items()) if key.startswith(f"{name}_weight")]


def output_of(model, values, name):
    with tinyrnn.no_grad():
        return model(tinyrnn.tensor(values[f"{name}_input"])).numpy()


def live(kind, arrays, **settings):
    """Stands in for a layer of Keras."""
    layer = type(kind, (), {})()
    layer.name, layer.get_weights, layer.get_config = f"my_{kind.lower()}", lambda: arrays, lambda: settings
    return layer


def drawn(module):
    """Every parameter of a module, as Keras would hold it, with other values."""
    rng = np.random.default_rng(1)
    return [rng.standard_normal(array.shape).astype(array.dtype) for array in keras_weights(module)]


def assert_equal(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- against what Keras computed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
@pytest.mark.parametrize("name", MODELS)
def test_files_give_the_outputs_of_keras(values, name, ending):
    pytest.importorskip("h5py")
    model = MODELS[name]()
    assert load_keras(model, FIXTURE / f"{name}.{ending}") is model
    np.testing.assert_allclose(output_of(model, values, name), values[f"{name}_output"], rtol=0, atol=1e-5)
    assert_equal(keras_weights(model), weights_of(values, name))


def test_two_biases_where_keras_has_one(values):
    pytest.importorskip("h5py")
    model = load_keras(Mixture(single_bias=False), FIXTURE / "mixture.keras")
    np.testing.assert_allclose(output_of(model, values, "mixture"), values["mixture_output"], rtol=0, atol=1e-5)
    assert not model.before.bias_hh_l0.any() and not model.plain.bias_hh_l0.any() and model.after.bias_hh_l0.any()
    model.plain.bias_hh_l0.data += 0.5
    np.testing.assert_allclose(keras_weights(model.plain)[2], model.plain.bias_ih_l0.detach().numpy() + 0.5)


def test_a_stack_takes_as_many_layers_of_keras(values):
    """The forecaster with equal sizes: num_layers=2 is two layers, and float64 takes float32."""
    arrays = [drawn(nn.LSTM(1, 4, single_bias=True)), drawn(nn.LSTM(4, 4, single_bias=True))]
    stack = load_keras(
        nn.LSTM(1, 4, num_layers=2, single_bias=True, dtype=tinyrnn.float64),
        SimpleNamespace(layers=[live("LSTM", each) for each in arrays], get_weights=None),
    )
    apart = [load_keras(nn.LSTM(n, 4, single_bias=True).double(), live("LSTM", each)) for n, each in zip((1, 4), arrays)]
    x = tinyrnn.from_numpy(np.random.default_rng(0).standard_normal((5, 2, 1)))
    np.testing.assert_allclose(stack(x)[0].detach().numpy(), apart[1](apart[0](x)[0])[0].detach().numpy())
    assert_equal(keras_weights(stack), [*chain(*arrays)])


def test_models_within_models_come_in_order(values):
    arrays = [drawn(nn.Linear(3, 3)) for _ in range(4)]
    inner = SimpleNamespace(layers=[live("Dense", arrays[1]), live("Dropout", []), live("Dense", arrays[2])], get_weights=None)
    outer = SimpleNamespace(layers=[live("Dense", arrays[0]), inner, live("Dense", arrays[3])], get_weights=None)
    model = load_keras(nn.Sequential(*[nn.Linear(3, 3) for _ in range(4)]), outer)
    assert_equal(keras_weights(model), [*chain(*arrays)])
    pytest.importorskip("h5py")
    assert_equal(keras_weights(load_keras(model, FIXTURE / "nested.keras")), weights_of(values, "nested"))


@pytest.mark.parametrize(
    "model, sizes, count", [(Classifier, (10_000, 128, 64, 32, 64), 1_424_257), (Forecaster, (64, 32), 29_345)]
)
def test_as_many_parameters_as_keras(model, sizes, count):
    model = model(*sizes)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert sum(array.size for array in keras_weights(model)) == count


def test_what_is_returned_is_nobodys_memory():
    for module in (nn.Linear(1, 3), nn.Embedding(3, 2), nn.LSTM(1, 1), nn.GRU(2, 3), nn.LayerNorm(3)):
        before = [array.copy() for array in keras_weights(module)]
        for array in keras_weights(module):
            array += 1
        assert_equal(keras_weights(module), before)


# ---- what does not fit -----------------------------------------------------------------------------------------------

TWO_WAYS = nn.LSTM(3, 4, bidirectional=True)
SUMMED = nn.Bidirectional(nn.LSTM(3, 4), merge_mode="sum")
INSIDE = {"class_name": "LSTM", "config": {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}}


@pytest.mark.parametrize(
    "module, kind, weights_like, settings, sentence",
    [
        (nn.LSTM(3, 4), "LSTM", nn.LSTM(2, 4), {}, r"^1: .* my_lstm has .*\(2, 16\).*expected \(3, 16\), \(4, 16\), \(16,\)$"),
        (nn.LSTM(3, 4, bias=False), "LSTM", nn.LSTM(3, 4), {}, r"^1: .*\(16,\), expected \(3, 16\), \(4, 16\)$"),
        (nn.LSTM(3, 4), "GRU", nn.GRU(3, 4), {}, r"^LSTM: Keras has 0 \(none\), expected 1 as here \(1\)$"),
        (nn.Linear(3, 4), "Conv1D", nn.Linear(3, 4), {}, r"^Dense: Keras has 1 \(my_dense\), expected 2 as here \(0, 1\)$"),
        (nn.Identity(), "Conv1D", nn.Linear(3, 4), {}, r"^Conv1D: Keras has 1 \(my_conv1d\), expected 0 as here \(none\)$"),
        (nn.GRU(3, 4, reset_after=False), "GRU", nn.GRU(3, 4), {}, r"^1: .*\(2, 12\), expected .*\(12,\)$"),
        (nn.GRU(3, 4, bias=False), "GRU", nn.GRU(3, 4, bias=False), {"reset_after": False}, "=False, expected True$"),
        (nn.LSTM(3, 4), "LSTM", nn.LSTM(3, 4), {"activation": "relu"}, "^1: .*activation='relu', expected 'tanh'$"),
        (nn.RNN(3, 4, 1, "relu"), "SimpleRNN", nn.RNN(3, 4), {"activation": "tanh"}, "='tanh', expected 'relu'$"),
        (nn.GRU(3, 4), "GRU", nn.GRU(3, 4), {"recurrent_activation": "hard_sigmoid"}, "'hard_sigmoid', expected 'sigmoid'$"),
        (nn.LSTM(3, 4), "LSTM", nn.LSTM(3, 4), {"go_backwards": True}, "go_backwards=True, expected False$"),
        (nn.LayerNorm(3), "LayerNormalization", nn.LayerNorm(3), {"epsilon": 1e-3}, "epsilon=0.001, expected 1e-05$"),
        (TWO_WAYS, "Bidirectional", TWO_WAYS, {"layer": INSIDE, "merge_mode": "sum"}, "merge_mode='sum', expected 'concat'$"),
        (SUMMED, "Bidirectional", SUMMED, {"layer": INSIDE, "merge_mode": "ave"}, "merge_mode='ave', expected 'sum'$"),
        (nn.LSTM(3, 4, proj_size=2), "LSTM", nn.LSTM(3, 4), {}, "^1.weight_hr_l0: no layer of Keras has such a parameter"),
        (nn.LSTMCell(3, 4), "LSTM", nn.LSTM(3, 4), {}, "^1.weight_ih: no layer of Keras has such a parameter"),
        (nn.Bidirectional(nn.LSTM(3, 4, 2)), "Bidirectional", TWO_WAYS, {}, "^1: .*two RNN, LSTM or GRU of one layer$"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_and_nothing_changes(module, kind, weights_like, settings, sentence):
    model = nn.Sequential(nn.Linear(2, 2), module)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    layer = live(kind, drawn(weights_like), **settings)
    source = SimpleNamespace(layers=[live("Dense", drawn(model[0])), layer], get_weights=None)
    with pytest.raises(ValueError, match=sentence):
        load_keras(model, source)
    assert all((a == b).all() for a, b in zip(before, model.parameters(), strict=True))


def test_the_same_layers_fit_when_nothing_is_wrong():
    """The cases above differ in one thing only."""
    for module, settings in (
        (TWO_WAYS, {"layer": INSIDE, "merge_mode": "concat"}),
        (SUMMED, {"layer": INSIDE, "merge_mode": "sum"}),
    ):
        arrays = drawn(module)
        load_keras(module, live("Bidirectional", arrays, **settings))
        assert_equal(keras_weights(module), arrays)


def rewritten(path, change):
    """The archive of the forecaster with its files, by name, changed."""
    with zipfile.ZipFile(FIXTURE / "forecaster.keras") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    change(contents)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def test_an_archive_without_weights_or_layers(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = rewritten(tmp_path / "a.keras", lambda contents: contents.pop("model.weights.h5"))
    with pytest.raises(ValueError, match=r"a\.keras has no model\.weights\.h5, expected"):
        load_keras(Forecaster(), path)

    def without_its_dense(contents):
        config = json.loads(contents["config.json"])
        del config["config"]["layers"][-1]
        contents["config.json"] = json.dumps(config)

    with pytest.raises(ValueError, match=r"^Dense: Keras has 0 \(none\), expected 1 as here \(output\)"):
        load_keras(Forecaster(), rewritten(tmp_path / "b.keras", without_its_dense))
    with h5py.File(tmp_path / "c.weights.h5", "w") as file:
        file["encoder/vars/0"] = np.zeros(3)
    with pytest.raises(ValueError, match="no list of layers, expected a Sequential or functional model"):
        load_keras(Forecaster(), tmp_path / "c.weights.h5")


def test_layers_are_ordered_by_number_random_states_are_left_out_and_models_within_models_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "many.weights.h5"
    with h5py.File(path, "w") as file:
        for number in range(12):
            file[f"layers/dense_{number}/vars/0".replace("_0/", "/")] = np.full((1, 1), float(number))
        for layer in ("dropout", "dense_1"):
            file[f"layers/{layer}/seed_generator/vars/0"] = np.zeros(2, "uint32")
    model = load_keras(nn.Sequential(*[nn.Linear(1, 1, bias=False) for _ in range(12)]), str(path))
    assert [array.item() for array in keras_weights(model)] == list(range(12))
    with h5py.File(path, "a") as file:
        file["layers/sequential/layers/dense/vars/0"] = np.zeros((1, 1))
    with pytest.raises(ValueError, match=r"sequential is a model within the model.*save the whole model as \.keras"):
        load_keras(model, path)


DAMAGES = {
    "text": lambda whole: b"no weights at all",
    "nothing": lambda whole: b"",
    "half": lambda whole: whole[: len(whole) // 2],
    "all but the end": lambda whole: whole[:-20],
    "overwritten": lambda whole: whole[:400] + bytes(len(whole) - 600) + whole[-200:],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
def test_damaged_files_are_one_sentence(ending, damage, tmp_path):
    pytest.importorskip("h5py")
    path = tmp_path / f"a.{ending}"
    path.write_bytes(DAMAGES[damage]((FIXTURE / f"forecaster.{ending}").read_bytes()))
    with pytest.raises(ValueError, match=r"(is damaged, or not of Keras 3, expected a \.keras or|^LSTM: Keras has 0)"):
        load_keras(Forecaster(), path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"config": {"layers": [{}]}}', '{"config": 1}'])
def test_a_damaged_description_is_one_sentence(text, tmp_path):
    pytest.importorskip("h5py")
    path = rewritten(tmp_path / "a.keras", lambda contents: contents.update({"config.json": text}))
    with pytest.raises(ValueError, match="is damaged, or not of Keras 3"):
        load_keras(Forecaster(), path)


def test_what_is_not_a_source():
    with pytest.raises(TypeError, match=r"source is dict, expected a Keras model or a path"):
        load_keras(nn.Linear(1, 1), {})
    pytest.importorskip("h5py")
    with pytest.raises(FileNotFoundError):
        load_keras(nn.Linear(1, 1), "nowhere.keras")


def test_missing_h5py_is_named_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r'pip install "tinyrnn\[keras\]"'):
        load_keras(Forecaster(), FIXTURE / "forecaster.keras")
