"""docs/subset.md lists what there is: it is up to date, and what it calls PyTorch's is."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("make_subset", DOCS / "make_subset.py")
    make_subset = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_subset)
    assert make_subset.PAGE.read_text(encoding="utf-8") == make_subset.page(), "run: python docs/make_subset.py"


def test_names_without_a_star_are_pytorchs():
    pytest.importorskip("torch")
    place, unknown = "", []
    for line in (DOCS / "subset.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## torch"):
            place = line.removeprefix("## ")
        elif found := re.match(r"- `(\w+)`(\*?):", line):
            name, star = found.groups()
            if hasattr(resolve(place), name) == bool(star):
                unknown.append(f"{place}.{name}{star}")
    assert not unknown


def resolve(place):
    import importlib

    parts = place.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for name in parts[cut:]:
            thing = getattr(thing, name)
        return thing
    raise ImportError(place)
