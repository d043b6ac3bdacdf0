"""Files of source<TAB>target lines: what a seq2seq model learns from."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable
from pathlib import Path

_FORMAT = "'source<TAB>target'"
_LONGEST_QUOTE = 60


class DataError(ValueError):
    """A data file that cannot be used; the message says where, what was expected, what came, and the fix."""


def read_pairs(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    r"""Read a UTF-8 file with one ``source<TAB>target`` row per line.

    Lines may end in LF or CRLF; the file may begin with a byte-order mark and end in blank lines. The texts
    come back exactly as they stand, spaces included.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    list of (str, str)
        The rows (source, target) in the order of the file.

    Raises
    ------
    DataError
        If the file is missing, unreadable, a directory, not UTF-8 or without rows; or if a line is blank, has
        not exactly two columns, or has nothing but white space in one of them.
    """
    name = os.fspath(path)
    lines = _decode(_read_bytes(name), name).split("\n")
    while lines and not lines[-1].strip(" \r"):
        lines.pop()
    if not lines:
        raise DataError(f"{name}: expected {_FORMAT} lines, got a file without rows; write at least one")
    return [_parse(line.removesuffix("\r"), f"{name}, line {n}") for n, line in enumerate(lines, 1)]


def group_references(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Collect the accepted targets of each source; sources and targets keep their order.

    A source that stands in several rows has several accepted targets, as a word with several pronunciations
    does.
    """
    references: dict[str, list[str]] = {}
    for source, target in pairs:
        references.setdefault(source, []).append(target)
    return references


def _read_bytes(name: str) -> bytes:
    # Asked beforehand because Windows reports a directory as a lack of permission.
    if os.path.isdir(name):
        raise DataError(f"{name}: expected a file of {_FORMAT} lines, got a directory; name a file in it")
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise DataError(
            f"{name}: expected a file of {_FORMAT} lines, got '{error.strerror}'; check the path and its permissions"
        ) from error


def _decode(data: bytes, name: str) -> str:
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: expected UTF-8 text, got the byte 0x{data[error.start]:02x}; save the file as UTF-8"
        ) from error


def _parse(line: str, where: str) -> tuple[str, str]:
    expected = f"{where}: expected {_FORMAT}"
    if not line.strip(" "):
        raise DataError(f"{expected}, got a blank line; delete it (only the file may end in blank lines)")
    columns = line.split("\t")
    if len(columns) == 1:
        raise DataError(f"{expected}, got no tab in {_quote(line)}; put a tab between source and target")
    if len(columns) > 2:
        raise DataError(f"{expected}, got {len(columns)} columns in {_quote(line)}; leave one tab")
    source, target = columns
    for side, text in (("source", source), ("target", target)):
        if not text.strip():
            raise DataError(f"{expected}, got an empty {side}; fill it in or delete the line")
    return source, target


def _quote(line: str) -> str:
    return repr(line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + "...")
