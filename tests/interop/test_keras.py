"""Weights from Keras' files and models and back, against outputs that Keras computed (make_keras_fixture.py)."""

from __future__ import annotations

import io
import json
import sys
import zipfile
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
