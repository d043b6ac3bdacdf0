"""Reading files of pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrnn.seq2seq.pairs import DataError, group_references, read_pairs

# Any text that can stand in a column; form feeds and U+2028 are no line ends.
columns = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\ufeff")).filter(str.strip)
rows = st.lists(st.tuples(columns, columns), min_size=1)


@pytest.fixture
def write(tmp_path: Path):
    def write_bytes(data: bytes) -> Path:
        path = tmp_path / "pairs.tsv"
        path.write_bytes(data)
        return path

    return write_bytes


@given(rows, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.sampled_from([0, 1, 3]))
def test_reads_what_was_written(tmp_path_factory, pairs, line_end: str, mark: bool, ends: int) -> None:
    text = line_end.join(f"{source}\t{target}" for source, target in pairs) + line_end * ends
    path = tmp_path_factory.getbasetemp() / "written.tsv"
    path.write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
    assert read_pairs(path) == pairs
    assert read_pairs(str(path)) == pairs


def test_spaces_stay(write) -> None:
    assert read_pairs(write(b" a \t b c \n")) == [(" a ", " b c ")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", ": expected .* lines, got a file without rows; "),
        (b"\xef\xbb\xbf\r\n \n", ": expected .* lines, got a file without rows; "),
        (b"a\tb\n\xff\xfea\tb", ", line 2: expected UTF-8 text, got the byte 0xff; "),
        (b"\xef\xbb\xbfa\tb\r\n\r\nc\t\xe9\r\n", ", line 3: expected UTF-8 text, got the byte 0xe9; "),
        (b"a\tb\nc d\n", ", line 2: .* got no tab in 'c d'; "),
        (b"a\tb\nc\td\te\n", r", line 2: .* got 3 columns in 'c\\td\\te'; "),
        (b"a\tb\n\tc\n", ", line 2: .* got an empty source; "),
        (b"a\t\n", ", line 1: .* got an empty target; "),
        (b"a\t \r\n", ", line 1: .* got an empty target; "),
        (b"a\tb\n\nc\td\n", ", line 2: .* got a blank line; "),
        (b"a\tb\r\n \r\nc\td\r\n", ", line 2: .* got a blank line; "),
        (b"a\tb\n\t\n", ", line 2: .* got an empty source; "),
        (b"x" * 1000, r", line 1: .* got no tab in 'x{60}\.\.\.'; "),
    ],
)
def test_bad_content_is_named_in_one_line(write, data: bytes, message: str) -> None:
    path = write(data)
    with pytest.raises(DataError, match=f"pairs.tsv{message}") as caught:
        read_pairs(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.tsv: expected a file .* got 'No such file"):
        read_pairs(tmp_path / "absent.tsv")
    with pytest.raises(DataError, match=r"expected a file .* got a directory"):
        read_pairs(tmp_path)


def test_data_error_is_a_value_error() -> None:
    assert issubclass(DataError, ValueError)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"))))
def test_references_are_the_rows_of_each_source_in_order(pairs: list[tuple[str, str]]) -> None:
    references = group_references(pairs)
    assert list(references) == list(dict.fromkeys(source for source, _ in pairs))
    for source, targets in references.items():
        assert targets == [target for other, target in pairs if other == source]
