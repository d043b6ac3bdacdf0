"""The dates task, judged by a reader that knows the two rules but none of the styles."""

from __future__ import annotations

import re
from array import array
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrnn.seq2seq.dates import STYLES, fields, make_pairs, write

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)

all_days = st.dates(FIRST, LAST)
styles = st.sampled_from(sorted(STYLES))


def read(text: str) -> date:
    """Read a date in any style; fail on text that is none, on a wrong weekday and on a wrong ordinal."""
    words = re.findall(r"[a-z]+", text.lower())
    suffixes = re.findall(r"(\d+)(st|nd|rd|th)", text)
    assert all(suffix == ordinal_suffix(int(number)) for number, suffix in suffixes)
    months = {i for i, name in enumerate(MONTHS, 1) for word in words if word in (name, name[:3])}
    weekdays = {i for i, name in enumerate(WEEKDAYS) for word in words if word in (name, name[:3])}
    assert len(words) == len(months) + len(weekdays) + len(suffixes) + sum(w in ("the", "of") for w in words)

    year, rest = read_year(text)
    numbers = [int(number) for number in re.findall(r"\d+", rest)]
    if months:
        (month,), (day,) = months, numbers
    elif re.match(r"\d{4}", text):
        month, day = numbers if len(numbers) == 2 else divmod(numbers[0], 100)
    else:
        day, month = numbers
    result = date(year, month, day)
    assert weekdays <= {(result - date(1900, 1, 1)).days % 7}  # that day was a Monday
    return result


def read_year(text: str) -> tuple[int, str]:
    """Find the year (four digits, or two after an apostrophe or at the end) and what is left of the text."""
    for pattern in (
        r"(?<!\d)((?:19|20)\d\d)(?=\d{4}$)",
        r"(?<!\d)(\d{4})(?!\d)",
        r"'(\d\d)",
        r"(?<!\d)(\d\d)$",
    ):
        if found := re.search(pattern, text):
            number = int(found[1])
            year = number if number > 99 else number + (2000 if number < 30 else 1900)
            return year, text[: found.start()] + " " + text[found.end() :]
    raise AssertionError(f"no year in {text!r}")


def ordinal_suffix(number: int) -> str:
    if number // 10 != 1 and number % 10 in (1, 2, 3):
        return ("st", "nd", "rd")[number % 10 - 1]
    return "th"


@pytest.mark.parametrize("style", STYLES)
def test_every_style_reads_back(style: str) -> None:
    # Not a multiple of a week: every weekday, month and day of the month comes by.
    day = FIRST
    while day <= LAST:
        if STYLES[style].applies_to(day):
            assert read(write(day, style)) == day
        day += timedelta(days=97)


def test_no_text_means_two_dates() -> None:
    """Exhaustive: over all styles and dates, equal texts (equal 64-bit hashes) come from equal dates."""
    hashes, counts = array("q"), []
    for ordinal in range(FIRST.toordinal(), LAST.toordinal() + 1):
        day = date.fromordinal(ordinal)
        written = fields(day)
        texts = [style.template.format_map(written) for style in STYLES.values() if style.applies_to(day)]
        hashes.extend(map(hash, texts))
        counts.append(len(texts))
    order = np.argsort(hashes)
    same_text = np.diff(np.array(hashes)[order]) == 0
    other_date = np.diff(np.repeat(np.arange(len(counts)), counts)[order]) != 0
    assert len(hashes) > 2_000_000
    assert not (same_text & other_date).any()


def test_there_are_thirty_styles_and_no_two_are_the_same() -> None:
    day = date(1998, 9, 3)
    assert len({write(day, style) for style in STYLES}) == len(STYLES) >= 30


def test_styles_are_varied() -> None:
    texts = {write(date(1998, 3, 3), style) for style in STYLES}
    examples = "1998-03-03;3 Mar 98;the 3rd of March, 1998;Tuesday 03.03.1998;March '98 3;03/03/1998;1998, March 3"
    assert set(examples.split(";")) <= texts
    assert {"TUESDAY 3 MARCH 1998", "tue 3rd mar 1998", "3/3/98"} <= texts


@given(all_days)
def test_the_case_of_a_field_is_the_case_of_its_text(day: date) -> None:
    for name, text in fields(day).items():
        if text.isalpha():
            assert (text.isupper(), text.istitle()) == (name.isupper(), name.istitle())


@given(styles)
def test_a_two_digit_year_is_declared(style: str) -> None:
    text = write(date(1998, 3, 3), style)
    assert STYLES[style].two_digit_year == ("1998" not in text)


@given(styles, all_days)
def test_a_style_without_century_applies_from_1930_to_2029(style: str, day: date) -> None:
    applies = not STYLES[style].two_digit_year or 1930 <= day.year <= 2029
    assert STYLES[style].applies_to(day) == applies
    if not applies:
        with pytest.raises(ValueError, match=f"from 1930 to 2029 .* got {day}"):
            write(day, style)


@pytest.mark.parametrize("day", [FIRST - timedelta(days=1), LAST + timedelta(days=1)])
def test_write_refuses_other_centuries(day: date) -> None:
    with pytest.raises(ValueError, match=f"from 1900 to 2099 .* got {day}"):
        write(day, "day Month year")


def test_write_names_an_unknown_style() -> None:
    with pytest.raises(ValueError, match="got 'stardate'"):
        write(FIRST, "stardate")


def test_the_locale_has_no_say() -> None:
    class Unlocalised(date):
        """A date that cannot be formatted by the C library, which follows the locale."""

        def strftime(self, _: str) -> str:
            raise AssertionError("strftime follows the locale")

        __format__ = strftime

    for style in STYLES:
        assert write(Unlocalised(1998, 3, 3), style) == write(date(1998, 3, 3), style)


@settings(deadline=None)
@given(st.integers(0, 3))
def test_held_out_dates_never_occur_in_training(seed: int) -> None:
    train, dev = make_pairs(n_train=5_000, seed=seed)
    held_out = {target for _, target in dev}
    assert len(dev) == len(held_out) == 1000
    assert len(train) == 5_000
    assert held_out.isdisjoint(target for _, target in train)
    assert held_out.isdisjoint(read(text).isoformat() for text, _ in train)


def test_pairs_are_right() -> None:
    train, dev = make_pairs(n_train=5_000)
    for text, target in train + dev:
        assert read(text).isoformat() == target


def test_training_covers_every_style_and_year() -> None:
    train, _ = make_pairs(n_train=20_000)
    texts = {text for text, _ in train}
    for name, style in STYLES.items():
        assert any(write(day, name) in texts for day in dates_of(train) if style.applies_to(day)), name
    assert {day.year for day in dates_of(train)} == set(range(1900, 2100))


def dates_of(pairs: list[tuple[str, str]]) -> list[date]:
    return [date.fromisoformat(target) for _, target in pairs]


def test_pairs_follow_from_the_seed() -> None:
    train, dev = make_pairs(n_train=100, seed=1)
    assert make_pairs(n_train=100, seed=1) == (train, dev)
    assert make_pairs(n_train=50, seed=1) == (train[:50], dev)
    other_train, other_dev = make_pairs(n_train=100, seed=2)
    assert other_train != train
    assert other_dev == dev
