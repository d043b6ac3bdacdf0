"""Writes the fixture of test_keras.py with Keras 3, and compares two models of full size with ours:

KERAS_BACKEND=torch python tests/interop/make_keras_fixture.py
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers as L
from test_keras import FIXTURE, MODELS, Classifier, Forecaster

import tinyrnn
from tinyrnn.interop.keras import keras_weights, load_keras


def classifier(words=11, features=4, first=5, second=3, hidden=4, name="reviews"):
    return keras.Sequential(
        [
            keras.Input((None,)),
            L.Embedding(words, features),
            L.Bidirectional(L.LSTM(first, return_sequences=True)),
            L.Dropout(0.2),
            L.Bidirectional(L.LSTM(second)),
            L.Dense(hidden, activation="relu", name="a_name_of_its_own"),
            L.Dense(1, activation="sigmoid"),
        ],
        name=name,
    )


def forecaster(first=6, second=4):
    return keras.Sequential([keras.Input((None, 1)), L.LSTM(first, return_sequences=True), L.LSTM(second), L.Dense(1)])


def mixture():
    x = keras.Input((None, 3))
    y = L.LayerNormalization()(L.GRU(5, reset_after=False, return_sequences=True)(x))
    y = L.Bidirectional(L.GRU(3, return_sequences=True))(L.GRU(4, return_sequences=True, dropout=0.1)(y))
    y = L.Bidirectional(L.SimpleRNN(5, return_sequences=True), merge_mode="sum")(y)
    y = L.SimpleRNN(4, activation="relu", return_sequences=True)(y)
    return keras.Model(x, L.TimeDistributed(L.Dense(2, use_bias=False))(y))


def nested():
    inner = keras.Sequential([L.Dense(3), L.Dropout(0.1), L.Dense(3)])
    return keras.Sequential([keras.Input((3,)), L.Dense(3), inner, L.Dense(3)])


def with_random_weights(model, rng, scale):
    """Biases and scales too: those of a new model are zeros and ones, which hide what is mixed up."""
    model.set_weights([rng.uniform(-scale, scale, w.shape).astype("float32") for w in model.get_weights()])
    return model


def weights_by_name(name, model):
    return {f"{name}_weight_{i:02}": weight for i, weight in enumerate(model.get_weights())}


def write_fixture(rng):
    FIXTURE.mkdir(exist_ok=True)
    inputs = {
        "classifier": rng.integers(0, 11, (3, 7)),
        "forecaster": rng.standard_normal((3, 7, 1)).astype("float32"),
        "mixture": rng.standard_normal((3, 7, 3)).astype("float32"),
    }
    made = {"classifier": classifier(), "forecaster": forecaster(), "mixture": mixture()}
    values = {}
    for name, model in made.items():
        with_random_weights(model, rng, 1.1)
        model.save(FIXTURE / f"{name}.keras")
        compress(FIXTURE / f"{name}.keras")
        model.save_weights(FIXTURE / f"{name}.weights.h5")
        values |= {f"{name}_input": inputs[name], f"{name}_output": model.predict(inputs[name], verbose=0)}
        values |= weights_by_name(name, model)
        compare(f"small {name}", model, MODELS[name](), inputs[name])
    model = with_random_weights(nested(), rng, 1.0)
    model.save(FIXTURE / "nested.keras")
    compress(FIXTURE / "nested.keras")
    values |= weights_by_name("nested", model)
    np.savez_compressed(FIXTURE / "values.npz", **values)


def compress(path):
    """Pack an archive anew: Keras' are not compressed, and most of it is the empty space of HDF5."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def compare(name, theirs, ours, x):
    """Print how far outputs lie apart with Keras' weights in our model, from every kind of source and back."""
    expected = theirs.predict(x, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, file) for file in ("model.keras", "model.weights.h5")]
        theirs.save(files[0])
        theirs.save_weights(files[1])
        differences = []
        for source in (theirs, *files):
            load_keras(ours, source)
            with tinyrnn.no_grad():
                differences.append(np.abs(ours(tinyrnn.tensor(x)).numpy() - expected).max())
    weights = theirs.get_weights()
    exact = all(np.array_equal(a, b) for a, b in zip(weights, keras_weights(ours), strict=True))
    for parameter in ours.parameters():  # other values of ours, into Keras
        parameter.data = parameter.data * 0.9 + 0.01
    theirs.set_weights(keras_weights(ours))
    with tinyrnn.no_grad():
        back = np.abs(ours(tinyrnn.tensor(x)).numpy() - theirs.predict(x, verbose=0)).max()
    theirs.set_weights(weights)
    counts = theirs.count_params(), sum(p.numel() for p in ours.parameters())
    print(f"{name}: parameters {counts[0]:,} and {counts[1]:,}, outputs {expected.min():.3f} to {expected.max():.3f}")
    print("  differences: live, .keras, .weights.h5", *[f"{difference:.1e}" for difference in differences], end=", ")
    print(f"the way back {back:.1e}; weights come back equal: {exact}")


def main():
    rng = np.random.default_rng(0)
    write_fixture(rng)
    reviews = with_random_weights(classifier(10_000, 128, 64, 32, 64), rng, 0.4)
    compare("classifier of full size", reviews, Classifier(10_000, 128, 64, 32, 64), rng.integers(0, 10_000, (8, 100)))
    series = with_random_weights(forecaster(64, 32), rng, 0.4)
    compare("forecaster of full size", series, Forecaster(64, 32), rng.standard_normal((8, 60, 1)).astype("float32"))
    print(f"fixture: {sum(file.stat().st_size for file in Path(FIXTURE).iterdir()):,} bytes")


if __name__ == "__main__":
    main()
