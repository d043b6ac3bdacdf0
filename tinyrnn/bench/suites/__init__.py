"""The cases, one module per subject; each has ``cases()``, the list of its own."""

from __future__ import annotations

import importlib
from typing import Final

from tinyrnn.bench import SUITES, BenchError
from tinyrnn.bench.cases import Case

_MODULES: Final = {
    "recurrent": "recurrent",
    "packed": "packed",
    "bidirectional": "bidirectional",
    "gemm": "gemm",
    "step": "step",
    "long": "long",
    "denormals": "denormals",
    "options": "options",
    "double": "double",
    "memory": "memory",
    "import": "startup",
    "ops": "ops",
    "small": "small",
    "g2p": "g2p",
}


def cases_of(suites: list[str], text: str = "") -> list[Case]:
    """The cases of these suites, in the order of `SUITES`.

    Parameters
    ----------
    suites : list of str
        All of them if empty.
    text : str
        Only cases whose suite and name contain each of its words, in any case of letters.

    Raises
    ------
    BenchError
        If there is no such suite, or no such case in them.
    """
    unknown = [name for name in suites if name not in SUITES]
    if unknown:
        raise BenchError(f"SUITE: expected some of {', '.join(SUITES)}, got {unknown[0]!r}")
    words = text.lower().split()
    found: list[Case] = []
    for suite in SUITES:
        if not suites or suite in suites:
            module = importlib.import_module(f"{__name__}.{_MODULES[suite]}")
            found += [case for case in module.cases() if all(word in f"{suite} {case.name}".lower() for word in words)]
    if not found:
        raise BenchError(f"--filter: expected words of some case's name, got {text!r}; --list prints the names")
    return found
