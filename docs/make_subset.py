"""Writes subset.md, the list of PyTorch's names that tinyrnn has, from the code.

    python docs/make_subset.py

A name stands with the first sentence of its docstring; `page()` gives the text, which a test compares with the file.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import tinyrnn
from tinyrnn.engine.base import TensorBase

PAGE = Path(__file__).with_name("subset.md")
MODULES = [
    "", "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "optim", "optim.lr_scheduler", "autograd",
    "autograd.function", "utils.data", "backends", "cuda", "accelerator", "amp", "cuda.amp",
]  # fmt: skip
OUR_OWN = {
    "torch": {"interop", "seq2seq", "show_config", "tape", "training"},
    "torch.autograd": {"GradcheckError", "is_anomaly_enabled", "is_grad_enabled", "is_inference_mode_enabled", "tape"},
    "torch.nn": {
        "AdditiveAttention", "Attention", "Bidirectional", "CoverageAttention", "CoverageLoss", "CustomCell", "CustomRNN",
        "DotAttention", "GeneralAttention", "LocationAwareAttention", "ScaledDotAttention", "summary",
    },
    "torch.nn.Module": {"fail"},
}  # fmt: skip

INTRODUCTION = """# The subset of PyTorch

Written by `python docs/make_subset.py`; do not edit. Every name here means what it means in PyTorch: the same parameters in the
same order, the same defaults, the same numbers. A name that is not here raises an error that says what comes nearest.
Names marked * are not there in PyTorch.
"""


def page() -> str:
    """The text of subset.md."""
    parts = [INTRODUCTION]
    for name in MODULES:
        module = importlib.import_module(f"tinyrnn.{name}".rstrip("."))
        title = f"torch.{name}".rstrip(".")
        parts.append(_section(title, {each: getattr(module, each) for each in module.__all__}))
    parts += [_section("torch.nn.Module", _members(tinyrnn.nn.Module)), _tensor_section()]
    return "\n".join(parts)


def _members(kind: type) -> dict[str, Any]:
    return {name: inspect.getattr_static(kind, name) for name in dir(kind) if not name.startswith("_")}


def _tensor_section() -> str:
    """The methods of Tensor: those that are functions above, and those that write in place, by name only."""
    engine = set(dir(TensorBase)) - {"grad"}
    members = {name: value for name, value in _members(tinyrnn.Tensor).items() if name not in engine}
    known = {name for name in members if name in tinyrnn.__all__}
    written = {name for name in members if name.endswith("_") and name[:-1] in members}
    section = _section("torch.Tensor", {name: members[name] for name in members if name not in known | written})
    for title, names in (("Functions that are methods too", known), ("The same, written into the tensor itself", written)):
        section += f"\n{title}: {', '.join(f'`{name}`' for name in sorted(names))}.\n"
    return section


def _section(title: str, members: dict[str, Any]) -> str:
    lines, plain = [f"## {title}", ""], []
    for name, value in sorted(members.items(), key=lambda item: item[0].lower()):
        sentence = _sentence(value)
        if sentence:
            lines.append(f"- `{name}`{'*' if name in OUR_OWN.get(title, ()) else ''}: {sentence}")
        elif not inspect.ismodule(value):
            plain.append(f"`{name}`")
    return "\n".join([*lines, *([f"- {', '.join(plain)}"] if plain else []), ""])


def _sentence(value: Any) -> str:
    """The first sentence of what a function, class or property says of itself."""
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if not (inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, property)):
        return ""
    paragraph = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
    return re.split(r"(?<!e\.g)\. (?=[A-Z`])", paragraph)[0].rstrip(".:")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
