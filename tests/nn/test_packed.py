"""Packed sequences: equal to PyTorch's, and to the same layer with lengths=; padding is never looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyrnn
from tinyrnn import nn
from tinyrnn.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)  # fmt: skip

LENGTHS = [3, 6, 1, 5]


def padded_batch(lengths, features=4, batch_first=False, poison=np.nan):
    """Random sequences with NaN behind their ends."""
    rng = np.random.default_rng(sum(lengths))
    x = rng.normal(size=(max(lengths) + 1, len(lengths), features))
    for b, length in enumerate(lengths):
        x[length:, b] = poison
    return x.transpose(1, 0, 2).copy() if batch_first else x


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [LENGTHS, [6, 5, 5, 2], [4, 4], [1]])
@pytest.mark.parametrize("padding_value", [0.0, -1.5])
def test_packing_and_padding_are_pytorchs(batch_first, lengths, padding_value):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.utils.rnn
    x = padded_batch(lengths, batch_first=batch_first, poison=7.0)
    ours = pack_padded_sequence(tinyrnn.tensor(x), lengths, batch_first, enforce_sorted=False)
    right = theirs.pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), batch_first, enforce_sorted=False)
    np.testing.assert_array_equal(ours.batch_sizes.numpy(), right.batch_sizes.numpy())
    assert ours.batch_sizes.dtype == tinyrnn.int64
    if len(set(lengths)) == len(lengths):  # the order of equal lengths is not fixed
        for a, b in zip(ours, right, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    for total in (None, 9):
        for a, b in zip(
            pad_packed_sequence(ours, batch_first, padding_value, total),
            theirs.pad_packed_sequence(right, batch_first, padding_value, total),
            strict=True,
        ):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=6), batch_first=st.booleans())
def test_there_and_back(lengths, batch_first):
    x = tinyrnn.tensor(padded_batch(lengths, batch_first=batch_first), requires_grad=True)
    packed = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    back, found = pad_packed_sequence(packed, batch_first, total_length=max(lengths) + 1)
    assert found.tolist() == lengths
    np.testing.assert_array_equal(back.detach().numpy(), np.nan_to_num(x.detach().numpy()))
    back.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), ~np.isnan(x.detach().numpy()))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("enforce_sorted", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_layers_on_packed_sequences_are_those_with_lengths(kind, enforce_sorted, with_state):
    lengths = sorted(LENGTHS, reverse=True) if enforce_sorted else LENGTHS
    layer = getattr(nn, kind)(4, 5, num_layers=2, bidirectional=True, dtype=tinyrnn.float64)
    data = padded_batch(lengths)
    states = [tinyrnn.randn(4, len(lengths), 5, dtype=tinyrnn.float64, requires_grad=True) for _ in range(2)]
    hx = None if not with_state else tuple(states) if kind == "LSTM" else states[0]

    def run(call):
        x = tinyrnn.tensor(data, requires_grad=True)
        output, final = call(x)
        final = final if kind == "LSTM" else (final,)
        weights = tinyrnn.arange(float(output.numel()), dtype=tinyrnn.float64).reshape(output.shape).cos()
        loss = (output * weights).sum() + sum((each**2).sum() for each in final)
        wanted = [x, *layer.parameters(), *(states[: len(final)] if with_state else [])]
        return [output, *final, *tinyrnn.autograd.grad(loss, wanted)]

    def packed(x):
        output, final = layer(pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted), hx)
        assert isinstance(output, PackedSequence)
        return pad_packed_sequence(output, total_length=len(data))[0], final

    for a, b in zip(run(packed), run(lambda x: layer(x, hx, lengths=lengths)), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_lists_of_sequences():
    sequences = [tinyrnn.randn(length, 2) for length in (2, 4, 1)]
    left = pad_sequence(sequences, batch_first=True, padding_value=9.0, padding_side="left")
    assert left.shape == (3, 4, 2) and (left[0, :2] == 9).all() and tinyrnn.equal(left[0, 2:], sequences[0])
    padded = pad_sequence(sequences)
    assert padded.shape == (4, 3, 2)
    for unpadded in (unpad_sequence(padded, [2, 4, 1]), unpack_sequence(pack_sequence(sequences, enforce_sorted=False))):
        assert all(tinyrnn.equal(a, b) for a, b in zip(unpadded, sequences, strict=True))


def test_a_packed_sequence_is_a_tuple_that_converts():
    packed = pack_sequence([tinyrnn.ones(3, 2), tinyrnn.ones(1, 2)])
    _, batch_sizes, order, inverse = packed
    assert (order, inverse) == (None, None) and batch_sizes.tolist() == [2, 1, 1]
    assert packed.double().data.dtype == tinyrnn.float64 and packed.to(tinyrnn.float32) is packed
    assert not packed.is_cuda and packed.cpu() is packed


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda x: pack_padded_sequence(x, [1, 2, 3, 4]), RuntimeError, "sorted in decreasing order when `enforce_sorted`"),
        (lambda x: pack_padded_sequence(x, [4, 0, 0, 0]), RuntimeError, "greater than 0.*lengths="),
        (lambda x: pack_padded_sequence(x, [8, 1, 1, 1]), RuntimeError, "at most 7.*got 8"),
        (lambda x: pack_padded_sequence(x, [3, 2]), ValueError, r"expected 4 lengths.*got shape \(2,\)"),
        (lambda x: pack_padded_sequence(x, [1] * 7), ValueError, "batch_first=True"),
        (lambda x: pack_padded_sequence(x, [1.5, 1, 1, 1]), TypeError, "integers, got float64"),
        (lambda x: pack_padded_sequence([1], [1]), TypeError, "as a tensor, got list"),
        (lambda x: pad_packed_sequence(x), TypeError, "expected a PackedSequence, got Tensor"),
        (lambda x: pad_packed_sequence(pack_sequence([x[:5, 0]]), total_length=4), ValueError, "total_length=4 and max.* 5"),
        (lambda x: pad_sequence([]), RuntimeError, "at least one tensor"),
        (lambda x: pad_sequence([x], padding_side="top"), RuntimeError, "got top"),
        (lambda x: unpad_sequence(x, [1]), ValueError, "expected 4 lengths"),
        (lambda x: PackedSequence(x), ValueError, "batch_sizes are missing"),
        (lambda x: nn.LSTM(9, 3)(pack_padded_sequence(x, [1] * 4)), RuntimeError, r"lstm|LSTM: .*\(rows, input_size=9\)"),
        (lambda x: nn.GRU(4, 3)(pack_padded_sequence(x, [1] * 4), lengths=[1] * 4), TypeError, "leave out lengths="),
        (lambda x: nn.GRU(4, 3)(pack_padded_sequence(x.double(), [1] * 4)), ValueError, "float64, expected .*float32"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_a_sentence(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call(tinyrnn.ones(7, 4, 4))
