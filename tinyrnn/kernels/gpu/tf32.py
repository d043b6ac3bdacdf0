"""TensorFloat-32: whether products of float32 may see only 10 bits of its fraction, on tensor cores (see backends.py)."""

from __future__ import annotations

# Of the two kinds of products, as PyTorch has it: those of recurrent layers may, others may not.
allowed = {"recurrent": True, "others": False}
