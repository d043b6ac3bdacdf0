"""The built-in task: dates as people write them in, ISO 8601 dates out.

``the 3rd of March, 1998`` becomes ``1998-03-03``. Dates run from 1900-01-01 to 2099-12-31, in English
whatever the locale. Two rules make every text mean one date:

- day before month wherever only the order could tell, so ``03/04/1998`` is the 3rd of April;
- a two-digit year from 00 to 29 is 2000 to 2029, one from 30 to 99 is 1930 to 1999. Styles with a
  two-digit year are therefore written for dates of 1930 to 2029 only.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date
from typing import Final

YEARS: Final = range(1900, 2100)
TWO_DIGIT_YEARS: Final = range(1930, 2030)
HELD_OUT: Final = 1000

# Written out because strftime and calendar follow the locale.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

Pair = tuple[str, str]

_TEMPLATES = (
    # Year first.
    "{year}-{mm}-{dd}",
    "{year}/{mm}/{dd}",
    "{year}.{mm}.{dd}",
    "{year} {mm} {dd}",
    "{year}{mm}{dd}",
    "{year}-{m}-{day}",
    "{year}-{Mon}-{dd}",
    "{year} {Month} {day}",
    "{year}, {Month} {day}",
    "{year} {mon} {nth}",
    # Numbers, day first.
    "{dd}/{mm}/{year}",
    "{dd}.{mm}.{year}",
    "{dd}-{mm}-{year}",
    "{dd} {mm} {year}",
    "{day}/{m}/{year}",
    "{day}.{m}.{year}",
    "{dd}/{mm}/{yy}",
    "{dd}.{mm}.{yy}",
    "{day}/{m}/{yy}",
    "{day}-{m}-{yy}",
    "{Weekday} {dd}.{mm}.{year}",
    "{Wkd} {dd}/{mm}/{year}",
    "{wkd} {day}/{m}/{yy}",
    # Month by name, day first.
    "{day} {Month} {year}",
    "{day} {month} {year}",
    "{day} {Mon} {year}",
    "{dd} {MON} {year}",
    "{dd}-{Mon}-{year}",
    "{dd}{MON}{year}",
    "{day}/{mon}/{year}",
    "{day}. {Month} {year}",
    "{nth} {Month} {year}",
    "{nth} of {Month} {year}",
    "the {nth} of {Month}, {year}",
    "THE {day} OF {MONTH} {year}",
    "{day} {Mon} {yy}",
    "{dd}-{MON}-{yy}",
    "{day} {Month} '{yy}",
    "{nth} of {month} '{yy}",
    "{Weekday}, {day} {Month} {year}",
    "{Weekday} the {nth} of {Month} {year}",
    "{Weekday}, {nth} {Month} '{yy}",
    "{WEEKDAY} {day} {MONTH} {year}",
    "{Wkd}, {dd} {Mon} {year}",
    "{wkd} {nth} {mon} {year}",
    # Month by name, month first.
    "{Month} {day}, {year}",
    "{Month} {day} {year}",
    "{month} {nth}, {year}",
    "{Month} the {nth}, {year}",
    "{MONTH} {day}, {year}",
    "{Mon} {day}, {year}",
    "{Mon}-{dd}-{year}",
    "{Mon} {nth} '{yy}",
    "{Month} '{yy} {day}",
    "{Weekday}, {Month} {day}, {year}",
    "{weekday}, {month} {nth} {year}",
    "{Wkd} {Mon} {day} {year}",
    "{WKD} {MON} {dd} '{yy}",
)


def fields(day: date) -> dict[str, str]:
    """Give what the fields of a template become; the case of a field is the case of what it becomes."""
    month, weekday = _MONTHS[day.month - 1], _WEEKDAYS[day.weekday()]
    return {
        "day": f"{day.day}",
        "dd": f"{day.day:02}",
        "nth": _ordinal(day.day),
        "m": f"{day.month}",
        "mm": f"{day.month:02}",
        "Month": month,
        "MONTH": month.upper(),
        "month": month.lower(),
        "Mon": month[:3],
        "MON": month[:3].upper(),
        "mon": month[:3].lower(),
        "year": f"{day.year}",
        "yy": f"{day.year % 100:02}",
        "Weekday": weekday,
        "WEEKDAY": weekday.upper(),
        "weekday": weekday.lower(),
        "Wkd": weekday[:3],
        "WKD": weekday[:3].upper(),
        "wkd": weekday[:3].lower(),
    }


def _ordinal(number: int) -> str:
    suffix = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


@dataclass(frozen=True)
class Style:
    """One way to write a date; called with a date, it gives the text.

    Attributes
    ----------
    template : str
        The text with its fields in braces, such as ``{day} {Mon} {yy}``.
    """

    template: str

    @property
    def name(self) -> str:
        """The template without the braces."""
        return self.template.replace("{", "").replace("}", "")

    @property
    def two_digit_year(self) -> bool:
        """Whether the century is left out."""
        return "{yy}" in self.template

    def applies_to(self, day: date) -> bool:
        """Whether the text of this date can be read back as this date."""
        return day.year in (TWO_DIGIT_YEARS if self.two_digit_year else YEARS)

    def __call__(self, day: date) -> str:
        """Write the date without asking whether the style applies to it."""
        return self.template.format_map(fields(day))


STYLES: Final[dict[str, Style]] = {style.name: style for style in map(Style, _TEMPLATES)}
"""All styles by name: the order of the fields, such as ``day Mon yy``."""


def write(day: date, style: str) -> str:
    """Write a date in the style of this name.

    Raises
    ------
    ValueError
        If there is no such style, the date is outside 1900 to 2099, or the style leaves out the century
        and the year is outside 1930 to 2029.
    """
    if style not in STYLES:
        raise ValueError(f"style: expected a name in STYLES such as 'day Mon yy', got {style!r}; choose one")
    if not STYLES[style].applies_to(day):
        years = TWO_DIGIT_YEARS if STYLES[style].two_digit_year else YEARS
        raise ValueError(
            f"date: expected a year from {years.start} to {years.stop - 1} for the style {style!r}, "
            f"got {day.isoformat()}; choose another style or date"
        )
    return STYLES[style](day)


def make_pairs(n_train: int = 50_000, seed: int = 0) -> tuple[list[Pair], list[Pair]]:
    """Make the pairs (text, ISO date) to train on and to validate with.

    1,000 dates are held out and never occur in training, in any style. They and their texts are the same
    for every seed, so that models of different seeds compare, and none has seen what another is validated
    with.

    Parameters
    ----------
    n_train : int
        Training pairs: dates drawn with replacement, each in a random style that applies to it. The pairs of
        a shorter list are the first pairs of a longer one.
    seed : int
        Seed of the training pairs.

    Returns
    -------
    train, dev : list of (str, str)
        `n_train` pairs, and one for each of the held-out dates.
    """
    ordinals = range(date(YEARS.start, 1, 1).toordinal(), date(YEARS.stop, 1, 1).toordinal())
    fixed = random.Random("held-out dates")
    held_out = fixed.sample(ordinals, HELD_OUT)
    dev = [_make_pair(ordinal, fixed) for ordinal in held_out]
    trainable = sorted(set(ordinals).difference(held_out))
    rng = random.Random(seed)
    train = [_make_pair(rng.choice(trainable), rng) for _ in range(n_train)]
    return train, dev


def _make_pair(ordinal: int, rng: random.Random) -> Pair:
    day = date.fromordinal(ordinal)
    styles = tuple(STYLES.values())
    while not (style := rng.choice(styles)).applies_to(day):
        pass
    return style(day), day.isoformat()
