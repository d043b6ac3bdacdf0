"""The tape-based autograd engine: base (tensor state), tape (recording), backward (the walk), modes (what is recorded).

Cython compiles these files as they are. ``TINYRNN_PURE=1`` runs the uncompiled files instead, for reading and stepping
through them with a debugger; both behave the same.
"""

from __future__ import annotations

import importlib.util
import os
import sys

MODULES = ("modes", "base", "tape", "backward")


def _load_uncompiled():
    """Put the .py files in place of the extension modules that lie beside them."""
    for name in MODULES:
        full_name = f"{__name__}.{name}"
        spec = importlib.util.spec_from_file_location(full_name, os.path.join(os.path.dirname(__file__), f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module
        spec.loader.exec_module(module)


if os.environ.get("TINYRNN_PURE") == "1":
    _load_uncompiled()
