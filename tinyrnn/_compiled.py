"""Which modules run compiled.

Imported before everything else of the package, for what two variables ask:

TINYRNN_PURE=1          run the plain Python files, also where a compiled module lies beside them
TINYRNN_REQUIRE_EXT=1   an extension that is missing, or older than its source, is an error
"""

from __future__ import annotations

import importlib.machinery
import os
import sys

PURE = os.environ.get("TINYRNN_PURE") == "1"
PACKAGE = os.path.dirname(os.path.abspath(__file__))  # pathlib, hashlib and json load only for who asks for states
SHARED = "tinyrnn._cython_shared"  # what every extension loads first


class SourceFinder:
    """Finds this package's modules as source files only."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if not name.startswith("tinyrnn."):
            return None
        loader = (importlib.machinery.SourceFileLoader, importlib.machinery.SOURCE_SUFFIXES)
        for folder in path:
            spec = importlib.machinery.FileFinder(folder, loader).find_spec(name)
            if spec is not None:
                return spec
        why = f"TINYRNN_PURE=1 is set, or {SHARED} is missing"
        raise ModuleNotFoundError(f"{name} has no plain Python form ({why})", name=name)


def lacks_shared() -> bool:
    """Whether the extensions lie here without the one that all of them load first: then none of them can be used."""
    return _is_built(os.path.join(PACKAGE, "engine", "tape")) and not _is_built(os.path.join(PACKAGE, "_cython_shared"))


def extensions() -> dict[str, str]:
    """{module: "compiled", "stale" or "missing"} for every module that has, or should have, an extension.

    Stale: made from other sources than those that lie here.
    """
    shared = "compiled" if _is_built(os.path.join(PACKAGE, "_cython_shared")) else "missing"  # Cython's, with no source here
    return {SHARED: shared} | {_module_name(source): _state(source) for source in _compiled_sources()}


def running() -> dict[str, bool]:
    """{imported module: whether it runs compiled} for the modules of `extensions`."""
    names = [_module_name(source) for source in _compiled_sources()]
    return {name: _is_extension(sys.modules[name].__file__) for name in names if name in sys.modules}


def _package():
    from pathlib import Path

    return Path(PACKAGE)


def _compiled_sources():
    """Every .pyx, and every .py with C types in a .pxd beside it."""
    files = [file for file in _package().rglob("*.py*") if file.suffix in (".py", ".pyx")]
    return sorted(file for file in files if file.suffix == ".pyx" or file.with_suffix(".pxd").exists())


def _module_name(source):
    return ".".join(source.relative_to(_package().parent).with_suffix("").parts)


def _is_built(path):
    """Whether there is an extension for a module, which is given by its path without the suffix."""
    return any(os.path.exists(f"{path}{suffix}") for suffix in importlib.machinery.EXTENSION_SUFFIXES)


def _state(source):
    if not _is_built(source.with_suffix("")):
        return "missing"
    made_from = _read_fingerprints().get(_module_name(source))
    fresh = made_from and all(_fingerprint(_package() / file) == digest for file, digest in made_from.items())
    return "compiled" if fresh else "stale"


def _read_fingerprints():
    """What setup.py noted when it built the extensions."""
    import json

    try:
        return json.loads((_package() / "_build.json").read_text())
    except FileNotFoundError:
        return {}


def _fingerprint(file):
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.exists() else None


def _is_extension(file):
    return file is not None and file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


def _require():
    wrong = [f"{name} ({state})" for name, state in extensions().items() if state != "compiled"]
    if wrong:
        raise ImportError(
            f"TINYRNN_REQUIRE_EXT=1 is set, but these extensions are missing or older than their source: "
            f"{', '.join(wrong)}; build them with: pip install -e ."
        )


if PURE or lacks_shared():
    sys.meta_path.insert(0, SourceFinder)
if os.environ.get("TINYRNN_REQUIRE_EXT") == "1":
    _require()
