"""The model: teacher forcing and stepping agree, padding has no influence, and PyTorch computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinyrnn.engine.base import wrap
from tinyrnn.grad_modes import no_grad
from tinyrnn.ops.softmax import log_softmax
from tinyrnn.random import manual_seed
from tinyrnn.seq2seq import Codec, Seq2Seq, Vocabulary
from tinyrnn.seq2seq.batching import pad
from tinyrnn.seq2seq.vocabulary import END, PADDING, START
from tinyrnn.training.data import EncodedPairs
from tinyrnn.training.evaluation import batch_loss

SIDE = Codec("char", Vocabulary("abcdefgh"))
SOURCES = [[4, 5, 6], [7], [11, 10, 9, 8, 7], [5, 5]]
TARGETS = [[START, 5, 6, 7], [START, 4, 4, 11], [START, 8, 9, 10], [START, 6, 6, 6]]

cells = pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
attentions = pytest.mark.parametrize("attention", ["general", "dot", "additive"])


def make_model(seed: int = 1, **options: Any) -> Seq2Seq:
    manual_seed(seed)
    model = Seq2Seq(SIDE, SIDE, **{"embed": 5, "hidden": 7, "layers": 2, **options})
    return model.double().eval()


def sources_of(sources: list[list[int]]) -> tuple[Any, Any]:
    ids, lengths = pad(sources, PADDING)
    return wrap(ids), wrap(lengths)


def run(model: Seq2Seq, sources: list[list[int]], targets: list[list[int]]) -> np.ndarray:
    with no_grad():
        return model(*sources_of(sources), wrap(np.array(targets))).numpy()


@cells
@attentions
def test_teacher_forcing_gives_what_stepping_gives(cell: str, attention: str) -> None:
    model = make_model(cell=cell, attention=attention)
    forced = log_softmax(wrap(run(model, SOURCES, TARGETS)), -1).numpy()
    with no_grad():
        memory = model.encode(*sources_of(SOURCES))
        state = memory.state
        for t in range(len(TARGETS[0])):
            token = wrap(np.array([target[t] for target in TARGETS]))
            log_probs, state, weights = model.decode_step(token, state, memory)
            np.testing.assert_allclose(log_probs.numpy(), forced[:, t], rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(weights.numpy().sum(-1), 1, rtol=1e-12)


@cells
def test_a_step_changes_nothing_it_is_given(cell: str) -> None:
    model = make_model(cell=cell)
    with no_grad():
        memory = model.encode(*sources_of(SOURCES))
        token = wrap(np.array([4, 5, 6, 7]))
        first = model.decode_step(token, memory.state, memory)[0].numpy().copy()
        model.decode_step(wrap(np.array([9, 9, 9, 9])), memory.state, memory)
        np.testing.assert_array_equal(model.decode_step(token, memory.state, memory)[0].numpy(), first)


@cells
@attentions
def test_a_ragged_batch_gives_what_its_rows_give_alone(cell: str, attention: str) -> None:
    model = make_model(cell=cell, attention=attention)
    together = run(model, SOURCES, TARGETS)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        np.testing.assert_allclose(run(model, [source], [target])[0], together[row], rtol=1e-10, atol=1e-12)


def test_what_stands_in_the_padding_reaches_nothing() -> None:
    model = make_model()
    before = run(model, SOURCES, TARGETS)
    model.encoder.embedding.weight.array[PADDING] = np.nan
    np.testing.assert_array_equal(run(model, SOURCES, TARGETS), before)


@cells
@attentions
def test_every_weight_learns_and_padding_does_not(cell: str, attention: str) -> None:
    model = make_model(cell=cell, attention=attention)
    batch = EncodedPairs([("abc", "dcba"), ("h", "g"), ("efg", "ab")], model).batch(np.arange(3))
    batch_loss(model, batch).backward()
    for name, parameter in model.named_parameters():
        gradient = parameter.grad.numpy()
        assert np.isfinite(gradient).all() and gradient.any(), name
    for embedding in (model.encoder.embedding, model.decoder.embedding):
        assert not embedding.weight.grad.numpy()[PADDING].any()


def test_padded_labels_do_not_count_in_the_loss() -> None:
    model = make_model()
    pairs = EncodedPairs([("abc", "dcbaab"), ("h", "g")], model)
    together, *alone = (pairs.batch(np.array(rows)) for rows in ([0, 1], [0], [1]))
    assert together.size == 9
    assert together.labels.numpy()[1].tolist() == [SIDE.encode("g")[0], END, *[PADDING] * 5]
    losses = [batch_loss(model, batch).item() for batch in (together, *alone)]
    assert losses[0] == pytest.approx((losses[1] * 7 + losses[2] * 2) / 9)


def test_pytorch_computes_the_same() -> None:
    torch = pytest.importorskip("torch")
    nn, utils = torch.nn, torch.nn.utils.rnn
    model = make_model()
    tensors = {name: torch.from_numpy(tensor.numpy().copy()) for name, tensor in model.state_dict().items()}
    encoder = nn.LSTM(5, 7, 2, batch_first=True, bidirectional=True).double()
    decoder = nn.LSTM(5, 14, 2, batch_first=True).double()
    for layer, prefix in ((encoder, "encoder.rnn."), (decoder, "decoder.rnn.")):
        layer.load_state_dict({name: tensors[prefix + name] for name in layer.state_dict()})
    ids, lengths = pad(SOURCES, PADDING)
    with torch.no_grad():
        embedded = tensors["encoder.embedding.weight"][torch.from_numpy(ids)]
        packed = utils.pack_padded_sequence(embedded, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False)
        values, state = encoder(packed)
        values, _ = utils.pad_packed_sequence(values, batch_first=True)
        state = tuple(torch.cat([each[0::2], each[1::2]], 2) for each in state)
        outputs, _ = decoder(tensors["decoder.embedding.weight"][torch.tensor(TARGETS)], state)
        scores = outputs @ (values @ tensors["decoder.attention.key_projection.weight"].T).transpose(1, 2)
        mask = torch.from_numpy(ids != PADDING)[:, None]
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        both = torch.cat([weights @ values, outputs], -1)
        joined = both @ tensors["decoder.combine.weight"].T + tensors["decoder.combine.bias"]
        logits = joined.tanh() @ tensors["decoder.output.weight"].T + tensors["decoder.output.bias"]
    np.testing.assert_allclose(run(model, SOURCES, TARGETS), logits.numpy(), rtol=1e-9, atol=1e-11)


@cells
@attentions
def test_rebuilt_from_json(cell: str, attention: str) -> None:
    model = make_model(cell=cell, attention=attention, layers=1, dropout=0.0, max_length=9)
    again = Seq2Seq.from_json(model.to_json())
    assert again.to_json() == model.to_json()
    assert again.max_length == 9
    shapes = [{name: tuple(tensor.shape) for name, tensor in each.state_dict().items()} for each in (model, again)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "hidden: expected a whole number of at least 1, got 0"),
        ({"layers": 1.5}, "layers: expected a whole number"),
        ({"cell": "qrnn"}, "cell: expected one of lstm, gru, rnn, got 'qrnn'"),
        ({"attention": "none"}, "attention: expected one of general, dot, additive"),
        ({"dropout": 1}, "dropout: expected a probability"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_model(**options)
    with pytest.raises(ValueError, match=message):
        Seq2Seq.from_json({**make_model().to_json(), **options})


@pytest.mark.parametrize("change", [{"source": 3}, {"gates": 4}, {"source": {"unit": "char", "vocabulary": ["a"]}}])
def test_other_json_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Seq2Seq.from_json({**make_model().to_json(), **change})
    with pytest.raises(ValueError, match="expected"):
        Seq2Seq.from_json({"hidden": 3})


def test_codec() -> None:
    words = Codec.build(["b a", "a c a"], "word")
    assert words.decode([*words.encode("a c"), END, *words.encode("b")]) == "a c"
    assert words.unknown("a x c y x") == ["x", "y"]
    assert Codec.from_json(words.to_json()) == words
