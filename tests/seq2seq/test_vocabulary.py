"""Tokenisation units and the vocabulary."""

from __future__ import annotations

import json
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrnn.seq2seq.vocabulary import END, PADDING, SPECIALS, START, UNKNOWN, Vocabulary, join, split

# A small alphabet, so that tokens repeat; the specials, because data may spell like them.
tokens = st.sampled_from(["a", "b", "c", "dd", "é", " ", *SPECIALS])
corpora = st.lists(st.lists(tokens))


@given(st.text())
def test_characters_joined_are_the_text(text: str) -> None:
    assert join(split(text, "char"), "char") == text
    assert all(len(token) == 1 for token in split(text, "char"))


@given(st.text())
def test_words_joined_are_the_text_with_its_white_space_normalised(text: str) -> None:
    words = split(text, "word")
    assert join(words, "word") == " ".join(text.split())
    assert split(join(words, "word"), "word") == words


def test_unknown_unit_is_named() -> None:
    with pytest.raises(ValueError, match="expected 'char' or 'word', got 'bpe'"):
        split("text", "bpe")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected 'char' or 'word', got 'bpe'"):
        join(["text"], "bpe")  # type: ignore[arg-type]


def test_specials_have_the_first_ids() -> None:
    assert Vocabulary(["a"]).tokens == ("<pad>", "<s>", "</s>", "<unk>", "a")
    assert (PADDING, START, END, UNKNOWN) == (0, 1, 2, 3)


@given(corpora)
def test_decode_inverts_encode(corpus: list[list[str]]) -> None:
    vocabulary = Vocabulary.build(corpus)
    for sequence in corpus:
        expected = ["<unk>" if token in SPECIALS else token for token in sequence]
        assert vocabulary.decode(vocabulary.encode(sequence)) == expected


@given(corpora)
def test_text_never_encodes_to_a_control_id(corpus: list[list[str]]) -> None:
    vocabulary = Vocabulary.build(corpus)
    ids = {number for sequence in corpus for number in vocabulary.encode(sequence)}
    assert ids.isdisjoint({PADDING, START, END})


@given(corpora, st.sampled_from(["frequency", "token"]), st.integers(1, 4), st.none() | st.integers(4, 9))
def test_build_keeps_the_most_frequent_in_order(corpus, order, min_count, max_size) -> None:
    vocabulary = Vocabulary.build(corpus, order, min_count, max_size)
    counts = Counter(token for sequence in corpus for token in sequence if token not in SPECIALS)
    kept = vocabulary.tokens[len(SPECIALS) :]
    rank = {token: (-counts[token], token) for token in counts}
    assert list(kept) == sorted(kept, key=rank.get if order == "frequency" else None)

    left_out = {token for token in counts if counts[token] >= min_count} - set(kept)
    assert all(counts[token] >= min_count for token in kept)
    if max_size is None:
        assert not left_out
    else:
        assert len(vocabulary) <= max_size
        assert not left_out or len(vocabulary) == max_size
        assert all(rank[token] < rank[missed] for token in kept for missed in left_out)


@given(corpora, st.randoms(use_true_random=False))
def test_order_of_the_data_does_not_matter(corpus: list[list[str]], rng: random.Random) -> None:
    shuffled = [rng.sample(sequence, len(sequence)) for sequence in corpus]
    rng.shuffle(shuffled)
    assert Vocabulary.build(shuffled) == Vocabulary.build(corpus)


def test_build_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="expected 'frequency' or 'token', got 'random'"):
        Vocabulary.build([["a"]], order="random")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_size: expected at least 4 for the specials, got 3"):
        Vocabulary.build([["a"]], max_size=3)


@pytest.mark.parametrize("tokens", [["a", "b", "a"], ["a", "<s>"]])
def test_a_token_twice_is_refused(tokens: list[str]) -> None:
    with pytest.raises(ValueError, match=f"expected every token once, got '{tokens[-1]}' twice"):
        Vocabulary(tokens)


def test_unknown_tokens() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.encode(["b", "z", "a"]) == [5, UNKNOWN, 4]
    assert vocabulary.decode([5, UNKNOWN, 4]) == ["b", "<unk>", "a"]


@pytest.mark.parametrize("as_ids", [list, np.array], ids=["list", "array"])
def test_decode_stops_at_the_end_and_leaves_out_start_and_padding(as_ids) -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.decode(as_ids([START, 4, 5, END, 4, 4])) == ["a", "b"]
    assert vocabulary.decode(as_ids([5, 4, PADDING, PADDING])) == ["b", "a"]
    assert vocabulary.decode(as_ids([END, 99])) == []


@pytest.mark.parametrize("number", [-1, 6])
def test_decode_refuses_ids_of_another_vocabulary(number: int) -> None:
    with pytest.raises(ValueError, match=f"expected 0 to 5, got {number}"):
        Vocabulary(["a", "b"]).decode([4, number])


def test_length_and_membership() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert len(vocabulary) == 6
    assert "a" in vocabulary
    assert "z" not in vocabulary
    assert not any(special in vocabulary for special in SPECIALS)


def test_equality_is_that_of_the_numbering() -> None:
    assert Vocabulary(["a", "b"]) == Vocabulary(["a", "b"])
    assert hash(Vocabulary(["a", "b"])) == hash(Vocabulary(["a", "b"]))
    assert Vocabulary(["a", "b"]) != Vocabulary(["b", "a"])
    assert Vocabulary(["a"]) != list(Vocabulary(["a"]).tokens)


@given(corpora)
def test_survives_json(corpus: list[list[str]]) -> None:
    vocabulary = Vocabulary.build(corpus)
    copy = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert copy == vocabulary
    assert all(copy.encode(sequence) == vocabulary.encode(sequence) for sequence in corpus)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["a", "b"], "expected a list that begins with <pad>"),
        ({"tokens": []}, "expected a list that begins with <pad>"),
        ([*SPECIALS, "a", 7], "expected tokens of type str, got 7"),
        ([*SPECIALS, "a", "a"], "expected every token once, got 'a' twice"),
    ],
)
def test_from_json_refuses_other_data(data, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_json(data)
