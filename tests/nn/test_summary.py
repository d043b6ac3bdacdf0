"""summary: counts, shapes, shared and frozen parameters."""

from __future__ import annotations

from tinyrnn import nn


def model():
    net = nn.Module()
    net.embedding = nn.Embedding(1000, 8)
    net.stack = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
    net.out = nn.Linear(8, 1000)
    return net


def test_counts_and_shapes():
    net = model()
    table = nn.summary(net)
    assert table.parameters == table.trainable == 8000 + 72 + 9000
    assert [row.path for row in table.rows] == ["", "embedding", "stack", "stack.0", "stack.1", "out"]
    assert table.rows[3].shapes == {"weight": (8, 8), "bias": (8,)} and table.rows[3].parameters == 72
    text = str(table)
    for part in (
        "embedding",
        "Linear",
        "9,000",
        "weight (8, 8)\n",
        "total: 17,072 parameters, 17,072 trainable",
    ):
        assert part in text


def test_shared_and_frozen_parameters():
    net = model()
    net.out.weight = net.embedding.weight
    net.stack.requires_grad_(False)
    table = nn.summary(net)
    assert table.parameters == 8000 + 72 + 1000 and table.trainable == 8000 + 1000
    assert "72 frozen" in str(table)
